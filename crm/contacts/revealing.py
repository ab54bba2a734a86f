"""The one door through which personal data is read in clear: counted, and written down with who, when and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from crm import audit, errors, events, vault
from crm.contacts.operations import POINTS, lock
from crm.db import Tx
from crm.operation import operation

REVEALS_PER_HOUR = 30
"""Values in clear one person may look at in an hour; who needs more exports, which is another permission."""


class NothingToReveal(errors.NotFound):
    """There is nothing hidden here."""

    code = "contact.nothing_hidden"


class TooManyReveals(errors.TooMany):
    """You have looked at too many numbers within an hour; wait, or ask an administrator why you need more."""

    code = "contact.too_many_reveals"


@dataclass(frozen=True, slots=True)
class Revealed:
    """A contact's addresses in clear: the main ones, and any others the person has used."""

    phone: str | None
    email: str | None
    others: list[str]


async def count(tx: Tx, *, now: datetime) -> None:
    """Count one more look of the actor's.

    :raises TooManyReveals: when the person has looked at as much as an hour allows.
    """
    who = tx.actor.user_id
    if who is None:
        return
    # Two requests at once must not both be the last one allowed.
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('reveal ' || $1::text, 0))", str(who))
    seen = await tx.fetchval(
        "select count(*) from crm.audit_log where tenant_id = $1::uuid and actor_user_id = $2::uuid"
        " and action = 'contact.reveal' and created_at > $3::timestamptz",
        tx.actor.tenant_id, who, now - timedelta(hours=1),
    )  # fmt: skip
    if seen >= REVEALS_PER_HOUR:
        raise TooManyReveals


async def record(
    tx: Tx, kind: str, which: UUID, reason: str, detail: Mapping[str, Any], *, now: datetime
) -> None:  # fmt: skip
    """Write event and audit row of a look at a thing; the reason stands in the audit row alone, scrubbed."""
    await events.record(tx, kind, which, f"{kind}.revealed", detail, at=now)
    await audit.record(tx, "contact.reveal", kind, which, {**detail, "reason": vault.scrub(reason)}, at=now)


@operation("contact.reveal")
async def reveal(tx: Tx, contact_id: UUID, reason: str, *, now: datetime) -> Revealed:
    """Return a contact's phone and e-mail in clear; who looked, when and why is written down.

    :raises ContactNotFound: when there is no such contact for the actor.
    :raises NothingToReveal: when the contact has neither phone nor e-mail.
    :raises TooManyReveals: when the person has looked at as much as an hour allows.
    :raises crm.vault.Unreadable: when the person was erased.
    """
    await lock(tx, contact_id)
    await count(tx, now=now)
    points = await tx.fetch(POINTS, tx.actor.tenant_id, contact_id)
    if not points:
        raise NothingToReveal
    keys = await vault.find(tx.actor.tenant_id, {point["key_id"] for point in points})
    if any(point["key_id"] not in keys for point in points):
        raise vault.Unreadable
    clear = [(point["kind"], keys[point["key_id"]].open(point["sealed"])) for point in points]
    await record(tx, "contact", contact_id, reason, {"what": "addresses"}, now=now)
    main = dict(reversed(clear))
    others = [value for kind, value in clear if value != main[kind]]
    return Revealed(main.get("phone"), main.get("email"), others)


@operation("contact.reveal")
async def reveal_note(tx: Tx, contact_id: UUID, activity_id: UUID, reason: str, *, now: datetime) -> str:
    """Return a note of a contact's timeline as it was written; a look counts and is recorded as `reveal` is.

    :raises ContactNotFound: when there is no such contact for the actor.
    :raises NothingToReveal: when there is no such note, or nothing in it is hidden.
    :raises TooManyReveals: when the person has looked at as much as an hour allows.
    :raises crm.vault.Unreadable: when the person was erased.
    """
    await lock(tx, contact_id)
    await count(tx, now=now)
    row = await tx.fetchrow(
        "select note_key_id, note_sealed from crm.activity"
        " where tenant_id = $1::uuid and id = $2::uuid and contact_id = $3::uuid and note_sealed is not null",
        tx.actor.tenant_id, activity_id, contact_id,
    )  # fmt: skip
    if row is None:
        raise NothingToReveal
    keys = await vault.find(tx.actor.tenant_id, [row["note_key_id"]])
    if row["note_key_id"] not in keys:
        raise vault.Unreadable
    await record(tx, "contact", contact_id, reason, {"what": "note", "activity_id": str(activity_id)}, now=now)
    return keys[row["note_key_id"]].open(row["note_sealed"])
