"""The arithmetic of open time: weekly hours valid from a date, special days, in a zone. No database, no clock.

Hours are wall-clock time; everything handed in and out is an instant (aware datetime; results in UTC). A border of
hours is the first instant at which the wall clock shows that time or has jumped past it, so that days of 23 and of 25
hours count right. Hours belong to the day they begin on, also where they pass midnight: a day off takes away what
begins on it, and leaves the night before it alone.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = 24 * 60
"""Minutes of a wall-clock day."""
WEEK = timedelta(days=7)
EPOCH = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday; open time is worked out, and remembered, by weeks of UTC counted from here."""
HORIZON = 160
"""Weeks without an opening (three years) after which a calendar counts as closed for good."""
REACH = 1044
"""Weeks (twenty years) beyond which nothing is looked for, however rarely it is open until then."""

Span = tuple[datetime, datetime]
"""From an instant (included) to an instant (excluded), UTC."""


class NeverOpens(ValueError):
    """No instant lies so many open seconds away: no opening for three years, or too few of them in twenty."""


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """Open from one minute of the wall-clock day to another. `weekday`: 0 is Monday; `closes` may pass midnight."""

    weekday: int
    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not (0 <= self.weekday <= 6 and 0 <= self.opens < DAY and self.opens < self.closes <= 2 * DAY):
            raise ValueError(f"no hours of a week: {self}")


@dataclass(frozen=True, slots=True)
class Week:
    """Weekly hours from a date on, until the next ones; in a zone of their own when they name one."""

    valid_from: date
    hours: tuple[Hours, ...]
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One date that is unlike its weekday: other hours (weekday ignored), or closed from a minute on (0: all day)."""

    hours: tuple[Hours, ...] | None = None
    closed_from: int | None = None


CLOSED = Day(closed_from=0)
USUAL = Day()
"""A day like any other of its weekday, said where a wider calendar says otherwise."""


def weekly(days: Iterable[int], opens: int, closes: int) -> tuple[Hours, ...]:
    """Return the same hours for several weekdays; `opens` and `closes` in minutes of the day."""
    return tuple(Hours(day, opens, closes) for day in days)


DEFAULT_HOURS = weekly(range(5), 9 * 60, 18 * 60) + weekly([5], 10 * 60, 16 * 60)
"""Where nobody said otherwise: Monday to Friday 09:00–18:00, Saturday 10:00–16:00."""


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant (UTC) at which a zone's wall clock shows a naive time, or has jumped past it."""
    found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), found
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            after = middle
        else:
            before = middle
    return after


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the union of spans, in order, without overlaps and touching ones made one."""
    union: list[Span] = []
    for begins, ends in sorted(spans):
        if union and begins <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], ends))
        elif begins < ends:
            union.append((begins, ends))
    return tuple(union)


@dataclass(frozen=True)
class Calendar:
    """When somebody works. `weeks` ordered by their date; before the first of them nobody does."""

    zone: ZoneInfo
    weeks: tuple[Week, ...]
    days: Mapping[date, Day] = field(default_factory=dict)
    _known: dict[int, tuple[Span, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def is_open(self, at: datetime) -> bool:
        """Tell whether it is open at an instant; the instant of closing is closed."""
        return any(begins <= at < ends for begins, ends in self._spans(_week(at)))

    def open_seconds(self, since: datetime, until: datetime) -> float:
        """Return how many seconds are open from one instant to another, 0 when `until` is not after `since`."""
        # Two times of one zone are compared and subtracted as wall clocks, whatever happened to the clocks between.
        total, since, until = timedelta(), since.astimezone(UTC), until.astimezone(UTC)
        for week in range(_week(since), _week(until) + 1):
            for begins, ends in self._spans(week):
                total += max(timedelta(), min(ends, until) - max(begins, since))
        return total.total_seconds()

    def after(self, since: datetime, seconds: float) -> datetime:
        """Return the first instant (UTC) by which so many open seconds have passed; `since` itself for none.

        :raises NeverOpens: when there is no opening for three years, or not so much open time in twenty.
        """
        left = timedelta(seconds=seconds)
        if left <= timedelta():
            return since.astimezone(UTC)
        for begins, ends in self._openings(since):
            if left <= ends - begins:
                return begins + left
            left -= ends - begins
        raise NeverOpens

    def next_opening(self, at: datetime) -> datetime | None:
        """Return the first open instant not before `at` (`at` itself when open), None when closed for three years."""
        return next((begins for begins, _ in self._openings(at)), None)

    def _openings(self, since: datetime) -> Iterator[Span]:
        """Return open spans from an instant on, in order; ends after a horizon without any, and out of reach."""
        first, begin, empty = _week(since), since.astimezone(UTC), 0
        for week in range(first, first + REACH):
            spans = [(max(begins, begin), ends) for begins, ends in self._spans(week) if ends > begin]
            yield from spans
            empty = 0 if spans else empty + 1
            if empty == HORIZON:
                return

    def _spans(self, week: int) -> tuple[Span, ...]:
        """Return what is open in one week of UTC."""
        if week not in self._known:
            begins = EPOCH + week * WEEK
            ends = begins + WEEK
            # A border lies up to two days after its date's midnight, and zones are up to 14 hours from UTC.
            dates = [begins.date() + timedelta(days=n) for n in range(-3, 9)]
            around = merged(span for day in dates for span in self._of_day(day))
            self._known[week] = tuple((max(a, begins), min(b, ends)) for a, b in around if a < ends and b > begins)
        return self._known[week]

    def _of_day(self, day: date) -> Iterator[Span]:
        """Return what begins on a date."""
        place = bisect_right(self.weeks, day, key=lambda week: week.valid_from)
        if not place:
            return
        week, special = self.weeks[place - 1], self.days.get(day, USUAL)
        usual = (hours for hours in week.hours if hours.weekday == day.weekday())
        zone, midnight = week.zone or self.zone, datetime.combine(day, time())
        for hours in usual if special.hours is None else special.hours:
            closes = hours.closes if special.closed_from is None else min(hours.closes, special.closed_from)
            if hours.opens < closes:
                begins, ends = midnight + timedelta(minutes=hours.opens), midnight + timedelta(minutes=closes)
                yield first_instant(begins, zone), first_instant(ends, zone)


def _week(at: datetime) -> int:
    return (at - EPOCH) // WEEK


def plain(zone: ZoneInfo) -> Calendar:
    """Return the calendar of those who never set one: the default hours, no holidays."""
    return Calendar(zone, (Week(date.min, DEFAULT_HOURS),))


ALWAYS = Calendar(ZoneInfo("UTC"), (Week(date.min, weekly(range(7), 0, DAY)),))
"""Open around the clock: its open seconds are all seconds."""
