"""A day's news against its past: arithmetic on counts, without database or clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median

WINDOW = timedelta(days=28)
"""The past that a day is compared with."""
ENOUGH_DAYS = 7
"""Days of a past before volumes are compared."""
ENOUGH_ROWS = 20
"""Rows of a past before shares are compared."""
FEW = 5
"""Fewer rows than these say nothing of a share, and a part that brings fewer a day is not missed."""
LAST = 7
"""Days back from which a form's questions are known."""


@dataclass(frozen=True, slots=True)
class Day:
    """What came in one part of a feed (a form, a direction of calls) on one day of the firm's calendar."""

    day: date
    rows: int
    figures: Mapping[str, int] = field(default_factory=dict)
    """How many of the rows have each trait."""
    questions: frozenset[str] = frozenset()
    """Names of the questions that most people answered."""


def against_usual(day: Day, past: Sequence[Day], *, is_over: bool) -> dict[str, object]:
    """Return what the rules ask of a day: its volume, the share of each figure, and how far that rose.

    None: there is too little to compare. A day that is not over is never found short of rows.
    """
    window = [each for each in past if day.day - WINDOW <= each.day < day.day]
    found: dict[str, object] = {
        "volume_ratio": _volume(day, window, is_over=is_over),
        "changed_questions": _changed(day, window),
    }
    rows = sum(each.rows for each in window)
    for name, count in day.figures.items():
        share = count / day.rows if day.rows >= FEW else None
        found[f"{name}_share"] = share
        usual = sum(each.figures.get(name, 0) for each in window) / rows if rows >= ENOUGH_ROWS else None
        found[f"{name}_rise"] = None if share is None or usual is None else share - usual
    return found


def _volume(day: Day, window: Sequence[Day], *, is_over: bool) -> float | None:
    usual = median(each.rows for each in window) if len(window) >= ENOUGH_DAYS else 0
    if usual < FEW:
        return None
    ratio = day.rows / usual
    return ratio if is_over else max(1.0, ratio)


def _changed(day: Day, window: Sequence[Day]) -> str | None:
    """Return which questions went (−) and came (+), in the firm's own words; None when a form asks what it asked."""
    known = sorted((each for each in window if each.rows >= FEW), key=lambda each: each.day)[-LAST:]
    if day.rows < FEW or len(known) < 3:
        return None
    gone = frozenset.intersection(*(each.questions for each in known)) - day.questions
    new = day.questions - frozenset.union(*(each.questions for each in known))
    told = [f"{sign} {', '.join(sorted(names))}" for sign, names in (("−", gone), ("+", new)) if names]
    return "; ".join(told) or None
