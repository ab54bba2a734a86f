"""Writing events, and the shape in which readers get them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.db import Tx, to_json


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `occurred_at` is the business's instant, `created_at` when it was recorded (UTC)."""

    tenant_id: UUID
    id: int
    tx_id: int
    aggregate_type: str
    aggregate_id: UUID
    event_type: str
    payload: Mapping[str, Any]
    occurred_at: datetime
    created_at: datetime
    actor_user_id: UUID | None
    causation_id: UUID | None


async def record(
    tx: Tx,
    aggregate_type: str,
    aggregate_id: UUID,
    event_type: str,
    payload: Mapping[str, Any] | None = None,
    *,
    at: datetime,
) -> None:
    """Write one event in the open transaction; `payload` holds ids and codes, never names, numbers or free text."""
    await record_many(tx, [(aggregate_type, aggregate_id, event_type, payload or {})], at=at)


MANY = """
insert into crm.event_log
  (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at, actor_user_id, causation_id)
select $1::uuid, e.aggregate_type, e.aggregate_id, e.event_type, e.payload::jsonb, e.occurred_at, $7::uuid, $8::uuid
  from unnest($2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[])
       as e(aggregate_type, aggregate_id, event_type, payload, occurred_at)
"""


async def record_many(tx: Tx, events: Iterable[tuple[str, UUID, str, Mapping[str, Any]]], *, at: datetime) -> None:
    """Write several events (aggregate type, aggregate id, event type, payload) of one instant in one statement."""
    await record_dated(tx, ((*event, at) for event in events))


async def record_dated(tx: Tx, events: Iterable[tuple[str, UUID, str, Mapping[str, Any], datetime]]) -> None:
    """Write several events, each with the instant at which it happened, in one statement and in their order."""
    rows = [(kind, which, happened, to_json(payload), at) for kind, which, happened, payload, at in events]
    if rows:
        actor, columns = tx.actor, [list(column) for column in zip(*rows, strict=True)]
        await tx.execute(MANY, actor.tenant_id, *columns, actor.user_id, actor.trace_id)
    tx.recorded(events=len(rows))
