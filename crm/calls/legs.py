"""The legs of a call, from its facts: whose each is, and what became of it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crm.calls.facts import AgentCalled, AgentConnected, AgentMissed, DialBegan, LegEnded, LegRinging, LegStarted
from crm.calls.known import Direction, Known


class Party(StrEnum):
    """Who is at the end of a leg."""

    customer = "customer"
    agent = "agent"
    other = "other"


class Stage(StrEnum):
    """How far a leg has come; it only ever goes on."""

    dialled = "dialled"
    ringing = "ringing"
    answered = "answered"
    missed = "missed"
    """Rang, and the agent did not answer."""
    left = "left"
    """Ended before it was answered, by somebody else's doing."""
    ended = "ended"


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg. Times are UTC; `interface` is its endpoint, the queue's word for it first; `cause` is Q.850's.

    Whether an endpoint that no queue named is an agent's, their telephones tell: such a leg's party is `other` here.
    """

    leg_id: str
    party: Party
    interface: str | None
    started_at: datetime | None
    rang_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    cause: int | None
    has_missed: bool = False

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        if self.answered_at:
            return Stage.ended if self.ended_at else Stage.answered
        if self.has_missed:
            return Stage.missed
        if self.ended_at:
            return Stage.left
        return Stage.ringing if self.rang_at else Stage.dialled


def of(known: Known) -> tuple[Leg, ...]:
    """Return the legs of a call in the order in which they began."""
    agents = _agents(known)
    return tuple(_leg(known, leg_id, agents) for leg_id in _ids(known))


def _ids(known: Known) -> Iterable[str]:
    named = [fact.leg_id for fact in known.all(LegStarted, LegRinging, DialBegan)]
    return dict.fromkeys([*named, *_agents(known), *([known.customer] if known.customer else [])])


def _agents(known: Known) -> dict[str, str | None]:
    """Return the legs of agents with their endpoints; what we asked for by ourselves has none told."""
    told: dict[str, str | None] = {}
    if known.direction is Direction.agent_first:
        told[known.call_id] = None
    for fact in known.facts:
        if isinstance(fact, AgentCalled | AgentConnected | AgentMissed) and fact.agent_leg:
            told[fact.agent_leg] = fact.interface
    return told


def _leg(known: Known, leg_id: str, agents: dict[str, str | None]) -> Leg:
    ended = known.first(LegEnded, leg_id)
    answered_at = known.answered_at(leg_id)
    return Leg(
        leg_id=leg_id,
        party=Party.agent if leg_id in agents else Party.customer if leg_id == known.customer else Party.other,
        interface=agents.get(leg_id) or _endpoint(known, leg_id),
        started_at=_first(known.all(LegStarted, DialBegan, leg=leg_id)),
        rang_at=_first([*known.all(LegRinging, leg=leg_id), *_called(known, leg_id)]),
        answered_at=answered_at,
        ended_at=ended.at if ended else None,
        cause=ended.cause if ended else None,
        has_missed=_has_missed(known, leg_id, ended) if leg_id in agents and not answered_at else False,
    )


def _endpoint(known: Known, leg_id: str) -> str | None:
    return next((fact.interface for fact in known.all(LegStarted, leg=leg_id) if fact.interface), None)


def _called(known: Known, leg_id: str) -> Iterator[AgentCalled]:
    return (fact for fact in known.all(AgentCalled) if fact.agent_leg == leg_id)


def _has_missed(known: Known, leg_id: str, ended: LegEnded | None) -> bool:
    """Return whether an agent let it ring: the queue says so, or the exchange gave up on our own call to them."""
    if any(fact.agent_leg == leg_id for fact in known.all(AgentMissed)):
        return True
    refused = known.refused()
    gave_up = refused is not None and refused.reason == NO_ANSWER
    return leg_id == known.call_id and (gave_up or (ended is not None and ended.cause in RANG_OUT))


NO_ANSWER = 3
RANG_OUT = frozenset({18, 19, 21})
"""Q.850: no user responding, no answer, call rejected."""


def _first(facts: Iterable[LegStarted | DialBegan | LegRinging | AgentCalled]) -> datetime | None:
    return min((fact.at for fact in facts), default=None)
