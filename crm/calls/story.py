"""What happened in a call, from whatever facts are there, in whatever order they came, told once or twice.

Nothing is carried from fact to fact: each answer is worked out from all of them, so that a late one changes just what
it says. Q.850 causes: ITU-T Recommendation Q.850, table 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crm.calls import spans, visits
from crm.calls.facts import (
    Detected,
    DialBegan,
    DialEnded,
    Dialled,
    DialReported,
    Fact,
    LegEnded,
    LegStarted,
    RecordWritten,
    Vanished,
    Verdict,
)
from crm.calls.known import Direction, Known
from crm.calls.visits import Visit, VisitEnd


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
    unknown = "unknown"
    """It ended unheard, and nothing known of it says how."""


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
    known = Known(call_id, direction, facts)
    answered_at = known.answered_at(known.customer)
    ended = known.first(LegEnded, known.customer) if known.customer else None
    stays = visits.of(known.facts)
    talks = spans.talks(known)
    holds = spans.holds(known)
    return Story(
        outcome=_after_answer(known, stays, ended) if answered_at else _without_answer(known, ended),
        cause=ended.cause if ended else None,
        verdict=next((fact.verdict for fact in reversed(known.all(Detected))), None),
        started_at=known.facts[0].at if known.facts else None,
        answered_at=answered_at,
        connected_at=talks[0][0] if talks else None,
        ended_at=_ended_at(known, ended),
        ring_s=_rang(known, answered_at or (ended.at if ended else None)),
        talk_s=round(spans.length(talks) - spans.length(spans.shared(talks, holds)), 3),
        held_s=round(spans.length(holds), 3),
        visits=stays,
    )


def _after_answer(known: Known, stays: Sequence[Visit], ended: LegEnded | None) -> Outcome:
    if any(fact.verdict is Verdict.machine for fact in known.all(Detected)):
        return Outcome.machine
    if not stays or any(stay.end in (VisitEnd.connected, VisitEnd.callback) for stay in stays):
        return Outcome.answered
    if stays[-1].end is VisitEnd.abandoned:
        return Outcome.abandoned
    if ended:
        return Outcome.dropped
    return Outcome.unknown if known.all(Vanished) else Outcome.answered


def _without_answer(known: Known, ended: LegEnded | None) -> Outcome:
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
    if ended or refused:
        return Outcome.failed
    return _from_record(known) if known.all(Vanished) else Outcome.open


def _from_record(known: Known) -> Outcome:
    """Return how a call that ended unheard ended by the exchange's own record of it, when there is one."""
    record = _record(known)
    return BY_DIALLING.get(record.dialled, Outcome.unknown) if record else Outcome.unknown


def _without_agent(known: Known) -> Outcome:
    """Return how a call stands whose agent did not answer: the customer was never called."""
    ended, refused = known.first(LegEnded, known.call_id), known.refused()
    if ended is None and refused is None:
        return Outcome.unknown if known.all(Vanished) else Outcome.open
    if (ended and ended.cause in BY_CAUSE) or (refused and refused.reason in BY_REASON):
        return Outcome.agent_no_answer
    return Outcome.cancelled if ended and ended.cause == NORMAL else Outcome.failed


def _ended_at(known: Known, ended: LegEnded | None) -> datetime | None:
    """Return when nothing of the call was left for the customer; a call may end without ever having had a leg."""
    if ended is not None:
        return ended.at
    vanished = _unheard_at(known)
    if known.customer and known.direction is Direction.agent_first:
        return vanished
    if of_agent := known.first(LegEnded, known.call_id):
        return of_agent.at
    refused = known.refused()
    if refused and not known.all(LegStarted):
        return refused.at
    return vanished


def _unheard_at(known: Known) -> datetime | None:
    """Return when a call ended that nobody heard end: by its record, else when it was found to be gone."""
    vanished, record = known.first(Vanished), _record(known)
    return record.at if vanished and record else vanished.at if vanished else None


def _record(known: Known) -> RecordWritten | None:
    """Return the exchange's own record of the customer's leg."""
    records = known.all(RecordWritten, leg=known.customer) if known.customer else []
    return records[-1] if records else None


def _rang(known: Known, until: datetime | None) -> float | None:
    """Return for how many seconds the customer's leg was being called."""
    began = next(iter(known.all(DialBegan, LegStarted, leg=known.customer)), None)
    return round((until - began.at).total_seconds(), 3) if began and until else None
