"""When a lead is most likely to answer, learned from the firm's own attempts. Pure.

An attempt's chance of a live answer is the product of odds: the firm's base odds times, for the hour of the week, the
attempts made so far and the lead's source, how much the odds with that feature differ from the base (naive Bayes on
the odds scale; Hand & Yu 2001, "Idiot's Bayes: not so stupid after all?"). Each feature's rate is smoothed towards the
base as if `STRENGTH` attempts with the base rate had been made besides (the posterior mean under a beta prior), so
that an hour with three attempts says almost nothing. A lead's own unanswered tries in a part of the day count the same
way, with `OWN_STRENGTH`: who did not answer two mornings is tried in the evening.

Hours and weekdays are the called person's own (Monday is 0).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from crm.calendars.rules import Calendar

STRENGTH = 50.0
OWN_STRENGTH = 3.0
PRIOR = (30.0, 70.0)
"""Answered and unanswered attempts assumed before there are any: three in ten answer."""
MOST_COUNTED = 4
"""Attempts so far, beyond which they make no difference any more."""
LOWEST, HIGHEST = 0.01, 0.95
AHEAD = timedelta(hours=24)
"""How far beyond its cool-down a try may be put off for a better hour."""
AS_GOOD = 0.95
"""An hour with this share of the best chance is as good, when it comes sooner."""

PARTS = (6, 9, 12, 14, 17, 19, 24)
"""Ends of the parts of a day, in hours: night, early, morning, noon, afternoon, evening, late."""

Tally = tuple[int, int]
"""Attempts, and how many of them were answered live."""
NOTHING: Tally = (0, 0)


def part_of(hour: int) -> int:
    """Return the part of the day an hour (0 to 23) belongs to."""
    return next(n for n, end in enumerate(PARTS) if hour < end)


@dataclass(frozen=True, slots=True)
class Learned:
    """What the firm's attempts tell: all of them, by hour of the week, by attempts before, by the lead's source."""

    total: Tally = NOTHING
    by_hour: Mapping[tuple[int, int], Tally] = field(default_factory=lambda: MappingProxyType({}))
    by_attempts: Mapping[int, Tally] = field(default_factory=lambda: MappingProxyType({}))
    by_source: Mapping[str, Tally] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def base(self) -> float:
        """The chance that nothing more is known of."""
        answered, missed = PRIOR
        return (self.total[1] + answered) / (self.total[0] + answered + missed)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of a lead: its source, how often it was tried, and its own tries by part of the day."""

    source: str
    attempts: int = 0
    tries: Mapping[int, Tally] = field(default_factory=lambda: MappingProxyType({}))


def chance(learned: Learned, prospect: Prospect, weekday: int, hour: int) -> float:
    """Return the chance of a live answer in an hour of the lead's week, between `LOWEST` and `HIGHEST`."""
    base = learned.base
    tallies = (
        learned.by_hour.get((weekday, hour), NOTHING),
        learned.by_attempts.get(min(prospect.attempts, MOST_COUNTED), NOTHING),
        learned.by_source.get(prospect.source, NOTHING),
    )
    odds = _odds(base)
    for tally in tallies:
        odds *= _odds(_smoothed(tally, base, STRENGTH)) / _odds(base)
    own = _smoothed(prospect.tries.get(part_of(hour), NOTHING), odds / (1 + odds), OWN_STRENGTH)
    return min(HIGHEST, max(LOWEST, own))


def _smoothed(tally: Tally, base: float, strength: float) -> float:
    attempts, answered = tally
    return (answered + strength * base) / (attempts + strength)


def _odds(rate: float) -> float:
    return rate / (1 - rate)


def best_hour(learned: Learned, prospect: Prospect, hours: Iterable[tuple[int, int]]) -> tuple[int, float]:
    """Return the most promising of some hours (weekday, hour) and its chance; the earliest named wins a tie."""
    found = max(hours, key=lambda each: chance(learned, prospect, *each))
    return found[1], chance(learned, prospect, *found)


def next_at(
    learned: Learned, prospect: Prospect, since: datetime, *, open_in: Calendar, zone: ZoneInfo
) -> datetime | None:
    """Return when to try a lead again, not before `since` (UTC) and within `AHEAD` of the first open instant: in the
    first hour whose chance is about the best. None: the campaign's hours never open.
    """
    first = open_in.next_opening(since)
    if first is None:
        return None
    slots = _slots(first, open_in)
    chances = [chance(learned, prospect, at.astimezone(zone).weekday(), at.astimezone(zone).hour) for at in slots]
    best = max(chances)
    return next(at for at, each in zip(slots, chances, strict=True) if each >= AS_GOOD * best)


def _slots(first: datetime, open_in: Calendar) -> Sequence[datetime]:
    """Return the open instants at which the hours of a day ahead begin, the very first one among them."""
    full = (first + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    ahead = [full + timedelta(hours=n) for n in range(int(AHEAD / timedelta(hours=1)))]
    return [first, *(at for at in ahead if open_in.is_open(at))]
