"""Valid queues, calls and stays for tests."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from crm import ids
from crm.db import Tx, to_json

LABELS = {"tr": "Satış", "en": "Sales"}


async def make_queue(tx: Tx, code: str = "sales", *, since: datetime, **settings: Any) -> UUID:
    """Store a queue that has been there since an instant; always open unless said otherwise."""
    queue_id = ids.new()
    await tx.execute(
        "insert into crm.queue (tenant_id, id, code, created_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::timestamptz)",
        tx.actor.tenant_id, queue_id, code, since,
    )  # fmt: skip
    await set_version(tx, queue_id, since=since, **settings)
    return queue_id


async def set_version(tx: Tx, queue_id: UUID, *, since: datetime, **settings: Any) -> None:
    """Store settings of a queue, from an instant on."""
    stored = {"labels": LABELS, "hours": "always", **settings}
    await tx.execute(
        "insert into crm.queue_version (tenant_id, id, queue_id, valid_from, settings, created_at)"
        " values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz, $5::jsonb, $4::timestamptz)",
        tx.actor.tenant_id, ids.new(), queue_id, since, to_json(stored),
    )  # fmt: skip


async def make_call(tx: Tx, *, now: datetime, direction: str = "inbound", lead_id: UUID | None = None) -> UUID:
    """Store a live call with the customer's leg up."""
    call_id = ids.new()
    await tx.execute(
        "insert into crm.call (tenant_id, id, direction, purpose, status, lead_id, requested_at, started_at,"
        " updated_at) values ($1::uuid, $2::uuid, $3::text, 'inbound', 'queued', $5::uuid, $4::timestamptz,"
        " $4::timestamptz, $4::timestamptz)",
        tx.actor.tenant_id, call_id, direction, now, lead_id,
    )  # fmt: skip
    await tx.execute(
        "insert into crm.call_leg (tenant_id, call_id, leg_id, party, stage, started_at, answered_at)"
        " values ($1::uuid, $2::uuid, $3::text, 'customer', 'answered', $4::timestamptz, $4::timestamptz)",
        tx.actor.tenant_id, call_id, str(call_id), now,
    )  # fmt: skip
    return call_id


def after(now: datetime, seconds: float) -> datetime:
    """Return the instant so many seconds later."""
    return now + timedelta(seconds=seconds)
