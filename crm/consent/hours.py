"""Calling hours: when the law of a country, or a firm's own stricter word, lets people be called. Pure and dated.

They hold in the called person's own time; where several zones are possible, in all of them. What comes along is below
with its source; a tenant's own hours (`crm.calling_hours`) take its place from their day on. It is an engineering
default and no advice: who calls abroad checks what holds there.

Statute or regulation:
- US: 47 CFR 64.1200(c)(1), 16 CFR 310.4(c): no solicitation before 8:00 or after 21:00 at the called party's place.
- CA: CRTC Unsolicited Telecommunications Rules, part III: weekdays 9:00-21:30, weekends 10:00-18:00.
- FR: décret 2022-1313 (code de la consommation, D223-9): Monday to Friday 10-13 and 14-20, not on public holidays.
- AE: Cabinet Resolution 56 of 2024: 9:00-18:00.
- AU: Telemarketing and Research Industry Standard 2017: weekdays 9-20, Saturday 9-17, no Sundays or public holidays.
Custom of the trade, where the law rules consent and not hours:
- TR: the commercial messages regulation and İYS ask for consent and set no hour; 9-20, Sundays 10-18.
- DE: § 7 UWG asks for consent; weekdays 8-20, Saturday 9-18, no Sundays or public holidays.
- GB: PECR asks for consent or no objection; weekdays 8-21, Saturday 9-18, no Sundays or public holidays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from heapq import merge
from itertools import groupby
from zoneinfo import ZoneInfo

import holidays

WEEK = range(1, 8)
"""ISO: 1 is Monday."""
MONDAY_TO_FRIDAY = frozenset({1, 2, 3, 4, 5})
AHEAD = timedelta(days=14)
"""How far ahead the next open instant is looked for."""


@dataclass(frozen=True, slots=True)
class Window:
    """On these ISO weekdays, from one minute of the local day (inclusive) to another (exclusive; 1440 is midnight)."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """What holds in a country from a day on. `holidays`: whether public holidays are days like others."""

    valid_from: date
    windows: tuple[Window, ...]
    holidays: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person may be: whose hours hold (dated, any order; tenants' own first), and which clock they go by."""

    country: str
    zone: ZoneInfo
    hours: tuple[Hours, ...]


def _window(days: Iterable[int], start: float, end: float) -> Window:
    return Window(frozenset(days), int(start * 60), int(end * 60))


STRICTEST = Hours(date.min, (_window(MONDAY_TO_FRIDAY, 10, 13), _window(MONDAY_TO_FRIDAY, 14, 18)), holidays=False)
"""For countries we know nothing of, and days before anything was known: inside the hours of every country below."""

KNOWN: Mapping[str, tuple[Hours, ...]] = {
    "AE": (Hours(date(2024, 8, 27), (_window(WEEK, 9, 18),), holidays=True),),
    "AU": (Hours(date(2017, 6, 1), (_window(MONDAY_TO_FRIDAY, 9, 20), _window({6}, 9, 17)), holidays=False),),
    "CA": (Hours(date(2008, 9, 30), (_window(MONDAY_TO_FRIDAY, 9, 21.5), _window({6, 7}, 10, 18)), holidays=True),),
    "DE": (Hours(date(2004, 7, 8), (_window(MONDAY_TO_FRIDAY, 8, 20), _window({6}, 9, 18)), holidays=False),),
    "FR": (
        Hours(date(2023, 3, 1), (_window(MONDAY_TO_FRIDAY, 10, 13), _window(MONDAY_TO_FRIDAY, 14, 20)), holidays=False),
    ),
    "GB": (Hours(date(2003, 12, 11), (_window(MONDAY_TO_FRIDAY, 8, 21), _window({6}, 9, 18)), holidays=False),),
    "TR": (Hours(date(2015, 5, 1), (_window(range(1, 7), 9, 20), _window({7}, 10, 18)), holidays=True),),
    "US": (Hours(date(1992, 12, 20), (_window(WEEK, 8, 21),), holidays=True),),
}
"""By ISO 3166 country."""


def on(known: Iterable[Hours], day: date) -> Hours:
    """Return the hours that hold on a day: the latest that began by then, of several of one day the first named."""
    begun = [each for each in known if each.valid_from <= day]
    return max(begun, key=lambda each: each.valid_from, default=STRICTEST)


@cache
def public_holidays(country: str, year: int) -> frozenset[date]:
    """Return a country's nation-wide public holidays of a year; none for a country nothing is known of."""
    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return frozenset()


def _windows_of(place: Place, day: date) -> Sequence[Window]:
    hours = on(place.hours, day)
    if not hours.holidays and day in public_holidays(place.country, day.year):
        return ()
    return [window for window in hours.windows if day.isoweekday() in window.days]


def is_open(place: Place, at: datetime) -> bool:
    """Tell whether people at a place may be called at an instant (UTC)."""
    local = at.astimezone(place.zone)
    minute = local.hour * 60 + local.minute
    return any(window.start <= minute < window.end for window in _windows_of(place, local.date()))


def opens_at(places: Sequence[Place], at: datetime) -> datetime | None:
    """Return the first instant from `at` (UTC) on at which all places are open: `at` itself when they are.

    None when they are not within two weeks, as places on both sides of the earth with short hours never are.
    """
    if all(is_open(place, at) for place in places):
        return at
    coming = (start for start in merge(*(_starts(place, at) for place in places)) if start > at)
    return next((start for start, _ in groupby(coming) if all(is_open(place, start) for place in places)), None)


def _starts(place: Place, at: datetime) -> Iterable[datetime]:
    """Yield in their order when a place may open (UTC) in the days around and after an instant."""
    first = at.astimezone(place.zone).date()
    for ahead in range(AHEAD.days + 1):
        day = first + timedelta(days=ahead)
        midnight = datetime(day.year, day.month, day.day, tzinfo=place.zone)
        local = [midnight + timedelta(minutes=window.start) for window in _windows_of(place, day)]
        changes = list(_clock_changes(midnight))
        twice = [start.replace(fold=1) for start in local] if changes else []
        yield from sorted({*(start.astimezone(UTC) for start in (*local, *twice)), *changes})


def _clock_changes(midnight: datetime) -> Iterable[datetime]:
    """Yield when the clock of a zone changes (UTC, to the minute) in the day after a midnight: a place may open then.

    Forward it leaps into a window, back it falls into one that was over.
    """
    before, after = midnight.astimezone(UTC), (midnight + timedelta(days=1)).astimezone(UTC)
    zone, offset = midnight.tzinfo, midnight.utcoffset()
    if after.astimezone(zone).utcoffset() == offset:
        return
    while after - before > timedelta(minutes=1):
        middle = (before + (after - before) / 2).replace(second=0, microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    yield after
