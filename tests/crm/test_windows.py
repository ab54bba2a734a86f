"""Spans of time as people say them, in a zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import windows

ISTANBUL, BERLIN = ZoneInfo("Europe/Istanbul"), ZoneInfo("Europe/Berlin")
LATE = datetime(2026, 3, 3, 22, 30, tzinfo=UTC)
"""A Tuesday evening in London, Wednesday half past one in Istanbul."""

SPANS = st.sampled_from(windows.NAMED) | st.from_regex(r"\A(last|next)_[1-9][0-9]{0,2}[hd]\Z")


class TestBounds:
    @pytest.mark.parametrize(
        ("text", "first", "after"),
        [
            ("today", "2026-03-04", "2026-03-05"),
            ("yesterday", "2026-03-03", "2026-03-04"),
            ("tomorrow", "2026-03-05", "2026-03-06"),
            ("this_week", "2026-03-02", "2026-03-09"),
            ("last_week", "2026-02-23", "2026-03-02"),
            ("this_month", "2026-03-01", "2026-04-01"),
            ("last_month", "2026-02-01", "2026-03-01"),
            ("this_year", "2026-01-01", "2027-01-01"),
            ("last_7d", "2026-02-26", "2026-03-05"),
            ("next_2d", "2026-03-04", "2026-03-06"),
            ("2026-03-05", "2026-03-05", "2026-03-06"),
            ("2026-12", "2026-12-01", "2027-01-01"),
        ],
    )
    def test_days_are_those_of_the_zone(self, text, first, after):
        begin, end = (datetime.fromisoformat(day).replace(tzinfo=ISTANBUL) for day in (first, after))

        assert windows.bounds(text, now=LATE, zone=ISTANBUL) == (begin, end)

    def test_hours_count_from_now(self):
        assert windows.bounds("last_24h", now=LATE, zone=ISTANBUL) == (LATE - timedelta(hours=24), LATE)
        assert windows.bounds("next_2h", now=LATE, zone=ISTANBUL) == (LATE, LATE + timedelta(hours=2))

    @pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
    def test_a_day_is_as_long_as_the_clock_makes_it(self, day, hours):
        first, after = windows.bounds(day, now=LATE, zone=BERLIN)

        assert after - first == timedelta(hours=hours)

    @given(SPANS, st.datetimes(datetime(2010, 1, 1), datetime(2090, 1, 1)))
    def test_a_span_has_a_length_and_lies_where_it_says(self, text, now):
        now = now.replace(tzinfo=UTC)

        first, after = windows.bounds(text, now=now, zone=BERLIN)

        assert first < after
        if text.startswith("last_") and text[5].isdigit():
            assert first < now <= after
        if text in ("today", "this_week", "this_month", "this_year"):
            assert first <= now < after

    @pytest.mark.parametrize(
        "text", ["", "Today", "last_0d", "last_d", "2026-13", "2026-02-30", "1999-01-01", "2100-01"]
    )
    def test_refuses_what_names_no_span(self, text):
        with pytest.raises(ValueError, match=r"\w"):
            windows.check(text)
