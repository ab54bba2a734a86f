"""A day against its past."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from expectations.usual import Day, against_usual

DAY = date(2026, 3, 3)


def past(count: int, rows: int = 10, **figures: int) -> list[Day]:
    return [Day(DAY - timedelta(days=n), rows, figures, frozenset({"q"})) for n in range(1, count + 1)]


class TestAgainstUsual:
    def test_compares_volume_and_shares_with_the_window(self) -> None:
        found = against_usual(Day(DAY, 5, {"bare": 4}, frozenset({"q"})), past(10, bare=1), is_over=True)

        assert found == {"volume_ratio": 0.5, "changed_questions": None, "bare_share": 0.8, "bare_rise": 0.8 - 0.1}

    def test_says_nothing_without_a_past(self) -> None:
        found = against_usual(Day(DAY, 50, {"bare": 50}), [], is_over=True)

        assert found == {"volume_ratio": None, "changed_questions": None, "bare_share": 1.0, "bare_rise": None}

    def test_few_rows_say_nothing_of_a_share(self) -> None:
        found = against_usual(Day(DAY, 4, {"bare": 4}), past(10, bare=0), is_over=True)

        assert (found["bare_share"], found["bare_rise"]) == (None, None)

    def test_a_day_that_is_not_over_is_never_short(self) -> None:
        assert against_usual(Day(DAY, 0), past(10), is_over=False)["volume_ratio"] == 1.0
        assert against_usual(Day(DAY, 90), past(10), is_over=False)["volume_ratio"] == 9.0

    def test_what_lies_outside_the_window_is_no_past(self) -> None:
        old = [Day(DAY - timedelta(days=29 + n), 1000) for n in range(30)]

        assert against_usual(Day(DAY, 10), old, is_over=True)["volume_ratio"] is None

    @given(st.lists(st.integers(0, 100), min_size=7, max_size=28), st.integers(0, 200))
    def test_more_rows_never_look_like_fewer(self, rows: list[int], today: int) -> None:
        before = [Day(DAY - timedelta(days=n), count) for n, count in enumerate(rows, start=1)]

        one, other = (against_usual(Day(DAY, n), before, is_over=True)["volume_ratio"] for n in (today, today + 1))

        assert (one is None and other is None) or one < other  # type: ignore[operator]
