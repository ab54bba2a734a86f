"""The statuses a call goes through, and those of them that its facts tell. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from crm.calls import spans
from crm.calls.facts import AgentCalled, DialBegan, Fact, LegRinging, LegStarted, QueueJoined
from crm.calls.known import Direction, Known
from crm.calls.story import Story


class Status(StrEnum):
    """Where a call is."""

    requested = "requested"
    denied = "denied"
    """Nobody may be called now: asked, and refused."""
    checked = "checked"
    originating = "originating"
    agent_ringing = "agent_ringing"
    ringing = "ringing"
    """The customer's telephone rings; or ours, when the customer calls."""
    answered = "answered"
    queued = "queued"
    connected = "connected"
    held = "held"
    ended = "ended"
    wrap_up = "wrap_up"
    """The conversation is over and its result not yet written down."""
    dispositioned = "dispositioned"


LIVE = frozenset(
    {
        Status.checked, Status.originating, Status.agent_ringing, Status.ringing, Status.answered, Status.queued,
        Status.connected, Status.held,
    }
)  # fmt: skip
"""The exchange has, or is about to have, something to do with it."""
TALKING = frozenset({Status.connected, Status.held})
AFTER_TALK = frozenset({Status.wrap_up, Status.dispositioned})


@dataclass(frozen=True, slots=True)
class Step:
    """A call came to be in a status, at an instant (UTC) of the exchange's clock."""

    status: Status
    at: datetime


def of(call_id: str, direction: Direction, facts: Iterable[Fact], story: Story) -> tuple[Step, ...]:
    """Return the statuses that a call's facts tell, in the order of their time, each change once.

    The exchange's part only: what comes before it is asked for, and what comes after it is written down by people.
    """
    known = Known(call_id, direction, facts)
    order = {status: n for n, status in enumerate(Status)}
    found = sorted(_all(known, story), key=lambda step: (step.at, order[step.status]))
    end = story.ended_at
    kept = [step for step in found if end is None or step.at <= end]
    changes = kept[:1] + [step for before, step in pairwise(kept) if before.status is not step.status]
    return (*changes, Step(Status.ended, end)) if end else tuple(changes)


def _all(known: Known, story: Story) -> Iterator[Step]:
    yield from _rings(known)
    if story.answered_at and known.direction is not Direction.inbound:
        yield Step(Status.answered, story.answered_at)
    yield from (Step(Status.queued, fact.at) for fact in known.all(QueueJoined))
    yield from _talks(known, story)


def _rings(known: Known) -> Iterator[Step]:
    """Yield when a telephone began to ring: the customer's, and each agent's."""
    for fact in known.all(AgentCalled):
        yield Step(Status.agent_ringing, fact.at)
    if known.direction is Direction.agent_first:
        began = next(iter(known.all(LegRinging, leg=known.call_id)), None)
        if began:
            yield Step(Status.agent_ringing, began.at)
    if known.direction is Direction.inbound and (came := known.first(LegStarted, known.customer)):
        yield Step(Status.ringing, came.at)
        return
    heard = known.all(LegRinging, leg=known.customer) if known.customer else []
    dialled = known.all(DialBegan, leg=known.customer) if known.customer else []
    if first := min((fact.at for fact in (*heard, *dialled)), default=None):
        yield Step(Status.ringing, first)


def _talks(known: Known, story: Story) -> Iterator[Step]:
    """Yield when the customer and somebody began to hear each other, and when a hold began and ended."""
    talks, holds = spans.talks(known), spans.holds(known)
    spoken = spans.union([*talks, *holds])
    for start, _ in spoken:
        yield Step(Status.connected, start)
    for start, end in holds:
        yield Step(Status.held, start)
        # Who speaks still does so until the last moment that is known of; who has gone does not.
        if end != story.ended_at and any(one[0] <= end <= one[1] for one in talks):
            yield Step(Status.connected, end)
