"""What follows from news of a call: its legs, the stays in queues, the states of agents, the lead's timeline."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import timeline
from crm.agents import queries as agents
from crm.agents import states
from crm.agents.rules import State
from crm.calls import visits, wrapping
from crm.calls.facts import AgentCalled, BridgeLeft, LegEnded, QueueEnded, Vanished
from crm.calls.legs import Leg, Party, Stage
from crm.calls.steps import Status, Step
from crm.calls.story import Outcome, Story
from crm.calls.visits import Visit, VisitEnd
from crm.db import Tx
from crm.leads import operations as leads
from crm.leads.rules import Channel
from crm.leads.rules import Direction as Way
from crm.queues import visits as queues
from crm.queues.visits import Stay


@dataclass(frozen=True, slots=True)
class Before:
    """The legs of a call when they were looked at last: how far each had come, and whose it was."""

    stages: dict[str, Stage] = field(default_factory=dict)
    agents: dict[str, UUID] = field(default_factory=dict)
    people: dict[str, UUID] = field(default_factory=dict)
    """Whose the endpoints were: a telephone that somebody else is given later does not take its calls along."""


LEGS_BEFORE = """
select l.call_id, l.leg_id, l.stage, l.agent_user_id, l.interface
  from unnest($2::uuid[]) as wanted(id)
 cross join lateral (
    select * from crm.call_leg where tenant_id = $1::uuid and call_id = wanted.id) l
"""
KEEP_LEG = """
insert into crm.call_leg as l (tenant_id, call_id, leg_id, party, agent_user_id, interface, stage, started_at, rang_at,
                               answered_at, ended_at, cause)
values ($1::uuid, $2::uuid, $3::text, $4::text, $5::uuid, $6::text, $7::text, $8::timestamptz, $9::timestamptz,
        $10::timestamptz, $11::timestamptz, $12::int)
    on conflict (tenant_id, call_id, leg_id) do update
   set party = excluded.party, agent_user_id = excluded.agent_user_id, interface = excluded.interface,
       stage = excluded.stage, started_at = excluded.started_at, rang_at = excluded.rang_at,
       answered_at = excluded.answered_at, ended_at = excluded.ended_at, cause = excluded.cause
"""


async def people(tx: Tx, interfaces: Iterable[set[str]]) -> dict[str, UUID]:
    """Return who is behind the endpoints that calls met; strangers are left out."""
    wanted = set().union(*interfaces)
    return await agents.by_endpoint(tx, sorted(wanted)) if wanted else {}


def agent_of(row: Mapping[str, Any], leg: Leg, known: Mapping[str, UUID], before: Before) -> UUID | None:
    """Return whose leg it is: of the agent whose telephone it is, who was invited, or who asked for the call."""
    if leg.party is Party.customer:
        return None
    who = before.people.get(leg.interface or "") or known.get(leg.interface or "") or before.agents.get(leg.leg_id)
    asked: UUID | None = row["agent_user_id"]
    return asked if who is None and leg.party is Party.agent and leg.interface is None else who


async def before(tx: Tx, call_ids: Iterable[UUID]) -> dict[UUID, Before]:
    """Return how the legs of calls stand."""
    found = {call_id: Before() for call_id in call_ids}
    for stored in await tx.fetch(LEGS_BEFORE, tx.actor.tenant_id, list(found)):
        of = found[stored["call_id"]]
        of.stages[stored["leg_id"]] = Stage(stored["stage"])
        if stored["agent_user_id"]:
            of.agents[stored["leg_id"]] = stored["agent_user_id"]
            if stored["interface"]:
                of.people[stored["interface"]] = stored["agent_user_id"]
    return found


async def keep_legs(
    tx: Tx, calls: Sequence[tuple[Mapping[str, Any], Sequence[Leg]]], known: Mapping[str, UUID],
    before: Mapping[UUID, Before],
) -> None:  # fmt: skip
    """Store the legs of calls that have come further."""
    await tx.executemany(
        KEEP_LEG,
        [
            (tx.actor.tenant_id, row["id"], leg.leg_id, _party(leg, who).value, who, leg.interface, leg.stage.value,
             leg.started_at, leg.rang_at, leg.answered_at, leg.ended_at, leg.cause)
            for row, its in calls for leg in its if before[row["id"]].stages.get(leg.leg_id) is not leg.stage
            for who in [agent_of(row, leg, known, before[row["id"]])]
        ],
    )  # fmt: skip


def _party(leg: Leg, who: UUID | None) -> Party:
    return Party.agent if who else leg.party


EVER = datetime.max.replace(tzinfo=UTC)
TOGETHER = timedelta(seconds=2)
"""Legs that end within it ended with the call, and not before it."""


def owner(
    row: Mapping[str, Any],
    its: Sequence[Leg],
    known: Mapping[str, UUID],
    before: Before,
    story: Story,
    gave: Collection[str],
) -> UUID | None:
    """Return whose call it is: of the agents who are in it the one who came first, else of those who left last.

    Who gave the customer away (`gave`: the legs that did) has no more to do with the call, unless nobody came after;
    who was only invited never had.
    """
    spoke = [(leg, who) for leg in its if leg.answered_at and (who := agent_of(row, leg, known, before))]
    spoke = [each for each in spoke if each[0].leg_id not in gave] or spoke
    if not spoke:
        return None
    end = story.ended_at
    stayed = [(leg, who) for leg, who in spoke if not leg.ended_at or (end and leg.ended_at >= end - TOGETHER)]
    if stayed:
        return min(stayed, key=lambda each: each[0].answered_at or EVER)[1]
    return max(spoke, key=lambda each: each[0].ended_at or EVER)[1]


@dataclass(frozen=True, slots=True)
class After:
    """What became new of a call: its row and legs as they are now, and how the legs stood before."""

    row: Mapping[str, Any]
    story: Story
    new: Sequence[Step]
    legs: Sequence[Leg]
    before: Before
    known: Mapping[str, UUID]

    @property
    def statuses(self) -> set[Status]:
        """What it came to be."""
        return {step.status for step in self.new}

    @property
    def moves(self) -> list[tuple[UUID, Leg]]:
        """The agents whose legs have come further."""
        changed = [leg for leg in self.legs if self.before.stages.get(leg.leg_id) is not leg.stage]
        owners = [(agent_of(self.row, leg, self.known, self.before), leg) for leg in changed]
        return [(who, leg) for who, leg in owners if who]

    @property
    def stays(self) -> list[Stay]:
        """The stays of the call in queues, as they are told by now."""
        who = {**self.known, **self.before.people}
        return [_stay(n, visit, self.story, who) for n, visit in enumerate(self.story.visits, 1) if visit.queue]

    @property
    def agents(self) -> set[UUID]:
        """Everybody whose state may follow."""
        owner = self.row["agent_user_id"]
        return {who for who, _ in self.moves} | ({owner} if owner and Status.ended in self.statuses else set())


async def follow(tx: Tx, calls: Sequence[After], has_stays: Sequence[bool], *, now: datetime) -> None:
    """Pass on what became new of calls.

    Locks are taken as everybody takes them: calls, then leads, then agents, each in the order of their ids.
    """
    for one in sorted(calls, key=lambda one: str(one.row["lead_id"])):
        if one.statuses & {Status.connected, Status.ended}:
            await _tell_lead(tx, one.row, one.story, now=now)
    await states.lock_all(tx, {who for one in calls for who in one.agents})
    stays = {one.row["id"]: one.stays for one, has_stay in zip(calls, has_stays, strict=True) if has_stay}
    await queues.keep_many(tx, {call_id: those for call_id, those in stays.items() if those}, now=now)
    for one in calls:
        for who, leg in one.moves:
            await _move(tx, one.row, who, leg, now=now)
        if Status.ended in one.statuses:
            await _end(tx, one.row, one.story, now=now)


OF_STAYS = (*visits.NAMED, QueueEnded, AgentCalled, BridgeLeft, LegEnded, Vanished)
"""The facts by which a stay in a queue can begin, go on otherwise, or end."""


def _stay(n: int, visit: Visit, story: Story, known: Mapping[str, UUID]) -> Stay:
    is_answered = visit.end is VisitEnd.connected
    talk_s = visit.talk_s if visit.talk_s is not None else story.talk_s
    return Stay(
        visit_no=n, queue=visit.queue, enqueued_at=visit.joined_at or story.started_at, left_at=visit.left_at,
        connected_at=visit.left_at if is_answered else None, ended_at=story.ended_at if is_answered else visit.left_at,
        wait_s=visit.waited_s, ring_s=visit.ring_s, talk_s=talk_s if is_answered else None,
        outcome=OUTCOMES[visit.end], agent_user_id=known.get(visit.interface) if visit.interface else None,
        missed=tuple(known[each] for each in visit.missed if each in known),
    )  # fmt: skip


OUTCOMES = {
    VisitEnd.waiting: "waiting", VisitEnd.connected: "answered", VisitEnd.abandoned: "abandoned",
    VisitEnd.timeout: "timeout", VisitEnd.refused: "system", VisitEnd.callback: "callback",
}  # fmt: skip
"""The words of the numbers for how a stay ended; a queue that lets nobody in offered no stay."""


async def _move(tx: Tx, row: Mapping[str, Any], who: UUID, leg: Leg, *, now: datetime) -> None:
    """Let an agent's state follow their leg."""
    match leg.stage:
        case Stage.ringing:
            await states.move(tx, who, State.ringing, call_id=row["id"], now=now)
        case Stage.answered:
            await states.move(tx, who, State.on_call, call_id=row["id"], now=now)
        case Stage.missed:
            await states.missed(tx, who, row["id"], now=now)
        case Stage.left:
            await states.move(tx, who, State.available, call_id=row["id"], now=now)
        case Stage.ended if row["ended_at"] is None or row["agent_user_id"] != who:
            await wrapping.leave(tx, who, row["id"], now=now)


async def _end(tx: Tx, row: Mapping[str, Any], story: Story, *, now: datetime) -> None:
    """Give the agent who spoke time to write it up; one who did not is free again."""
    if story.connected_at is not None:
        await wrapping.begin(tx, row, now=now)
    elif row["agent_user_id"] is not None and story.outcome is not Outcome.agent_no_answer:
        await states.move(tx, row["agent_user_id"], State.available, call_id=row["id"], now=now)


TRIED = frozenset({Outcome.answered, Outcome.busy, Outcome.rejected, Outcome.congestion, Outcome.invalid})
"""Outcomes that say by themselves that the customer's number was tried."""


async def _tell_lead(tx: Tx, row: Mapping[str, Any], story: Story, *, now: datetime) -> None:
    """Note the conversation, or the attempt at one, once: when it begins, or when it has come to nothing."""
    reached = row["direction"] == "inbound" or story.ring_s is not None or story.outcome in TRIED
    if row["activity_id"] is not None or row["contact_id"] is None or not reached:
        return
    way = Way.inbound if row["direction"] == "inbound" else Way.outbound
    outcome = "answered" if story.connected_at else story.outcome.value
    # By our own clock where we can tell: nobody is called before it was asked for, whatever the exchange's clock says.
    at = min(max(story.started_at or now, row["requested_at"]), now)
    if row["lead_id"] is not None:
        activity_id = await leads.record_activity(
            tx, row["lead_id"], Channel.call, way, outcome, is_human=row["purpose"] != "campaign",
            by_user_id=row["agent_user_id"], occurred_at=at, now=now,
        )  # fmt: skip
    else:
        activity_id = await timeline.record(
            tx, row["contact_id"], "call", at=at, channel="call", direction=way.value, outcome=outcome,
            detail={"call_id": row["id"]},
        )  # fmt: skip
    await tx.execute(
        "update crm.call set activity_id = $3::uuid where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["id"], activity_id,
    )  # fmt: skip
