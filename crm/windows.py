"""Spans of time as people say them: `today`, `last_7d`, `2026-03`, in a zone, as instants with the end left out."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

ROLLING = re.compile(r"(last|next)_([1-9]\d{0,3})(h|d)")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
MONTH = re.compile(r"(\d{4})-(\d\d)")
NAMED = ("today", "yesterday", "tomorrow", "this_week", "last_week", "this_month", "last_month", "this_year")
ALLOWED = f"{', '.join(NAMED)}, last_<n>h, last_<n>d, next_<n>h, next_<n>d, a day (2026-03-05), a month (2026-03)"


def check(text: str) -> str:
    """Return the text when it names a span.

    :raises ValueError: when it does not.
    """
    bounds(text, now=datetime(2026, 1, 1, tzinfo=UTC), zone=UTC)
    return text


def bounds(text: str, *, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the first instant of a span and the first one after it (UTC).

    Days, weeks (from Monday) and months are those of the zone; `last_7d` are seven whole days, today the last of
    them; `last_24h` ends now, `next_24h` begins now.
    :raises ValueError: when the text names no span.
    """
    if rolling := ROLLING.fullmatch(text):
        return _rolling(rolling[1], int(rolling[2]), rolling[3], now=now, zone=zone)
    if text in NAMED:
        first, after = _named(text, now.astimezone(zone).date())
    elif DAY.fullmatch(text):
        first = _in_our_time(date.fromisoformat(text))
        after = first + timedelta(days=1)
    elif month := MONTH.fullmatch(text):
        first = _in_our_time(date(int(month[1]), int(month[2]), 1))
        after = _next_month(first)
    else:
        raise ValueError(f"one of {ALLOWED}")
    return midnight(first, zone), midnight(after, zone)


def moves_with_now(text: str) -> bool:
    """Tell whether a span is another one at every instant, as `last_24h` is, and not from day to day only."""
    rolling = ROLLING.fullmatch(text)
    return rolling is not None and rolling[3] == "h"


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the instant (UTC) at which a day begins in a zone."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _in_our_time(day: date) -> date:
    if not 2000 <= day.year < 2100:
        raise ValueError("a day between 2000 and 2100")
    return day


def _rolling(way: str, count: int, unit: str, *, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    if unit == "h":
        span = timedelta(hours=count)
        return (now - span, now) if way == "last" else (now, now + span)
    today = now.astimezone(zone).date()
    first, after = (1 - count, 1) if way == "last" else (0, count)
    return midnight(today + timedelta(days=first), zone), midnight(today + timedelta(days=after), zone)


def _named(text: str, today: date) -> tuple[date, date]:
    day, monday, first = timedelta(days=1), today - timedelta(days=today.weekday()), today.replace(day=1)
    return {
        "today": (today, today + day),
        "yesterday": (today - day, today),
        "tomorrow": (today + day, today + 2 * day),
        "this_week": (monday, monday + 7 * day),
        "last_week": (monday - 7 * day, monday),
        "this_month": (first, _next_month(first)),
        "last_month": ((first - day).replace(day=1), first),
        "this_year": (today.replace(month=1, day=1), today.replace(year=today.year + 1, month=1, day=1)),
    }[text]


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
