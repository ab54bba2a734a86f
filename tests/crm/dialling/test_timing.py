"""When leads answer: learned, smoothed, and used for the next try."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from crm.calendars.rules import ALWAYS, Hours
from crm.dialling import schedule, timing
from crm.dialling.timing import Learned, Prospect

ISTANBUL = ZoneInfo("Europe/Istanbul")
TUESDAY = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
"""Half past twelve in Istanbul."""
PLAIN = Prospect("api")
EVENINGS = Learned((4000, 1200), {(1, 18): (400, 280), (1, 10): (400, 40)}, {}, {})

tallies = st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


class TestChance:
    def test_is_the_prior_before_anything_was_learned(self):
        assert abs(timing.chance(Learned(), PLAIN, 0, 10) - 0.3) < 1e-9

    def test_follows_the_hours_in_which_people_answer(self):
        evening, morning = (timing.chance(EVENINGS, PLAIN, 1, hour) for hour in (18, 10))

        assert evening > 0.6
        assert morning < 0.15

    def test_makes_little_of_three_attempts(self):
        few = Learned((1000, 300), {(1, 18): (3, 3)}, {}, {})

        assert abs(timing.chance(few, PLAIN, 1, 18) - 0.3) < 0.06

    def test_counts_a_leads_own_unanswered_tries_against_that_part_of_the_day(self):
        tried = Prospect("api", 2, {timing.part_of(10): (2, 0)})

        assert timing.chance(Learned(), tried, 0, 10) < 0.65 * timing.chance(Learned(), tried, 0, 18)

    def test_knows_sources_and_earlier_attempts(self):
        known = Learned((1000, 300), {}, {0: (500, 250), 4: (500, 50)}, {"meta": (500, 250), "file": (500, 50)})

        fresh, stale = timing.chance(known, Prospect("meta"), 0, 9), timing.chance(known, Prospect("file", 9), 0, 9)

        assert fresh > 0.5
        assert stale < 0.1

    @given(st.dictionaries(st.tuples(st.integers(0, 6), st.integers(0, 23)), tallies), tallies, st.integers(0, 50))
    def test_is_always_a_chance(self, by_hour, total, attempts):
        found = timing.chance(Learned(total, by_hour, {0: total}, {"api": total}), Prospect("api", attempts), 3, 12)

        assert timing.LOWEST <= found <= timing.HIGHEST


class TestNextAt:
    def test_waits_for_the_better_hour_of_the_day_ahead(self):
        found = timing.next_at(EVENINGS, PLAIN, TUESDAY, open_in=ALWAYS, zone=ISTANBUL)

        assert found.astimezone(ISTANBUL) == datetime(2026, 3, 3, 18, tzinfo=ISTANBUL)

    def test_goes_at_once_where_no_hour_is_better(self):
        assert timing.next_at(Learned(), PLAIN, TUESDAY, open_in=ALWAYS, zone=ISTANBUL) == TUESDAY

    def test_keeps_to_the_windows(self):
        mornings = schedule.calendar([Hours(2, 9 * 60, 12 * 60)], "Europe/Istanbul")

        found = timing.next_at(EVENINGS, PLAIN, TUESDAY, open_in=mornings, zone=ISTANBUL)

        assert found.astimezone(ISTANBUL) == datetime(2026, 3, 4, 9, tzinfo=ISTANBUL)

    @given(st.integers(0, 7 * 24 * 60))
    def test_is_never_sooner_than_asked_and_always_open(self, minutes: int):
        weekdays = schedule.calendar([Hours(day, 9 * 60, 18 * 60) for day in range(5)], "Europe/Istanbul")
        since = TUESDAY + timedelta(minutes=minutes)

        found = timing.next_at(EVENINGS, PLAIN, since, open_in=weekdays, zone=ISTANBUL)

        assert found >= since
        assert weekdays.is_open(found)


class TestPartOf:
    @given(st.integers(0, 23))
    def test_every_hour_has_one(self, hour: int):
        assert 0 <= timing.part_of(hour) < len(timing.PARTS)
