"""Open time, against somebody who counts every minute on a wall clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.calendars.rules import ALWAYS, CLOSED, DAY, USUAL, Calendar, Day, Hours, NeverOpens, Week, plain, weekly

ISTANBUL, BERLIN, NEW_YORK, LORD_HOWE = map(
    ZoneInfo, ("Europe/Istanbul", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
)
MINUTE = timedelta(minutes=1)
ODD_MINUTES = st.one_of(st.sampled_from([0, 90, 120, 150, 180, 540, 1080]), st.integers(0, DAY - 1))


@st.composite
def hours(draw):
    opens = draw(ODD_MINUTES)
    return Hours(draw(st.integers(0, 6)), opens, draw(st.integers(opens + 1, min(opens + 1500, 2 * DAY))))


@st.composite
def calendars(draw, around: date):
    """A calendar with odd hours, a change of hours or zone, holidays and half days near a date."""
    zones = st.sampled_from([ISTANBUL, BERLIN, NEW_YORK, LORD_HOWE])
    first = Week(date.min, tuple(draw(st.lists(hours(), min_size=1, max_size=8))))
    later = Week(
        around + timedelta(days=draw(st.integers(-4, 4))),
        tuple(draw(st.lists(hours(), max_size=8))),
        draw(st.none() | zones),
    )
    special = st.one_of(
        st.just(CLOSED), st.just(USUAL), st.builds(lambda m: Day(closed_from=m), ODD_MINUTES),
        st.builds(lambda h: Day(hours=tuple(h)), st.lists(hours(), max_size=2)),
    )  # fmt: skip
    days = draw(st.dictionaries(st.integers(-5, 5).map(lambda n: around + timedelta(days=n)), special, max_size=4))
    return Calendar(draw(zones), (first, later), days)


AROUND = st.sampled_from(
    [
        *(date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)),
        date(2026, 4, 5),  # by half an hour
        *(date(2015, 3, 29), date(2015, 11, 8), date(2016, 3, 27), date(2016, 9, 7)),  # Türkiye's last jumps, and none
    ]
)
"""Dates on which clocks jump somewhere."""


def counted(calendar: Calendar, since: datetime, until: datetime) -> list[datetime]:
    """Return every open minute of [since, until), found by watching the wall clocks minute by minute.

    A shift begins in the first minute whose wall clock shows its time or later, and ends likewise.
    """
    watch = [since - timedelta(days=4) + n * MINUTE for n in range(int((until - since) / MINUTE) + 8 * DAY)]
    open_minutes: set[datetime] = set()
    walls = {zone: [at.astimezone(zone).replace(tzinfo=None) for at in watch] for zone in
             {calendar.zone, *(week.zone for week in calendar.weeks if week.zone)}}  # fmt: skip
    first = (since - timedelta(days=4)).date()
    for n in range((until.date() - first).days + 4):
        day = first + timedelta(days=n)
        week = [week for week in calendar.weeks if week.valid_from <= day][-1]
        special = calendar.days.get(day, USUAL)
        shifts = [h for h in week.hours if h.weekday == day.weekday()] if special.hours is None else special.hours
        midnight = datetime.combine(day, datetime.min.time())
        wall = walls[week.zone or calendar.zone]
        for shift in shifts:
            closes = shift.closes if special.closed_from is None else min(shift.closes, special.closed_from)
            if shift.opens >= closes:
                continue
            begin = next((i for i, w in enumerate(wall) if w >= midnight + shift.opens * MINUTE), len(wall))
            end = next((i for i, w in enumerate(wall) if w >= midnight + closes * MINUTE), len(wall))
            open_minutes.update(watch[begin:end])
    return sorted(at for at in open_minutes if since <= at < until)


@st.composite
def cases(draw):
    around = draw(AROUND)
    since = datetime.combine(around, datetime.min.time(), UTC) + draw(st.integers(-2000, 1500)) * MINUTE
    return draw(calendars(around)), since, since + draw(st.integers(0, 3000)) * MINUTE


class TestOpenSeconds:
    @given(cases())
    @settings(deadline=None)
    def test_is_what_a_watcher_of_the_wall_clock_counts(self, case):
        calendar, since, until = case

        minutes = counted(calendar, since, until)

        assert calendar.open_seconds(since, until) == 60 * len(minutes)
        assert all(calendar.is_open(at) and calendar.is_open(at + timedelta(seconds=59.999999)) for at in minutes)
        closed = {since + n * MINUTE for n in range(int((until - since) / MINUTE))} - set(minutes)
        assert not any(calendar.is_open(at) for at in closed)

    @given(cases(), st.floats(0, 1), st.integers(0, 59_999_999))
    @settings(deadline=None)
    def test_adds_up_over_any_instant_between(self, case, share, micros):
        calendar, since, until = case
        since -= timedelta(microseconds=micros)
        between = since + (until - since) * share

        parts = calendar.open_seconds(since, between) + calendar.open_seconds(between, until)

        assert parts == pytest.approx(calendar.open_seconds(since, until), abs=1e-6)

    def test_counts_an_hour_less_in_the_night_the_clock_jumps(self):
        night = Calendar(BERLIN, (Week(date.min, weekly(range(7), 22 * 60, DAY + 6 * 60)),))

        spring = night.open_seconds(datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 3, 29, 12, tzinfo=BERLIN))
        autumn = night.open_seconds(
            datetime(2026, 10, 24, 12, tzinfo=BERLIN), datetime(2026, 10, 25, 12, tzinfo=BERLIN)
        )

        assert (spring, autumn) == (7 * 3600, 9 * 3600)

    @pytest.mark.parametrize(
        ("day", "hours"), [((2015, 3, 29), 23), ((2015, 11, 8), 25), ((2016, 10, 30), 24), ((2026, 3, 29), 24)]
    )
    def test_counts_days_in_turkiye_as_long_as_they_were(self, day, hours):
        always = Calendar(ISTANBUL, (Week(date.min, weekly(range(7), 0, DAY)),))
        first, following = datetime(*day, tzinfo=ISTANBUL), datetime(*day, tzinfo=ISTANBUL) + timedelta(days=1)

        assert always.open_seconds(first, following) == hours * 3600

    def test_is_nothing_backwards_and_everything_around_the_clock(self):
        monday = datetime(2026, 3, 2, 9, tzinfo=UTC)

        assert plain(ISTANBUL).open_seconds(monday, monday - timedelta(days=3)) == 0
        assert ALWAYS.open_seconds(monday, monday + timedelta(days=400)) == 400 * 86_400


class TestAfter:
    @given(cases(), st.integers(1, 200_000))
    @settings(deadline=None)
    def test_is_the_first_instant_by_which_so_much_open_time_has_passed(self, case, seconds):
        calendar, since, _ = case
        try:
            due = calendar.after(since, seconds)
        except NeverOpens:
            assert calendar.open_seconds(since, since + timedelta(days=400)) < seconds
            return

        assert calendar.open_seconds(since, due) == seconds
        assert calendar.open_seconds(since, due - timedelta(microseconds=1)) < seconds

    @given(cases())
    @settings(deadline=None)
    def test_never_passes_the_instant_until_which_the_time_was_counted(self, case):
        calendar, since, until = case

        back = calendar.after(since, calendar.open_seconds(since, until))

        assert back <= until
        assert calendar.open_seconds(back, until) == 0

    def test_ends_with_the_last_second_of_the_day_and_not_the_next_morning(self):
        friday = datetime(2026, 3, 6, 17, 45, tzinfo=ISTANBUL)

        assert plain(ISTANBUL).after(friday, 15 * 60) == datetime(2026, 3, 6, 18, tzinfo=ISTANBUL)
        assert plain(ISTANBUL).after(friday, 15 * 60 + 1) == datetime(2026, 3, 7, 10, 0, 1, tzinfo=ISTANBUL)

    def test_refuses_a_calendar_that_is_closed_for_good(self):
        shut = Calendar(ISTANBUL, (Week(date.min, ()),))

        with pytest.raises(NeverOpens):
            shut.after(datetime(2026, 3, 6, tzinfo=UTC), 1)
        assert shut.next_opening(datetime(2026, 3, 6, tzinfo=UTC)) is None

    def test_looks_no_further_than_twenty_years(self):
        a_minute_a_week = Calendar(ISTANBUL, (Week(date.min, weekly([0], 540, 541)),))
        monday = datetime(2026, 3, 2, tzinfo=UTC)

        assert a_minute_a_week.after(monday, 60 * 1000) == monday + timedelta(weeks=999, hours=6, minutes=1)
        with pytest.raises(NeverOpens):
            a_minute_a_week.after(monday, 60 * 1100)


class TestNextOpening:
    @given(cases())
    @settings(deadline=None)
    def test_is_the_first_open_instant(self, case):
        calendar, since, until = case

        opening = calendar.next_opening(since)

        if opening is None or opening > until:
            assert calendar.open_seconds(since, until) == 0
        else:
            assert opening >= since
            assert calendar.is_open(opening)
            assert calendar.open_seconds(since, opening) == 0


class TestDaysOff:
    def test_a_half_day_ends_at_its_minute_and_leaves_the_night_before_alone(self):
        nights = weekly(range(7), 20 * 60, DAY + 4 * 60) + weekly(range(7), 9 * 60, 18 * 60)
        eve = date(2026, 10, 28)
        calendar = Calendar(ISTANBUL, (Week(date.min, nights),), {eve: Day(closed_from=13 * 60)})
        start = datetime(2026, 10, 28, tzinfo=ISTANBUL)

        assert calendar.open_seconds(start, start + timedelta(days=1)) == (4 + 4) * 3600
