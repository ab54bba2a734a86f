"""When a campaign dials, and how much at a time. Pure.

A campaign's windows are weekly hours by its own clock; without any it may dial whenever the people it calls may be
called. Whether a person may be called is another matter, and asked for each call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from crm.calendars.rules import ALWAYS, Calendar, Hours, Week

MOST_WINDOWS = 50


def calendar(windows: Sequence[Hours], timezone: str) -> Calendar:
    """Return the calendar of a campaign's windows in its zone (IANA); open around the clock without any."""
    zone = ZoneInfo(timezone)
    if not windows:
        return Calendar(zone, ALWAYS.weeks)
    return Calendar(zone, (Week(date.min, tuple(windows)),))


def shift_began(at: datetime, timezone: str) -> datetime:
    """Return when the shift of an instant began (UTC): the midnight before it, by the campaign's own clock."""
    local = at.astimezone(ZoneInfo(timezone))
    return datetime.combine(local.date(), time(), ZoneInfo(timezone)).astimezone(UTC)


def shift_ends(at: datetime, opening: Calendar) -> datetime:
    """Return when the window that is open at an instant closes (UTC, to the second), its day's end at the latest."""
    local = at.astimezone(opening.zone)
    midnight = datetime.combine(local.date() + timedelta(days=1), time(), opening.zone).astimezone(UTC)
    if _is_open_until(midnight, at, opening):
        return midnight
    sooner, later = at, midnight
    while later - sooner > timedelta(seconds=0.5):
        middle = sooner + (later - sooner) / 2
        sooner, later = (middle, later) if _is_open_until(middle, at, opening) else (sooner, middle)
    return (sooner + timedelta(seconds=0.5)).replace(microsecond=0)


def _is_open_until(until: datetime, since: datetime, opening: Calendar) -> bool:
    return opening.open_seconds(since, until) >= (until - since).total_seconds()


def windows_of(stored: Iterable[Sequence[int]]) -> tuple[Hours, ...]:
    """Return windows as they are stored: `[weekday, opens, closes]`, minutes of the day.

    :raises ValueError: when they are none.
    """
    return tuple(Hours(*each) for each in stored)


def stored(windows: Iterable[Hours]) -> list[list[int]]:
    """Return windows as they are stored."""
    return [[each.weekday, each.opens, each.closes] for each in windows]


@dataclass(slots=True)
class Throttle:
    """At most so many calls a second (None: no limit), and `burst` at once after a pause; a leaky bucket.

    `at` and the seconds are of any one clock. `take` is asked after how many calls may begin now.
    """

    per_s: float | None
    level: float = 0.0
    at: float | None = None

    @property
    def burst(self) -> float:
        """Calls that may begin at once: those of a second, one at least."""
        return max(1.0, self.per_s or 0.0)

    def room(self, at: float) -> int | None:
        """Return how many calls may begin at an instant; None: any number."""
        if self.per_s is None:
            return None
        return int(self.burst - self._left(at) + 1e-9)

    def took(self, calls: int, at: float) -> None:
        """Note that so many calls began."""
        if self.per_s is not None:
            self.level, self.at = self._left(at) + calls, at

    def _left(self, at: float) -> float:
        passed = at - self.at if self.at is not None else 0.0
        return max(0.0, self.level - passed * (self.per_s or 0.0))
