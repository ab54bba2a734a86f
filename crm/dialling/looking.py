"""What a dialer sees of its campaign at an instant, read in one go: the campaign, its agents, its calls, its counts.

Nothing of it is carried over from look to look: a dialer that takes over sees the same as the one that died.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from crm.agents.rules import State as AgentState
from crm.calls.facts import Verdict
from crm.calls.steps import Status as CallStatus
from crm.db import Tx
from crm.dialling import budgets, campaigns, designs, rules, schedule
from crm.dialling.designs import Design
from crm.dialling.guard import Count, Window
from crm.dialling.results import connect_delay, ending_of, greeted_at
from crm.dialling.rules import BY_AGENTS, CONNECT_WITHIN_S, Ending, Status

NEXT = 64
"""Leads whose chances are read ahead."""
STUCK = timedelta(seconds=2)
"""After so long a call that nobody took to the exchange says that the exchange cannot be reached."""


class Phase(StrEnum):
    """Where a call of a campaign is."""

    ringing = "ringing"
    """Asked for, and nobody has answered yet, or machine detection listens."""
    waiting = "waiting"
    """Somebody answered and has no agent."""
    talking = "talking"
    over = "over"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a campaign. Instants are UTC: when it was dialled, greeted (from when on the person waits), connected,
    ended. `ending`: how, when it is over. `is_abandoned`: counted against the cap, by now."""

    id: UUID
    attempt_id: UUID
    phase: Phase
    dialed_at: datetime
    greeted_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    ending: Ending | None
    is_abandoned: bool
    is_stuck: bool
    is_settled: bool

    @property
    def is_live(self) -> bool:
        """Whether a person answered."""
        return self.greeted_at is not None and self.ending is not Ending.voicemail


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent of a campaign's queue. `call_id`: the call that the state is about."""

    user_id: UUID
    state: AgentState
    since: datetime
    call_id: UUID | None
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Look:
    """A campaign as it is now. `next_answer_p`: chances of the leads that are dialled next; `ready`: how many of them
    there are, up to `NEXT`. `counts`: what the guard judges, calls not settled yet included."""

    campaign_id: UUID
    status: Status
    design: Design
    agents: Sequence[Agent]
    calls: Mapping[UUID, Call]
    counts: Mapping[Window, Count]
    next_answer_p: Sequence[float]

    @property
    def ready(self) -> int:
        """How many leads are ready to be dialled, as far as was looked."""
        return len(self.next_answer_p)


OPEN = """
select a.id as attempt_id, a.call_id, a.dialed_at, a.is_abandoned, a.resolved_at, k.status, k.outcome, k.verdict,
       k.direction, k.started_at, k.answered_at, k.connected_at, k.ended_at, k.detects_machines, k.requested_at,
       case when k.detects_machines then k.steps end as steps
  from (select id, call_id, dialed_at, is_abandoned, resolved_at from crm.dial_attempt
         where tenant_id = $1::uuid and campaign_id = $2::uuid and resolved_at is null
         union all
        select b.* from unnest($3::uuid[]) as w(id)
         cross join lateral (select id, call_id, dialed_at, is_abandoned, resolved_at from crm.dial_attempt
                              where tenant_id = $1::uuid and call_id = w.id limit 1) b
         where b.resolved_at is not null) a
 cross join lateral (select * from crm.call where tenant_id = $1::uuid and id = a.call_id limit 1) k
 order by a.dialed_at, a.id
"""
# An agent in the queues of several campaigns that run is counted by one of them only: the one made first.
AGENTS = """
select s.user_id, i.state, i.started_at, i.call_id, m.is_paused
  from crm.queue_member m
  join crm.agent_session s on s.tenant_id = $1::uuid and s.endpoint = m.endpoint and s.ended_at is null
  join crm.agent_state i on i.tenant_id = $1::uuid and i.session_id = s.id and i.ended_at is null
 where m.tenant_id = $1::uuid and m.queue = $2::text and m.is_member
   and not exists (
     select from crm.dial_campaign o
       join crm.queue_member n on n.tenant_id = $1::uuid and n.queue = o.queue and n.endpoint = m.endpoint
                              and n.is_member
      where o.tenant_id = $1::uuid and o.status = 'running' and o.id < $3::uuid and o.deleted_at is null
        and o.mode not in (select unnest($4::text[])))
 order by s.user_id
"""
AHEAD = """
select answer_p from crm.dial_entry
 where tenant_id = $1::uuid and campaign_id = $2::uuid and state = 'ready'
 order by priority desc, rank desc, id limit $3::int
"""


async def look(tx: Tx, campaign_id: UUID, known: Sequence[UUID] = (), *, now: datetime) -> Look:
    """Return a campaign as it is now. `known`: calls that are told of even when they are settled.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    """
    row = await campaigns.get(tx, campaign_id)
    design, tenant = designs.of_row(row), tx.actor.tenant_id
    found = await tx.fetch(OPEN, tenant, campaign_id, list(known))
    calls = {each["call_id"]: _call(each, now=now) for each in found}
    people = await tx.fetch(AGENTS, tenant, design.queue, campaign_id, sorted(BY_AGENTS)) if design.queue else []
    chances = await tx.fetch(AHEAD, tenant, campaign_id, NEXT)
    counts = await budgets.counts(tx, campaign_id, design.timezone, now=now)
    return Look(
        campaign_id, Status(row["status"]), design, [_agent(each) for each in people], calls,
        _with_open(counts, calls.values(), schedule.shift_began(now, design.timezone)),
        [each["answer_p"] for each in chances],
    )  # fmt: skip


def _agent(row: asyncpg.Record) -> Agent:
    return Agent(row["user_id"], AgentState(row["state"]), row["started_at"], row["call_id"], row["is_paused"])


def _call(row: asyncpg.Record, *, now: datetime) -> Call:
    """Return a call as its row tells it; one that waits longer than it may is abandoned before it has ended."""
    greeted, ending = None, None
    if row["answered_at"] is not None and row["verdict"] != Verdict.machine:
        greeted = greeted_at(row)
    if row["ended_at"] is not None:
        ending = ending_of(row)
    return Call(
        row["call_id"], row["attempt_id"], _phase(row, greeted), row["dialed_at"], greeted, row["connected_at"],
        row["ended_at"], ending, row["is_abandoned"] or _is_abandoned(row, greeted, ending, now=now),
        row["status"] == CallStatus.checked and now - row["requested_at"] > STUCK, row["resolved_at"] is not None,
    )  # fmt: skip


def _phase(row: Mapping[str, Any], greeted: datetime | None) -> Phase:
    if row["ended_at"] is not None:
        return Phase.over
    if row["connected_at"] is not None:
        return Phase.talking
    return Phase.waiting if greeted is not None else Phase.ringing


def _is_abandoned(
    row: Mapping[str, Any], greeted: datetime | None, ending: Ending | None, *, now: datetime
) -> bool:  # fmt: skip
    if ending is not None:
        return rules.was_abandoned(ending, connect_delay(row), agent_first=False)
    if greeted is None:
        return False
    return ((row["connected_at"] or now) - greeted).total_seconds() > CONNECT_WITHIN_S


def _with_open(
    counts: Mapping[Window, Count], calls: Iterable[Call], shift_began: datetime
) -> Mapping[Window, Count]:  # fmt: skip
    """Return the counts with those calls that nobody has settled yet."""
    pending = [call for call in calls if not call.is_settled and (call.is_live or call.is_abandoned)]
    of_shift = [call for call in pending if call.dialed_at >= shift_began]
    return {
        window: Count(
            counts[window].answered + len(each), counts[window].abandoned + sum(call.is_abandoned for call in each)
        )
        for window, each in ((Window.shift, of_shift), (Window.month, pending))
    }


SO_FAR = """
select count(*)::int as launched, count(*) filter (where connected_at is not null)::int as connected,
       count(*) filter (where result = 'voicemail')::int as machines,
       count(*) filter (where result in ('no_answer', 'busy'))::int as no_answers,
       count(*) filter (where result = 'failed')::int as failed, min(dialed_at) as began
  from crm.dial_attempt
 where tenant_id = $1::uuid and campaign_id = $2::uuid and dialed_at >= $3::timestamptz and call_id is not null
   and result is distinct from 'blocked_by_policy'
"""


async def so_far(tx: Tx, campaign_id: UUID, since: datetime) -> asyncpg.Record:
    """Return what a shift came to so far, for a dialer that takes over in the middle of it."""
    row = await tx.fetchrow(SO_FAR, tx.actor.tenant_id, campaign_id, since)
    assert row is not None, "counts are one row"
    return row
