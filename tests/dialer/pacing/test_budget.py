"""The error budget, by hand."""

from dataclasses import dataclass
from itertools import pairwise

import pytest

from dialer.pacing.budget import Budget, Tuning


@dataclass
class Counts:
    """As much of a state as the budget looks at."""

    t: float = 7_200.0
    answered: int = 500
    abandoned: int = 15
    cap: float = 0.03
    shift_end: float = 14_400.0


PLAIN = Tuning(use=1.0, reserve=0.0, in_flight=0.0)


class TestShare:
    def test_is_the_cap_where_just_as_much_was_abandoned(self):
        share = Budget(10, PLAIN).share(Counts(), cycle_s=140.0)

        assert share == pytest.approx(0.03)

    def test_is_more_after_a_careful_stretch_and_less_after_a_rash_one(self):
        budget = Budget(10, PLAIN)

        assert budget.share(Counts(abandoned=10), 140.0) > 0.03 > budget.share(Counts(abandoned=20), 140.0)

    def test_is_nothing_once_the_whole_shift_could_not_keep_the_cap(self):
        assert Budget(10, PLAIN).share(Counts(abandoned=40), 140.0) == 0.0

    def test_never_goes_far_above_the_cap(self):
        share = Budget(10, PLAIN).share(Counts(abandoned=0), 140.0)

        assert share == pytest.approx(PLAIN.most * 0.03)

    def test_counts_on_no_more_than_four_hours(self):
        budget = Budget(10, PLAIN)

        assert budget.share(Counts(shift_end=float("inf"), abandoned=16), 140.0) == pytest.approx(
            budget.share(Counts(shift_end=7_200.0 + 4 * 3_600, abandoned=16), 140.0)
        )


class TestPrice:
    def test_falls_with_each_abandoned_call(self):
        prices = [Budget(10, Tuning()).price(Counts(abandoned=count), 140.0) for count in range(8, 40, 4)]

        assert all(later < sooner for sooner, later in pairwise(prices) if sooner)
        assert prices[-1] == 0.0

    def test_rises_where_less_was_abandoned_than_was_allowed(self):
        budget = Budget(10, Tuning())
        first = budget.price(Counts(answered=0, abandoned=0, t=0.0), 140.0)

        later = [
            budget.price(Counts(answered=answered, abandoned=0, t=answered * 10.0), 140.0) for answered in (100, 200)
        ]

        assert later[1] > later[0] > first
