"""When check-ins are due: days after the procedure, moved to when the team works."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crm.calendars import rules as calendars
from crm.calendars.rules import CLOSED, Calendar, Week
from crm.followups import plan
from crm.followups.plan import CheckInPlan

ISTANBUL = ZoneInfo("Europe/Istanbul")
NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
"""A Tuesday, half past twelve in Istanbul."""
OFFICE = calendars.plain(ISTANBUL)


def due(days, on, *, calendar=OFFICE, at=time(10), now=NOW):
    found = plan.wanted(CheckInPlan(days=[], at=at), days, on, calendar, now)
    return [(each.day, each.due_at.astimezone(ISTANBUL)) for each in found]


def local(*parts):
    return datetime(*parts, tzinfo=ISTANBUL)


class TestWanted:
    def test_is_asked_at_its_hour_of_the_teams_zone(self):
        assert due([1, 7], date(2026, 3, 4)) == [(1, local(2026, 3, 5, 10)), (7, local(2026, 3, 11, 10))]

    def test_waits_for_the_next_opening(self):
        sunday = date(2026, 3, 8)
        holiday = Calendar(ISTANBUL, OFFICE.weeks, {date(2026, 3, 9): CLOSED})

        assert due([0], sunday) == [(0, local(2026, 3, 9, 9))]
        assert due([0], sunday, calendar=holiday) == [(0, local(2026, 3, 10, 9))]
        assert due([0], date(2026, 3, 6), at=time(20)) == [(0, local(2026, 3, 7, 10))]

    def test_asks_for_today_but_not_for_the_past(self):
        assert due([0, 1, 7], date(2026, 3, 2)) == [(1, NOW), (7, local(2026, 3, 9, 10))]

    def test_what_is_known_of_after_hours_waits_for_the_morning(self):
        evening = datetime(2026, 3, 3, 19, tzinfo=UTC)

        assert due([0], date(2026, 3, 3), now=evening) == [(0, local(2026, 3, 4, 9))]

    def test_a_calendar_that_never_opens_moves_nothing(self):
        shut = Calendar(ISTANBUL, (Week(date.min, ()),))

        assert due([1], date(2026, 3, 4), calendar=shut) == [(1, local(2026, 3, 5, 10))]

    @given(
        st.dates(date(2025, 1, 1), date(2030, 1, 1)),
        st.lists(st.integers(0, 400), max_size=6, unique=True),
        st.times().map(lambda at: at.replace(second=0, microsecond=0)),
        st.sampled_from(["Europe/Istanbul", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    )
    def test_is_always_to_come_in_open_time_and_on_its_day_or_later(self, on, days, at, zone):
        calendar = calendars.plain(ZoneInfo(zone))

        found = plan.wanted(CheckInPlan(days=[], at=at), days, on, calendar, NOW)

        today = NOW.astimezone(calendar.zone).date()
        assert {each.day for each in found} == {day for day in days if on + timedelta(days=day) >= today}
        for each in found:
            assert each.due_at >= NOW
            assert calendar.is_open(each.due_at)
            assert each.due_at.astimezone(calendar.zone).date() >= on + timedelta(days=each.day)


class TestCheckInPlan:
    def test_kinds_may_have_days_of_their_own(self):
        plans = CheckInPlan(days=[7, 1, 7], by_type={"dental": [2]})

        assert (plans.days_of("hair"), plans.days_of(None), plans.days_of("dental")) == ([1, 7], [1, 7], [2])

    @pytest.mark.parametrize(
        "parts",
        [{"days": [-1]}, {"days": [4000]}, {"days": [1], "at": "10:00Z"}, {"days": [1], "by_type": {"A b": []}}],
    )
    def test_refuses_what_is_no_plan(self, parts):
        with pytest.raises(ValidationError):
            CheckInPlan.model_validate(parts)
