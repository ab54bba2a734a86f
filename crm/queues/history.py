"""Stays that another system handled: kept with what was promised then, by their own instants, however old they are.

Their queues were in use there; here they take no call, so they are retired from the beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import ids
from crm.db import Tx, to_json
from crm.queues import settings, telling
from crm.queues.rules import Outcome, Settings


@dataclass(frozen=True, slots=True)
class PastStay:
    """A call's one stay; times are UTC, seconds may be broken. `zone`: where its days were counted."""

    call_id: UUID
    queue: str
    zone: str
    enqueued_at: datetime
    left_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    wait_s: float
    talk_s: float | None
    outcome: Outcome
    priority: int


MISSING = """
select q.code from unnest($2::text[]) as q(code)
 where not exists (select from crm.queue k where k.tenant_id = $1::uuid and k.code = q.code)
"""
QUEUES = """
insert into crm.queue (tenant_id, id, code, created_by, created_at, retired_at)
select $1::uuid, q.id, q.code, $4::uuid, $5::timestamptz, $5::timestamptz
  from unnest($2::uuid[], $3::text[]) as q(id, code)
on conflict do nothing
returning id, code
"""
VERSIONS = """
insert into crm.queue_version (tenant_id, id, queue_id, valid_from, settings, set_by, created_at)
select $1::uuid, v.id, v.queue_id, $5::timestamptz, v.settings::jsonb, $6::uuid, $7::timestamptz
  from unnest($2::uuid[], $3::uuid[], $4::text[]) as v(id, queue_id, settings)
"""
STAYS = """
insert into crm.queue_visit
  (tenant_id, call_id, visit_no, queue_id, queue, enqueued_at, left_at, connected_at, ended_at, wait_s, talk_s, outcome,
   in_hours, is_historical, sl_s, short_s, timezone, priority, told)
select $1::uuid, s.call_id, 1, q.id, s.queue, s.enqueued_at, s.left_at, s.connected_at, s.ended_at, s.wait_s, s.talk_s,
       s.outcome, true, true, $13::int, $14::int, s.zone, s.priority, s.outcome
  from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
              $8::timestamptz[], $9::float8[], $10::float8[], $11::text[], $12::int[])
       as s(call_id, queue, zone, enqueued_at, left_at, connected_at, ended_at, wait_s, talk_s, outcome, priority)
  join crm.queue q on q.tenant_id = $1::uuid and q.code = s.queue
returning *
"""


async def replace(
    tx: Tx, calls: Sequence[UUID], stays: Sequence[PastStay], *, now: datetime
) -> dict[UUID, dict[str, Any]]:
    """Put stays in the place of those that these calls had; a queue that is not known is made, retired.

    Return the whole state of each call's stay, as events tell it.

    Plumbing, within the operation that stores the calls.
    """
    await tx.execute(
        "delete from crm.queue_visit where tenant_id = $1::uuid and is_historical"
        " and call_id in (select unnest($2::uuid[]))",
        tx.actor.tenant_id, list(calls),
    )  # fmt: skip
    if not stays:
        return {}
    since = min(stay.enqueued_at for stay in stays)
    await _ensure(tx, sorted({stay.queue for stay in stays}), stays[0].zone, since=since, now=now)
    promise = await settings.promise(tx, at=since)
    rows = [
        (
            s.call_id, s.queue, s.zone, s.enqueued_at, s.left_at, s.connected_at, s.ended_at, s.wait_s, s.talk_s,
            s.outcome.value, s.priority,
        )
        for s in stays
    ]  # fmt: skip
    columns = [list(column) for column in zip(*rows, strict=True)]
    kept = await tx.fetch(STAYS, tx.actor.tenant_id, *columns, promise.sl_s, promise.short_s)
    return {row["call_id"]: telling.state(row["visit_no"], row, row) for row in kept}


async def _ensure(tx: Tx, codes: Sequence[str], zone: str, *, since: datetime, now: datetime) -> None:
    missing = [row["code"] for row in await tx.fetch(MISSING, tx.actor.tenant_id, list(codes))]
    if not missing:
        return
    made = await tx.fetch(QUEUES, tx.actor.tenant_id, [ids.new() for _ in missing], missing, tx.actor.user_id, now)
    told = [Settings(labels={"tr": row["code"], "en": row["code"]}, hours="always", timezone=zone) for row in made]
    await tx.execute(
        VERSIONS, tx.actor.tenant_id, [ids.new() for _ in made], [row["id"] for row in made],
        [to_json(each.model_dump(mode="json")) for each in told], since, tx.actor.user_id, now,
    )  # fmt: skip
