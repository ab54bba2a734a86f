"""The clinic's business time: Istanbul's working hours, Sundays and Turkish public holidays."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

__all__ = ["UTC", "ZONE", "holiday", "next_working", "working"]

ZONE = ZoneInfo("Europe/Istanbul")


@cache
def _turkey() -> holidays.HolidayBase:
    return holidays.country_holidays("TR")


@cache
def holiday(day: date) -> bool:
    """Tell whether a day is a public holiday in Türkiye."""
    return day in _turkey()


def working(day: date, *, sundays: bool = False) -> bool:
    """Tell whether the sales floor works on a day: not on Sundays and public holidays, but for those on duty then."""
    return sundays or (day.weekday() != 6 and not holiday(day))


def next_working(
    at: datetime, *, opens: int, closes: int, off: frozenset[date] = frozenset(), sundays: bool = False
) -> datetime:
    """Return the first instant from `at` on that lies in a shift (local hours), on a working day that is not `off`."""
    local = at.astimezone(ZONE)
    for ahead in range(60):
        day = local.date() + timedelta(days=ahead)
        if day in off or not working(day, sundays=sundays):
            continue
        midnight = datetime.combine(day, time(), ZONE)
        start = midnight + timedelta(hours=opens)
        if local < midnight + timedelta(hours=closes):
            return at if local >= start else start.astimezone(UTC)
    return at + timedelta(days=60)
