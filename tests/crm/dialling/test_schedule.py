"""A campaign's windows, its shift, and how many calls may begin."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from crm.calendars.rules import Hours
from crm.dialling import schedule
from crm.dialling.schedule import Throttle

ZONE = "Europe/Istanbul"
NOON = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


class TestCalendar:
    def test_without_windows_is_always_open(self):
        assert schedule.calendar([], ZONE).is_open(NOON.replace(hour=1))

    def test_keeps_to_its_windows_by_its_own_clock(self):
        opening = schedule.calendar([Hours(1, 9 * 60, 18 * 60)], ZONE)

        assert opening.is_open(datetime(2026, 3, 3, 6, 0, tzinfo=UTC))
        assert not opening.is_open(datetime(2026, 3, 3, 15, 0, tzinfo=UTC))
        assert not opening.is_open(datetime(2026, 3, 4, 9, 0, tzinfo=UTC))


class TestShift:
    def test_begins_at_midnight_by_its_own_clock(self):
        assert schedule.shift_began(NOON, ZONE) == datetime(2026, 3, 2, 21, tzinfo=UTC)

    def test_ends_with_its_window(self):
        opening = schedule.calendar([Hours(1, 9 * 60, 18 * 60)], ZONE)

        assert schedule.shift_ends(NOON, opening) == datetime(2026, 3, 3, 15, tzinfo=UTC)

    def test_ends_with_the_day_where_no_window_does(self):
        assert schedule.shift_ends(NOON, schedule.calendar([], ZONE)) == datetime(2026, 3, 3, 21, tzinfo=UTC)


class TestThrottle:
    def test_has_no_limit_without_one(self):
        assert Throttle(None).room(0.0) is None

    def test_lets_a_slow_one_begin_now_and_then(self):
        slow = Throttle(0.5)

        slow.took(slow.room(0.0), 0.0)

        assert [slow.room(at) for at in (0.0, 1.0, 1.9, 2.0)] == [0, 0, 0, 1]

    @given(st.floats(0.1, 50), st.lists(st.floats(0, 3), max_size=60))
    def test_never_lets_more_begin_than_its_rate_and_one_burst(self, per_s: float, pauses: list[float]):
        throttle, at, began = Throttle(per_s), 0.0, 0
        for pause in pauses:
            at += pause
            room = throttle.room(at)
            throttle.took(room, at)
            began += room

        assert began <= throttle.burst + per_s * at + 1e-6


class TestWindows:
    def test_are_read_as_they_were_stored(self):
        windows = (Hours(0, 540, 1080), Hours(5, 600, 1500))

        assert schedule.windows_of(schedule.stored(windows)) == windows
        assert timedelta(minutes=windows[1].closes) > timedelta(days=1)
