"""The timeline (LEAD-10): what people see of a contact and a lead, written by the operation that caused it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from crm import ids, vault
from crm.db import Tx, to_json

SQL = """
insert into crm.activity (tenant_id, id, contact_id, lead_id, kind, channel, direction, outcome, detail, note,
                          note_key_id, note_sealed, provider_reference, actor_user_id, occurred_at, created_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::text, $6::text, $7::text, $8::text, $9::jsonb, $10::text,
        $11::uuid, $12::bytea, $13::text, $14::uuid, $15::timestamptz, $15::timestamptz)
"""


async def record(
    tx: Tx,
    contact_id: UUID,
    kind: str,
    *,
    at: datetime,
    lead_id: UUID | None = None,
    channel: str | None = None,
    direction: str | None = None,
    outcome: str | None = None,
    detail: Mapping[str, Any] | None = None,
    note: str | None = None,
    provider_reference: str | None = None,
) -> UUID:
    """Write one activity and return its id. `detail` holds ids and codes; `provider_reference` is the provider's own id
    of a call or message, kept as `reference_kept` says.

    A note is kept twice: scrubbed of numbers and addresses for everyone, and, where scrubbing changed it, as written
    and sealed for those who may reveal it.
    """
    shown = vault.scrub(note) if note else None
    key = (await vault.take(tx.actor.tenant_id))[0] if note and shown != note else None
    activity_id = ids.new()
    await tx.execute(
        SQL, tx.actor.tenant_id, activity_id, contact_id, lead_id, kind, channel, direction, outcome,
        to_json(detail or {}), shown, key and key.id, key.seal(note) if key and note else None,
        provider_reference and reference_kept(channel, provider_reference),
        tx.actor.user_id, at,
    )  # fmt: skip
    return activity_id


def reference_kept(channel: str | None, reference: str) -> str:
    """Return a provider's id of a call or message as a timeline keeps and shows it, and by which it is found there.

    WhatsApp's ids hold the person's number for whoever decodes them (base64), so theirs are hashed; they also hold
    enough chance that nobody finds the number by trying.
    """
    return sha256(reference.encode()).hexdigest()[:32] if channel == "whatsapp" else reference


MANY = """
insert into crm.activity (tenant_id, id, contact_id, lead_id, kind, detail, actor_user_id, occurred_at, created_at)
select $1::uuid, a.id, a.contact_id, a.lead_id, a.kind, a.detail::jsonb, $7::uuid, $8::timestamptz, $8::timestamptz
  from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[]) as a(id, contact_id, lead_id, kind, detail)
"""


async def record_many(
    tx: Tx, activities: Iterable[tuple[UUID | None, UUID, str, Mapping[str, Any]]], *, at: datetime
) -> None:
    """Write several activities (lead or None, contact, kind, detail) of one instant in one statement, in order."""
    rows = [
        (ids.new(), contact_id, lead_id, kind, to_json(detail)) for lead_id, contact_id, kind, detail in activities
    ]  # fmt: skip
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        await tx.execute(MANY, tx.actor.tenant_id, *columns, tx.actor.user_id, at)
