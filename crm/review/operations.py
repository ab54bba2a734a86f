"""Mending what failed and sending it again, or dismissing it. What became of each item is kept for good."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, vault
from crm.contacts import revealing
from crm.db import Tx
from crm.duplicates import candidates
from crm.duplicates import operations as duplicates
from crm.inbox import dead_letters
from crm.operation import operation
from crm.review import rows, rules
from crm.review.rules import Kind


class ItemNotFound(errors.NotFound):
    """There is no such thing to review."""

    code = "review.not_found"


class AlreadyResolved(errors.Conflict):
    """Somebody has dealt with this already; `fields` says what became of it."""

    code = "review.resolved"


class NotMendable(errors.Invalid):
    """This cannot be mended field by field."""

    code = "review.not_mendable"


class Outcome(NamedTuple):
    """What became of an item: `created`, `merged`, `unchanged` or `changed` (a row; see `crm.leads.intake.Stored`),
    `replayed` (a message), `merged` (two contacts) or `dismissed`."""

    outcome: str
    lead_id: UUID | None = None
    merge_id: UUID | None = None


LAST = """
select outcome, reason, resolved_at from crm.review_resolution
 where tenant_id = $1::uuid and kind = $2::text and item_id = $3::uuid order by resolved_at desc, id desc limit 1
"""
KEEP = """
insert into crm.review_resolution (tenant_id, id, kind, item_id, outcome, reason, lead_id, fields, resolved_by,
                                   resolved_at)
values ($1::uuid, $2::uuid, $3::text, $4::uuid, $5::text, $6::text, $7::uuid, $8::text[], $9::uuid, $10::timestamptz)
"""


SEALED = {
    Kind.import_row: "select import_id, row_no, key_id, sealed, errors from crm.import_rejection"
    " where tenant_id = $1::uuid and id = $2::uuid",
    Kind.inbox_message: "select key_id, sealed from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid",
}


async def _keep(
    tx: Tx, kind: Kind, item_id: UUID, done: Outcome, *, reason: str | None = None, fields: Iterable[str] = (),
    now: datetime,
) -> None:  # fmt: skip
    """Keep what became of an item, with its event and, for a person, the audit row."""
    named = sorted(fields)
    await tx.execute(
        KEEP, tx.actor.tenant_id, ids.new(), kind.value, item_id, done.outcome, reason, done.lead_id, named,
        tx.actor.user_id, now,
    )  # fmt: skip
    told = {"kind": kind.value, "outcome": done.outcome, "reason": reason, "lead_id": done.lead_id}
    await events.record(tx, kind.value, item_id, "review.resolved", told, at=now)
    await audit.of_person(tx, "review.resolve", kind.value, item_id, told, at=now)


async def _require_open_row(tx: Tx, item_id: UUID) -> asyncpg.Record:
    """Return a rejected row that nobody has dealt with, locked: of two at once the second hears what the first did."""
    row = await tx.fetchrow(
        "select import_id, row_no, key_id, sealed, errors, resolved_at from crm.import_rejection"
        " where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, item_id,
    )  # fmt: skip
    if row is None:
        raise ItemNotFound
    if row["resolved_at"] is not None:
        await _refuse(tx, Kind.import_row, item_id)
    return row


async def _require_failed_message(tx: Tx, item_id: UUID) -> asyncpg.Record:
    """Return a message that was given up and not dismissed since, locked."""
    row = await tx.fetchrow(
        "select status, key_id, sealed, processed_at from crm.inbox_message"
        " where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, item_id,
    )  # fmt: skip
    if row is None:
        raise ItemNotFound
    if row["status"] != "failed":
        await _refuse(tx, Kind.inbox_message, item_id, status=row["status"])
    last = await tx.fetchrow(LAST, tx.actor.tenant_id, Kind.inbox_message.value, item_id)
    if last is not None and last["resolved_at"] >= row["processed_at"]:
        await _refuse(tx, Kind.inbox_message, item_id)
    return row


async def _refuse(tx: Tx, kind: Kind, item_id: UUID, *, status: str | None = None) -> None:
    last = await tx.fetchrow(LAST, tx.actor.tenant_id, kind.value, item_id)
    raise AlreadyResolved(fields={"outcome": last["outcome"] if last else str(status)})


@operation("review.resolve")
async def mend(tx: Tx, kind: Kind, item_id: UUID, values: Mapping[str, str], *, now: datetime) -> Outcome:
    """Put new values in the place of those named, and send the row or the message again; the rest stays as it came.

    :raises ItemNotFound: when there is no such item.
    :raises AlreadyResolved: when somebody has dealt with it.
    :raises rows.UnknownColumn: when it has no such field.
    :raises rows.StillInvalid: when a row cannot be taken with these values either; nothing was changed.
    :raises NotMendable: when it has no fields: two contacts, or a message that is no JSON.
    :raises crm.vault.Unreadable: when what it said was erased.
    """
    if kind is Kind.import_row:
        rejected = await rows.opened(tx, await _require_open_row(tx, item_id))
        done = Outcome(*await rows.resubmit(tx, rejected, values, now=now))
        await _close_row(tx, item_id, now=now)
    elif kind is Kind.inbox_message:
        row = await _require_failed_message(tx, item_id)
        await dead_letters.resubmit(tx, item_id, _mended(await body(tx, row), values), now=now)
        done = Outcome("replayed")
    else:
        raise NotMendable("two contacts are merged or dismissed")
    await _keep(tx, kind, item_id, done, fields=values, now=now)
    return done


def _mended(sent: bytes, values: Mapping[str, str]) -> bytes:
    document = as_json(sent)
    if document is None:
        raise NotMendable("the message is no JSON; replay it, or have its source send it again")
    new, unknown = rules.mended(document, values)
    if unknown:
        raise rows.UnknownColumn(fields=dict.fromkeys(unknown, "no such field in the message"))
    return json.dumps(new, ensure_ascii=False).encode()


async def body(tx: Tx, row: Mapping[str, Any]) -> bytes:
    """Return what a message says.

    :raises crm.vault.Unreadable: when it was erased.
    """
    keys = await vault.find(tx.actor.tenant_id, [row["key_id"]])
    if row["key_id"] not in keys:
        raise vault.Unreadable
    return keys[row["key_id"]].open(row["sealed"]).encode("latin-1")


def as_json(sent: bytes) -> Any:
    """Return the JSON document that these bytes are, or None."""
    try:
        document = json.loads(sent)
    except ValueError:
        return None
    return document if isinstance(document, dict | list) else None


async def _close_row(tx: Tx, item_id: UUID, *, now: datetime) -> None:
    await tx.execute(
        "update crm.import_rejection set resolved_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, item_id, now,
    )  # fmt: skip


@operation("review.resolve")
async def dismiss(tx: Tx, kind: Kind, item_id: UUID, reason: str, *, now: datetime) -> Outcome:
    """Say that nothing is to be done about an item; `reason` is a code. A message that fails again comes back.

    :raises ItemNotFound: when there is no such item.
    :raises AlreadyResolved: when somebody has dealt with it.
    :raises crm.duplicates.candidates.CandidateNotFound: when there is no such possible duplicate for the actor.
    :raises crm.duplicates.candidates.AlreadyDecided: when somebody has decided about it.
    """
    done = Outcome("dismissed")
    if kind is Kind.duplicate:
        await candidates.dismiss(tx, item_id, reason, now=now)
        return done
    if kind is Kind.import_row:
        await _require_open_row(tx, item_id)
        await _close_row(tx, item_id, now=now)
    else:
        await _require_failed_message(tx, item_id)
    await _keep(tx, kind, item_id, done, reason=reason, now=now)
    return done


@operation("contact.reveal")
async def reveal(tx: Tx, kind: Kind, item_id: UUID, reason: str, *, now: datetime) -> list[tuple[str, str]]:
    """Return the fields of a row or a message in clear, but for secrets, so that it can be mended; the look counts, and
    is written down as every look at what is hidden (`crm.contacts.revealing`).

    :raises ItemNotFound: when there is no such item.
    :raises NotMendable: when it has no fields: two contacts, or a message that is no JSON.
    :raises crm.contacts.revealing.TooManyReveals: when the person has looked at as much as an hour allows.
    :raises crm.vault.Unreadable: when what it said was erased.
    """
    await revealing.count(tx, now=now)
    clear = await _clear(tx, kind, item_id)
    await revealing.record(tx, kind.value, item_id, reason, {"what": "review"}, now=now)
    return clear


async def _clear(tx: Tx, kind: Kind, item_id: UUID) -> list[tuple[str, str]]:
    if kind is Kind.duplicate:
        raise NotMendable("two contacts are looked at one by one")
    row = await tx.fetchrow(SEALED[kind], tx.actor.tenant_id, item_id)
    if row is None:
        raise ItemNotFound
    if kind is Kind.import_row:
        return (await rows.opened(tx, row)).named
    document = as_json(await body(tx, row))
    if document is None:
        raise NotMendable("the message is no JSON")
    return [(name, rules.text(value)) for name, value in rules.fields(document) if not rules.is_secret(name)]


@operation("contact.merge")
async def merge(tx: Tx, candidate_id: UUID, winner_id: UUID, *, now: datetime) -> Outcome:
    """Make the two contacts of a possible duplicate one; the winner is one of them.

    :raises crm.duplicates.candidates.CandidateNotFound: when there is no such possible duplicate for the actor.
    :raises crm.duplicates.candidates.AlreadyDecided: when somebody has decided about it.
    :raises errors.Invalid: when the winner is neither of the two.
    """
    pair = await candidates.find(tx, candidate_id)
    if winner_id not in pair:
        raise errors.Invalid("the winner is one of the two", fields={"winner_id": "not one of the two"})
    loser_id = next(each for each in pair if each != winner_id)
    merge_id = await duplicates.merge(tx, winner_id, loser_id, candidate_id=candidate_id, now=now)
    return Outcome("merged", merge_id=merge_id)
