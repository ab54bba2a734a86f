"""Calling hours against a look at every minute, the seeded countries, and where a person may be."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from crm.consent import hours, places
from crm.consent.hours import Hours, Place, Window
from crm.phone import Phone

ZONES = ("Europe/Istanbul", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
CHANGES = (
    ("America/New_York", "2026-03-08"), ("America/New_York", "2026-11-01"), ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"), ("Australia/Lord_Howe", "2026-04-05"), ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-04-05"), ("Europe/Istanbul", "2026-03-29"),
)  # fmt: skip
"""Days on which clocks change: at two, at midnight, by half an hour, into the day before; and one without."""
HALF = timedelta(minutes=30)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def place(country: str, zone: str) -> Place:
    return Place(country, ZoneInfo(zone), hours.KNOWN.get(country, ()))


@some.composite
def windows(draw: some.DrawFn) -> Window:
    """A window on half hours between five in the morning and midnight, as no clock change disturbs."""
    start = draw(some.integers(10, 46))
    end = draw(some.integers(start + 1, 48))
    return Window(frozenset(draw(some.sets(some.integers(1, 7), min_size=1))), start * 30, end * 30)


@some.composite
def some_places(draw: some.DrawFn) -> Place:
    known = [
        Hours(date(2026, 3, day), tuple(draw(some.lists(windows(), max_size=3))), holidays=draw(some.booleans()))
        for day in draw(some.sets(some.integers(1, 31), min_size=1, max_size=2))
    ]
    return Place(draw(some.sampled_from(["TR", "DE", ""])), ZoneInfo(draw(some.sampled_from(ZONES))), tuple(known))


class TestOpensAt:
    @settings(max_examples=60, deadline=None)
    @given(some.lists(some_places(), min_size=1, max_size=3), some.integers(0, 45 * 48))
    def test_is_the_first_half_hour_at_which_every_place_is_open(self, where: list[Place], steps: int):
        asked = datetime(2026, 3, 1, tzinfo=UTC) + steps * HALF  # the clocks change in this time, at different days

        found = hours.opens_at(where, asked)

        steps_ahead = (asked + n * HALF for n in range(13 * 48))
        seen = next((step for step in steps_ahead if all(hours.is_open(each, step) for each in where)), None)
        if seen is not None or (found is not None and found < asked + timedelta(days=13)):
            assert found == seen

    @settings(max_examples=60, deadline=None)
    @given(
        some.sampled_from(CHANGES), some.integers(0, 1439), some.integers(1, 240), some.integers(0, 1500)
    )  # fmt: skip
    def test_is_the_first_minute_also_where_the_clock_leaps_or_falls_back(
        self, change: tuple[str, str], start: int, length: int, before: int
    ):
        zone, day = change
        nightly = Window(frozenset(hours.WEEK), start, min(start + length, 1440))
        where = Place("", ZoneInfo(zone), (Hours(date.min, (nightly,), holidays=True),))
        asked = at(f"{day}T12:00", zone) - timedelta(minutes=before)

        found = hours.opens_at([where], asked)

        minutes = (asked + timedelta(minutes=n) for n in range(3 * 1440))
        assert found == next(minute for minute in minutes if hours.is_open(where, minute))

    def test_waits_for_the_last_of_the_zones(self):
        states = [place("US", "America/New_York"), place("US", "Pacific/Honolulu")]

        assert hours.opens_at(states, at("2026-01-15T08:00", "America/New_York")) == at(
            "2026-01-15T08:00", "Pacific/Honolulu"
        )

    def test_never_comes_where_short_hours_lie_on_both_sides_of_the_earth(self):
        apart = [
            Place("", ZoneInfo(zone), (Hours(date.min, (Window(frozenset(hours.WEEK), 600, 660),), True),))
            for zone in ("Pacific/Auckland", "Europe/Istanbul")
        ]

        assert hours.opens_at(apart, at("2026-03-03T09:00")) is None


class TestIsOpen:
    @pytest.mark.parametrize(
        ("country", "zone", "local", "is_open"),
        [
            ("TR", "Europe/Istanbul", "2026-03-03T09:00", True),
            ("TR", "Europe/Istanbul", "2026-03-03T08:59", False),
            ("TR", "Europe/Istanbul", "2026-03-03T20:00", False),
            ("TR", "Europe/Istanbul", "2026-03-08T09:30", False),  # a Sunday
            ("US", "America/New_York", "2026-03-08T20:59", True),
            ("US", "America/New_York", "2026-03-08T21:00", False),
            ("FR", "Europe/Paris", "2026-03-03T13:00", False),
            ("FR", "Europe/Paris", "2026-03-03T14:00", True),
            ("FR", "Europe/Paris", "2026-03-07T11:00", False),  # a Saturday
            ("FR", "Europe/Paris", "2026-07-14T11:00", False),  # Bastille Day, a Tuesday
            ("FR", "Europe/Paris", "2022-06-01T18:30", False),  # before the decree: the strictest
            ("AE", "Asia/Dubai", "2026-03-08T17:59", True),
            ("DE", "Europe/Berlin", "2026-12-25T11:00", False),
            ("TR", "Europe/Istanbul", "2026-10-29T11:00", True),  # the Republic's day: a firm may set otherwise
            ("BR", "America/Sao_Paulo", "2026-03-03T13:30", False),
            ("BR", "America/Sao_Paulo", "2026-03-03T14:30", True),
        ],
    )
    def test_keeps_to_the_hours_of_the_country(self, country: str, zone: str, local: str, is_open: bool):
        assert hours.is_open(place(country, zone), at(local, zone)) is is_open

    @pytest.mark.parametrize("country", hours.KNOWN)
    def test_the_strictest_lies_within_every_country(self, country: str):
        unknown, known = place("", "UTC"), Place(country, ZoneInfo("UTC"), hours.KNOWN[country])
        monday = datetime(2026, 3, 2, tzinfo=UTC)  # a week without a holiday in any of them

        open_by_default = [each for each in (monday + n * HALF for n in range(7 * 48)) if hours.is_open(unknown, each)]

        assert len(open_by_default) == 5 * 14
        assert all(hours.is_open(known, each) for each in open_by_default)


class TestOn:
    def test_takes_the_latest_that_has_begun_and_the_first_named_of_a_day(self):
        own = Hours(date(2026, 1, 1), (), holidays=False)
        later = Hours(date(2027, 1, 1), (), holidays=True)
        law = Hours(date(2026, 1, 1), (), holidays=True)

        assert hours.on((later, own, law), date(2026, 6, 1)) is own
        assert hours.on((later, own, law), date(2027, 1, 1)) is later
        assert hours.on((later, own, law), date(2025, 12, 31)) is hours.STRICTEST


class TestOfContact:
    def test_takes_every_zone_of_the_country(self):
        found = places.of_contact("US", "+1 ••• ••• •• 67", None, home="Europe/Istanbul")

        assert {("US", "America/New_York"), ("US", "Pacific/Honolulu")} <= found
        assert {country for country, _ in found} == {"US"}

    def test_a_number_about_to_be_dialled_narrows_it(self):
        found = places.of_contact("US", "+1 ••• ••• •• 34", Phone("+12125551234"), home="Europe/Istanbul")

        assert found == {("US", "America/New_York")}

    def test_a_number_from_elsewhere_counts_beside_the_country(self):
        found = places.of_contact("DE", "+90 ••• ••• •• 67", None, home="Europe/Istanbul")

        assert {country for country, _ in found} == {"DE", "TR"}

    def test_a_code_of_several_countries_means_all_of_them_unless_we_know(self):
        unknown = places.of_contact(None, "+7 ••• ••• •• 67", None, home="Europe/Istanbul")
        known = places.of_contact("KZ", "+7 ••• ••• •• 67", None, home="Europe/Istanbul")

        assert {country for country, _ in unknown} == {"RU", "KZ"}
        assert {country for country, _ in known} == {"KZ"}

    @pytest.mark.parametrize(("country", "masked"), [(None, None), (None, "+881 ••• ••• •• 67")])
    def test_falls_back_to_the_firms_own_zone_in_an_unknown_country(self, country: str | None, masked: str | None):
        assert places.of_contact(country, masked, None, home="Europe/Istanbul") == {("", "Europe/Istanbul")}

    @given(some.sampled_from(["TR", "US", "DE", "XK", "AQ", "QQ", None]))
    def test_is_never_nowhere(self, country: str | None):
        assert places.of_contact(country, None, None, home="Europe/Istanbul")
