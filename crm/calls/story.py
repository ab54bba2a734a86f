"""What happened in a call, from whatever facts are there, in whatever order they came, told once or twice.

Nothing is carried from fact to fact: each answer is worked out from all of them, so that a late one changes just what
it says. Q.850 causes: ITU-T Recommendation Q.850, table 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from crm.calls import visits
from crm.calls.facts import (
    AgentConnected,
    BridgeEntered,
    BridgeLeft,
    Detected,
    DialBegan,
    DialEnded,
    Dialled,
    DialReported,
    Fact,
    Held,
    LegAnswered,
    LegEnded,
    LegStarted,
    OriginateEnded,
    Unheld,
    Verdict,
)
from crm.calls.visits import Visit, VisitEnd


class Direction(StrEnum):
    """Who is connected first."""

    agent_first = "agent_first"
    """Click to call: the agent's telephone, then the customer."""
    customer_first = "customer_first"
    """Predictive: the customer, then whoever is free."""
    inbound = "inbound"


class Outcome(StrEnum):
    """How a call went for the customer. `open`: not known yet."""

    open = "open"
    answered = "answered"
    machine = "machine"
    busy = "busy"
    no_answer = "no_answer"
    rejected = "rejected"
    congestion = "congestion"
    invalid = "invalid"
    cancelled = "cancelled"
    agent_no_answer = "agent_no_answer"
    abandoned = "abandoned"
    dropped = "dropped"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Story:
    """A call. Times are UTC; `connected_at`: customer and agent hear each other; seconds are by the exchange's clock.

    `cause`: Q.850 of the customer's leg, None while it lives or when it never was.
    """

    outcome: Outcome
    cause: int | None = None
    verdict: Verdict | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    ring_s: float | None = None
    talk_s: float = 0.0
    held_s: float = 0.0
    visits: tuple[Visit, ...] = ()


F = TypeVar("F", bound=Fact)
Span = tuple[datetime, datetime]

BY_CAUSE = {
    17: Outcome.busy,
    18: Outcome.no_answer, 19: Outcome.no_answer, 20: Outcome.no_answer, 31: Outcome.no_answer,
    21: Outcome.rejected,
    1: Outcome.invalid, 2: Outcome.invalid, 3: Outcome.invalid, 22: Outcome.invalid, 28: Outcome.invalid,
    27: Outcome.congestion, 34: Outcome.congestion, 38: Outcome.congestion, 41: Outcome.congestion,
    42: Outcome.congestion, 44: Outcome.congestion, 47: Outcome.congestion,
}  # fmt: skip
"""What a leg that never answered ended of. 16 (normal) and 0 (unknown) say nothing."""
BY_DIALLING = {
    Dialled.busy: Outcome.busy,
    Dialled.congestion: Outcome.congestion,
    Dialled.unavailable: Outcome.invalid,
    Dialled.cancelled: Outcome.cancelled,
    Dialled.no_answer: Outcome.no_answer,
}
BY_REASON = {3: Outcome.no_answer, 5: Outcome.busy, 8: Outcome.congestion}
NORMAL = 16


def tell(call_id: str, direction: Direction, facts: Iterable[Fact]) -> Story:
    """Return the story of a call from its facts so far."""
    known = _Known(call_id, direction, facts)
    answered_at = known.answered_at(known.customer)
    ended = known.first(LegEnded, known.customer) if known.customer else None
    stays = visits.of(known.facts)
    talks = _talks(known)
    return Story(
        outcome=_after_answer(known, stays, ended) if answered_at else _without_answer(known, ended),
        cause=ended.cause if ended else None,
        verdict=next((fact.verdict for fact in reversed(known.all(Detected))), None),
        started_at=known.facts[0].at if known.facts else None,
        answered_at=answered_at,
        connected_at=talks[0][0] if talks else None,
        ended_at=_ended_at(known, ended),
        ring_s=_rang(known, answered_at or (ended.at if ended else None)),
        talk_s=round(_length(talks) - _held(known, talks), 3),
        held_s=round(_held(known, talks), 3),
        visits=stays,
    )


class _Known:
    """The facts of a call in the order of their time, each once, and the questions asked of them."""

    def __init__(self, call_id: str, direction: Direction, facts: Iterable[Fact]) -> None:
        self.call_id = call_id
        self.direction = direction
        self.facts: list[Fact] = sorted(set(facts), key=lambda fact: (fact.at, repr(fact)))
        self.customer = self._customer()
        """The customer's leg; empty as long as nobody has dialled it."""

    def _customer(self) -> str:
        if self.direction is not Direction.agent_first:
            return self.call_id
        for fact in self.facts:
            if isinstance(fact, DialBegan | DialEnded) and fact.by_leg == self.call_id:
                return fact.leg_id
        return ""

    def all(self, *kinds: type[F], leg: str | None = None) -> list[F]:
        """Return the facts of some kinds, of one leg or of all."""
        return [fact for fact in self.facts if isinstance(fact, kinds) and leg in (None, fact.leg_id)]

    def first(self, kind: type[F], leg: str | None = None) -> F | None:
        """Return the earliest fact of a kind."""
        return next(iter(self.all(kind, leg=leg)), None)

    def answered_at(self, leg: str) -> datetime | None:
        """Return when a leg answered; None when it did not, or is none."""
        if not leg:
            return None
        told = [fact.at for fact in self.all(LegAnswered, leg=leg)]
        told += [fact.at for fact in self.all(DialEnded, leg=leg) if fact.dialled is Dialled.answer]
        told += [fact.at for fact in self.all(OriginateEnded, leg=leg) if fact.has_succeeded]
        return min(told, default=None)

    def refused(self) -> OriginateEnded | None:
        """Return the exchange's word that what we asked for came to nothing."""
        return next((fact for fact in self.all(OriginateEnded) if not fact.has_succeeded), None)


def _after_answer(known: _Known, stays: Sequence[Visit], ended: LegEnded | None) -> Outcome:
    if any(fact.verdict is Verdict.machine for fact in known.all(Detected)):
        return Outcome.machine
    if not stays or any(stay.end is VisitEnd.connected for stay in stays):
        return Outcome.answered
    if stays[-1].end is VisitEnd.abandoned:
        return Outcome.abandoned
    return Outcome.dropped if ended else Outcome.answered


def _without_answer(known: _Known, ended: LegEnded | None) -> Outcome:
    """Return why nobody answered: by the cause of the leg, what was told of dialling, the exchange's own reason."""
    if known.direction is Direction.agent_first and not known.answered_at(known.call_id):
        return _without_agent(known)
    if ended is not None and ended.cause in BY_CAUSE:
        return BY_CAUSE[ended.cause]
    told = {BY_DIALLING.get(fact.dialled) for fact in known.all(DialEnded)}
    told |= {BY_DIALLING.get(fact.dialled) for fact in known.all(DialReported)}
    for outcome in (Outcome.busy, Outcome.congestion, Outcome.invalid):
        if outcome in told:
            return outcome
    refused = known.refused()
    if refused is not None and refused.reason in BY_REASON:
        return BY_REASON[refused.reason]
    if Outcome.cancelled in told or (ended is not None and ended.cause == NORMAL):
        return Outcome.cancelled
    if Outcome.no_answer in told:
        return Outcome.no_answer
    return Outcome.failed if ended or refused else Outcome.open


def _without_agent(known: _Known) -> Outcome:
    """Return how a call stands whose agent did not answer: the customer was never called."""
    ended, refused = known.first(LegEnded, known.call_id), known.refused()
    if ended is None and refused is None:
        return Outcome.open
    if (ended and ended.cause in BY_CAUSE) or (refused and refused.reason in BY_REASON):
        return Outcome.agent_no_answer
    return Outcome.cancelled if ended and ended.cause == NORMAL else Outcome.failed


def _ended_at(known: _Known, ended: LegEnded | None) -> datetime | None:
    """Return when nothing of the call was left for the customer; a call may end without ever having had a leg."""
    if ended is not None:
        return ended.at
    if known.customer and known.direction is Direction.agent_first:
        return None
    if of_agent := known.first(LegEnded, known.call_id):
        return of_agent.at
    refused = known.refused()
    return refused.at if refused and not known.all(LegStarted) else None


def _rang(known: _Known, until: datetime | None) -> float | None:
    """Return for how many seconds the customer's leg was being called."""
    began = next(iter(known.all(DialBegan, LegStarted, leg=known.customer)), None)
    return round((until - began.at).total_seconds(), 3) if began and until else None


def _talks(known: _Known) -> list[Span]:
    """Return when the customer was in a bridge with somebody; an open end is the last moment known of.

    In a queue a bridge counts from the agent's answer on: a trunk may have bridges of its own before.
    """
    agent = known.first(AgentConnected)
    if agent is None and known.all(*visits.OF_QUEUE):
        return []
    spans: list[Span] = []
    inside: dict[str, datetime] = {}
    for fact in known.all(BridgeEntered, BridgeLeft, LegEnded, leg=known.customer):
        if isinstance(fact, BridgeEntered):
            inside.setdefault(fact.bridge_id, fact.at)
        elif isinstance(fact, BridgeLeft):
            spans += [(inside.pop(fact.bridge_id), fact.at)] if fact.bridge_id in inside else []
        else:
            spans += [(entered, fact.at) for entered in inside.values()]
            inside.clear()
    spans += [(entered, known.facts[-1].at) for entered in inside.values()]
    since = agent.at if agent else None
    return sorted((max(start, since or start), end) for start, end in spans if since is None or end > since)


def _held(known: _Known, talks: Sequence[Span]) -> float:
    """Return for how many seconds of the talk somebody had the call on hold: who leaves the call holds it no longer."""
    holds: list[Span] = []
    since: dict[str, datetime] = {}
    for fact in known.all(Held, Unheld, LegEnded):
        if isinstance(fact, Held):
            since.setdefault(fact.leg_id, fact.at)
        elif began := since.pop(fact.leg_id, None):
            holds.append((began, fact.at))
    shared = [(max(talk[0], hold[0]), min(talk[1], hold[1])) for talk in talks for hold in holds]
    return _length([span for span in shared if span[0] < span[1]])


def _length(spans: Sequence[Span]) -> float:
    return sum((end - start).total_seconds() for start, end in spans)
