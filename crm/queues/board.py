"""The live board: how each queue stands at this moment, from the rows of those who wait and those who answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm.agents.rules import State
from crm.db import Tx
from crm.queues import actions, order, settings, statistics, waits
from crm.queues.figures import Counts
from crm.queues.order import Waiting
from crm.queues.settings import Standing

SERVING = frozenset({State.available, State.reserved, State.ringing, State.on_call, State.wrap_up})
"""States of agents who serve their queues, free now or not."""
MOST_SHOWN = 100
"""Callers of one queue that are shown one by one."""

NOW = """
with sitting as materialized (
  select s.endpoint, i.state from crm.agent_session s
   cross join lateral (
     select state from crm.agent_state
      where tenant_id = $1::uuid and session_id = s.id and ended_at is null limit 1) i
   where s.tenant_id = $1::uuid and s.ended_at is null
), manned as materialized (
  select b.queue, json_object_agg(b.state, b.n) as agents from (
    select m.queue, g.state, count(*)::int as n from crm.queue_member m join sitting g on g.endpoint = m.endpoint
     where m.tenant_id = $1::uuid and m.is_member group by m.queue, g.state) b
   group by b.queue
)
select q.code, w.waiting, coalesce((select agents from manned where manned.queue = q.code), '{}') as agents, s.wait_s,
       s.abandoned, s.service_s
  from unnest($2::text[]) as q(code)
 cross join lateral (
   select coalesce(json_agg(json_build_object(
            'call_id', v.call_id, 'visit_no', v.visit_no, 'enqueued_at', v.enqueued_at, 'due_at', v.due_at,
            'priority', v.priority) order by v.enqueued_at, v.call_id), '[]') as waiting
     from crm.queue_visit v
    where v.tenant_id = $1::uuid and v.queue = q.code and v.outcome = 'waiting' and v.left_at is null
      and not v.is_historical
 ) w
 cross join lateral (
   select sum(v.wait_s) as wait_s, count(*) filter (where v.outcome = 'abandoned') as abandoned,
          avg(v.talk_s) filter (where v.outcome = 'answered' and v.talk_s > 0) as service_s
     from crm.queue_visit v
    where v.tenant_id = $1::uuid and v.queue = q.code and v.enqueued_at >= $3::timestamptz - interval '4 hours'
      and v.enqueued_at < $3::timestamptz and v.outcome <> 'waiting' and not v.is_historical
 ) s
"""
"""Who waits, who answers, and how patient and how quick they were in the last hours; one statement for all queues."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who waits: their place (from 1), since when, and for how long from now on by estimate."""

    call_id: UUID
    position: int
    enqueued_at: datetime
    priority: int
    estimated_wait_s: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One queue on the board. `service_level` is that of half an hour by the one definition, None where `n` is 0.

    `longest_wait_s` is None where nobody waits; `next_wait_s`: the estimated wait of whoever came now.
    """

    queue_id: UUID
    code: str
    labels: Mapping[str, str]
    depth: int
    longest_wait_s: float | None
    waits_since: datetime | None
    service_level: float | None
    n: int
    sl_s: int
    sl_target: float
    next_wait_s: float | None
    agents: Mapping[str, int]
    is_paused: bool
    is_overflowing: bool
    callers: tuple[Caller, ...] = field(default=())


async def of(tx: Tx, *, now: datetime) -> list[Line]:
    """Return the board of every queue in use at an instant (UTC), by their codes."""
    queues = await settings.in_force(tx, at=now)
    if not queues:
        return []
    rows = await tx.fetch(NOW, tx.actor.tenant_id, list(queues), now)
    late = await statistics.of_late(tx, now=now)
    doing: dict[str, set[str]] = {}
    given: dict[UUID, int] = {}
    for row in await actions.open_now(tx, now=now):
        doing.setdefault(row["code"], set()).add(row["kind"])
        if row["kind"] == actions.Kind.priority:
            given[row["call_id"]] = row["priority"]
    return [
        _line(row, queues[row["code"]], late.get(row["code"], Counts()), doing.get(row["code"], set()), given, now)
        for row in rows
    ]


def _line(
    row: asyncpg.Record, queue: Standing, late: Counts, doing: set[str], given: Mapping[UUID, int], now: datetime
) -> Line:
    waiting = [_waiting(each, given) for each in row["waiting"]]
    first = min((each.enqueued_at for each in waiting), default=None)
    estimate = Estimate.of(row)
    ordered = order.in_order(waiting, queue.settings.step_s)
    return Line(
        queue_id=queue.id, code=queue.code, labels=dict[str, str](queue.settings.labels.items()), depth=len(waiting),
        longest_wait_s=(now - first).total_seconds() if first else None, waits_since=first,
        service_level=late.service_level, n=late.judged, sl_s=queue.sl_s, sl_target=queue.sl_target,
        next_wait_s=estimate.after(len(waiting)), agents=row["agents"], is_paused=actions.Kind.pause in doing,
        is_overflowing=actions.Kind.overflow in doing,
        callers=tuple(
            Caller(each.call_id, n + 1, each.enqueued_at, each.priority, estimate.after(n))
            for n, each in enumerate(ordered[:MOST_SHOWN])
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """What waits are estimated from; see `waits`."""

    agents: int
    free: int
    service_s: float
    patience_s: float | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Estimate":
        """Return it from a row of `NOW`."""
        by_state: Mapping[str, int] = row["agents"]
        serving = sum(n for state, n in by_state.items() if state in SERVING)
        patience = waits.patience_s(waited_s=row["wait_s"] or 0.0, abandoned=row["abandoned"])
        return cls(serving, by_state.get(State.available, 0), row["service_s"] or USUAL_SERVICE_S, patience)

    def after(self, ahead: int) -> float | None:
        """Return the estimated wait of somebody with so many before them."""
        return waits.estimate_s(
            ahead, agents=self.agents, free=self.free, service_s=self.service_s, patience_s=self.patience_s
        )


USUAL_SERVICE_S = 180.0
"""The seconds of a call where none was answered in the last hours."""


def _waiting(row: Mapping[str, Any], given: Mapping[UUID, int]) -> Waiting:
    call_id, since = UUID(row["call_id"]), datetime.fromisoformat(row["enqueued_at"])
    due_at = datetime.fromisoformat(row["due_at"]) if row["due_at"] else since
    return Waiting(call_id, row["visit_no"], since, due_at, given.get(call_id, row["priority"]))
