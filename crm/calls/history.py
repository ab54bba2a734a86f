"""Calls that another system handled, as its records tell them: kept beside ours, marked, and never acted upon."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import events, ids
from crm.calls.story import Outcome
from crm.db import Tx, to_json
from crm.queues import history as stays
from crm.queues.history import PastStay
from crm.queues.rules import Outcome as StayOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call of another system. Times are UTC, seconds may be broken.

    `queue`: the one the caller waited in, or was served from at once; None: they hung up in self-service. `agent` is a
    name of that system's. `caller_index`: the keyed hash of its id of the person.
    """

    source: str
    external_id: str
    zone: str
    outcome: Outcome
    began_at: datetime
    ended_at: datetime
    queue: str | None = None
    agent: str | None = None
    priority: int = 0
    enqueued_at: datetime | None = None
    left_at: datetime | None = None
    connected_at: datetime | None = None
    wait_s: float | None = None
    talk_s: float | None = None
    self_service_s: float | None = None
    caller_index: bytes | None = None
    content_hash: bytes | None = None
    import_id: UUID | None = None

    def stay(self, call_id: UUID) -> PastStay | None:
        """Return its stay in a queue."""
        if self.queue is None or self.enqueued_at is None:
            return None
        return PastStay(
            call_id, self.queue, self.zone, self.enqueued_at, self.left_at, self.connected_at,
            self.ended_at, self.wait_s or 0.0, self.talk_s, StayOutcome(self.outcome.value), self.priority,
        )  # fmt: skip

    def state(self, call_id: UUID, outside_agent_id: UUID | None) -> dict[str, Any]:
        """Return all there is to it, as events of a call of ours tell it: ids, codes, instants (UTC) and seconds."""
        talk_s = self.talk_s or 0.0
        legs = [
            {
                "leg_no": number, "party": party, "stage": "ended", "started_at": started_at,
                "answered_at": answered_at, "ended_at": ended_at, "talk_s": talk_s, "hold_s": 0.0,
                "outside_agent_id": outside_agent_id if party == "agent" else None,
            }
            for number, (_, party, started_at, answered_at, ended_at) in enumerate(_legs(call_id, self), 1)
        ]  # fmt: skip
        return {
            "source": self.source, "queue": self.queue, "direction": "inbound", "purpose": "inbound",
            "outcome": self.outcome.value, "timezone": self.zone, "outside_agent_id": outside_agent_id,
            "requested_at": self.began_at, "started_at": self.began_at, "answered_at": self.began_at,
            "connected_at": self.connected_at, "ended_at": self.ended_at, "talk_s": talk_s, "held_s": 0.0, "legs": legs,
        }  # fmt: skip

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Its steps as a call of ours tells them."""
        times = {"queued": self.enqueued_at, "connected": self.connected_at, "ended": self.ended_at}
        return [{"status": status, "at": at.isoformat()} for status, at in times.items() if at]


IMPORTED, CORRECTED = "historical_call.imported", "historical_call.corrected"
"""Nobody waits for these: live feeds and chores hear of calls of ours alone."""
KNOWN = """
select w.external_id, h.call_id, h.content_hash from unnest($3::text[]) as w(external_id)
 cross join lateral (
   select h.call_id, h.content_hash from crm.historical_call h
    where h.tenant_id = $1::uuid and h.source = $2::text and h.external_id = w.external_id limit 1
 ) h
"""


async def known(tx: Tx, source: str, outside_ids: Collection[str]) -> dict[str, bytes]:
    """Return which calls of a source are stored, each with the hash of its content."""
    rows = await tx.fetch(KNOWN, tx.actor.tenant_id, source, list(outside_ids))
    return {row["external_id"]: row["content_hash"] or b"" for row in rows}


async def id_of(tx: Tx, source: str, outside_id: str) -> UUID | None:
    """Return the id of a source's call, None when it is not stored."""
    found: UUID | None = await tx.fetchval(
        "select call_id from crm.historical_call"
        " where tenant_id = $1::uuid and source = $2::text and external_id = $3::text",
        tx.actor.tenant_id, source, outside_id,
    )  # fmt: skip
    return found


CALLS = """
insert into crm.call
  (tenant_id, id, direction, purpose, status, outcome, queue, requested_at, started_at, answered_at, connected_at,
   ended_at, talk_s, source, external_id, steps, updated_at)
select $1::uuid, c.id, 'inbound', 'inbound', 'ended', c.outcome, c.queue, c.began_at, c.began_at, c.began_at,
       c.connected_at, c.ended_at, c.talk_s, 'historical', c.external_id, c.steps::jsonb, $10::timestamptz
  from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
              $8::float8[], $9::text[], $11::text[])
       as c(id, outcome, queue, began_at, connected_at, ended_at, talk_s, external_id, steps)
on conflict (tenant_id, id) do update
   set outcome = excluded.outcome, queue = excluded.queue, requested_at = excluded.requested_at,
       started_at = excluded.started_at, answered_at = excluded.answered_at, connected_at = excluded.connected_at,
       ended_at = excluded.ended_at, talk_s = excluded.talk_s, steps = excluded.steps, updated_at = excluded.updated_at
"""
PAST = """
insert into crm.historical_call
  (tenant_id, call_id, source, external_id, content_hash, import_id, outside_agent_id, caller_index, priority,
   self_service_s)
select $1::uuid, c.call_id, $2::text, c.external_id, c.content_hash, $3::uuid, a.id, c.caller_index, c.priority,
       c.self_service_s
  from unnest($4::uuid[], $5::text[], $6::bytea[], $7::text[], $8::bytea[], $9::int[], $10::float8[])
       as c(call_id, external_id, content_hash, agent, caller_index, priority, self_service_s)
  left join crm.outside_agent a on a.tenant_id = $1::uuid and a.source = $2::text and a.name = c.agent
on conflict (tenant_id, call_id) do update
   set content_hash = excluded.content_hash, import_id = excluded.import_id,
       outside_agent_id = excluded.outside_agent_id, caller_index = excluded.caller_index,
       priority = excluded.priority, self_service_s = excluded.self_service_s
returning call_id, outside_agent_id
"""
LEGS = """
insert into crm.call_leg (tenant_id, call_id, leg_id, party, stage, started_at, answered_at, ended_at)
select $1::uuid, l.call_id, l.party, l.party, 'ended', l.started_at, l.answered_at, l.ended_at
  from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
       as l(call_id, party, started_at, answered_at, ended_at)
    on conflict (tenant_id, call_id, leg_id) do update
   set started_at = excluded.started_at, answered_at = excluded.answered_at, ended_at = excluded.ended_at
"""
AGENTS = """
insert into crm.outside_agent (tenant_id, id, source, name, created_at)
select $1::uuid, a.id, $2::text, a.name, $5::timestamptz from unnest($3::uuid[], $4::text[]) as a(id, name)
on conflict do nothing
"""


async def store(tx: Tx, calls: Sequence[PastCall], *, now: datetime) -> list[str]:
    """Store calls of one source and return what became of each: created, changed or unchanged.

    Plumbing, within the operation that imports them; no outside id may stand among them twice.
    """
    source = calls[0].source
    rows = await tx.fetch(KNOWN, tx.actor.tenant_id, source, [call.external_id for call in calls])
    before = {row["external_id"]: row for row in rows}
    outcomes = [_outcome(call, before.get(call.external_id)) for call in calls]
    wanted = [call for call, outcome in zip(calls, outcomes, strict=True) if outcome != "unchanged"]
    if not wanted:
        return outcomes
    which = [before[call.external_id]["call_id"] if call.external_id in before else ids.new() for call in wanted]
    agents = await _write(tx, source, which, wanted, now=now)
    past = (call.stay(call_id) for call_id, call in zip(which, wanted, strict=True))
    stayed = await stays.replace(tx, which, [stay for stay in past if stay], now=now)
    happened = [
        (
            "historical_call", call_id, CORRECTED if call.external_id in before else IMPORTED,
            call.state(call_id, agents[call_id]) | {"visit": stayed.get(call_id)},
        )
        for call_id, call in zip(which, wanted, strict=True)
    ]  # fmt: skip
    await events.record_many(tx, happened, at=now)
    return outcomes


def _outcome(call: PastCall, before: Any) -> str:
    if before is None:
        return "created"
    return "unchanged" if before["content_hash"] == call.content_hash else "changed"


async def _write(
    tx: Tx, source: str, which: Sequence[UUID], calls: Sequence[PastCall], *, now: datetime
) -> dict[UUID, UUID | None]:
    """Write calls with their legs; return whose of the other system's agents each was."""
    tenant, names = tx.actor.tenant_id, sorted({call.agent for call in calls if call.agent})
    await tx.execute(AGENTS, tenant, source, [ids.new() for _ in names], names, now)
    await tx.execute(
        CALLS, tenant, list(which), [call.outcome.value for call in calls], [call.queue for call in calls],
        [call.began_at for call in calls], [call.connected_at for call in calls], [call.ended_at for call in calls],
        [call.talk_s or 0.0 for call in calls], [f"{source}:{call.external_id}" for call in calls], now,
        [to_json(call.steps) for call in calls],
    )  # fmt: skip
    legs = [leg for call_id, call in zip(which, calls, strict=True) for leg in _legs(call_id, call)]
    await tx.execute(LEGS, tenant, *[list(column) for column in zip(*legs, strict=True)])
    past = await tx.fetch(
        PAST, tenant, source, calls[0].import_id, list(which), [call.external_id for call in calls],
        [call.content_hash for call in calls], [call.agent for call in calls], [call.caller_index for call in calls],
        [call.priority for call in calls], [call.self_service_s for call in calls],
    )  # fmt: skip
    return {row["call_id"]: row["outside_agent_id"] for row in past}


def _legs(call_id: UUID, call: PastCall) -> list[tuple[UUID, str, datetime, datetime, datetime]]:
    """Return the customer's leg of a call, and the agent's where somebody took it: its parties are its legs' ids."""
    customer = (call_id, "customer", call.began_at, call.began_at, call.ended_at)
    if call.connected_at is None:
        return [customer]
    return [customer, (call_id, "agent", call.connected_at, call.connected_at, call.ended_at)]
