"""A call's stays in queues, worked out from facts in any order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from crm.calls.facts import (
    AgentConnected,
    AgentFinished,
    AgentMissed,
    Fact,
    Party,
    QueueAbandoned,
    QueueEnd,
    QueueEnded,
    QueueJoined,
    QueueLeft,
)

OF_QUEUE = (QueueJoined, QueueEnded)
NAMED = (QueueJoined, QueueLeft, QueueAbandoned, AgentConnected, AgentFinished, AgentMissed)


class VisitEnd(StrEnum):
    """How a stay in a queue ended. `refused`: the queue let nobody in."""

    waiting = "waiting"
    connected = "connected"
    abandoned = "abandoned"
    timeout = "timeout"
    refused = "refused"
    callback = "callback"


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of a caller in a queue (empty: one that refused them does not tell its name); times are UTC."""

    queue: str
    end: VisitEnd
    joined_at: datetime | None = None
    left_at: datetime | None = None
    position: int | None = None
    waited_s: float | None = None
    interface: str | None = None
    agent_leg: str | None = None
    ring_s: float | None = None
    talk_s: float | None = None
    ended_by: Party | None = None
    missed: tuple[str, ...] = ()
    """The agents (interfaces) that did not answer, in order."""


def of(known: Sequence[Fact]) -> tuple[Visit, ...]:
    """Return a call's stays, from its facts in the order of their time."""
    joins = [fact for fact in known if isinstance(fact, QueueJoined)]
    stays = []
    for n, join in enumerate(joins):
        # What is told before the first join has come early; the queue of a stay ends it when the next begins at latest.
        since = join.at if n else datetime.min.replace(tzinfo=UTC)
        until = joins[n + 1].at if n + 1 < len(joins) else datetime.max.replace(tzinfo=UTC)
        during = [fact for fact in known if since <= fact.at <= until and _is_of(join, fact, since)]
        stays.append(_stay(join, during))
    ends = [fact for fact in known if isinstance(fact, QueueEnded)]
    if ends and not joins:
        return (Visit("", VisitEnd.refused, left_at=ends[0].at),)
    return tuple(stays)


def _is_of(join: QueueJoined, fact: Fact, since: datetime) -> bool:
    """Return whether a fact is about this stay: it names the queue, or is a queue's word after the stay began."""
    if isinstance(fact, QueueEnded):
        return fact.at > since
    return isinstance(fact, NAMED) and fact.queue == join.queue


def _stay(join: QueueJoined, during: Sequence[Fact]) -> Visit:
    connected = next((f for f in during if isinstance(f, AgentConnected)), None)
    finished = next((f for f in during if isinstance(f, AgentFinished)), None)
    left = next((f for f in during if isinstance(f, QueueLeft | QueueAbandoned)), None)
    answered_at = connected.at if connected else None
    left_at = left.at if left else answered_at
    return Visit(
        queue=join.queue,
        end=_end(during, has_left=left is not None, is_connected=connected is not None),
        joined_at=join.at,
        left_at=left_at,
        position=join.position,
        waited_s=(left_at - join.at).total_seconds() if left_at else None,
        interface=connected.interface if connected else None,
        agent_leg=connected.agent_leg if connected else None,
        ring_s=connected.ring_s if connected else None,
        talk_s=(finished.at - connected.at).total_seconds() if finished and connected else None,
        ended_by=finished.by if finished else None,
        missed=tuple(f.interface for f in during if isinstance(f, AgentMissed)),
    )


def _end(during: Sequence[Fact], *, has_left: bool, is_connected: bool) -> VisitEnd:
    """Return how it ended: an abandonment is the caller's own only when the queue itself did not let them go."""
    if is_connected:
        return VisitEnd.connected
    ends = {fact.end for fact in during if isinstance(fact, QueueEnded)}
    if QueueEnd.callback in ends:
        return VisitEnd.callback
    if ends:
        return VisitEnd.refused if ends <= {QueueEnd.full, QueueEnd.join_empty} else VisitEnd.timeout
    if any(isinstance(fact, QueueAbandoned) for fact in during):
        return VisitEnd.abandoned
    # Left without an agent and without a word of why: the agent's answer is still to be told.
    return VisitEnd.connected if has_left else VisitEnd.waiting
