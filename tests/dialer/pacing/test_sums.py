"""Sums of yes-or-no questions, against counting every case."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing.sums import STEPS, Exact, Normal


def odds_at_least(odds: list[float], count: int) -> float:
    """Count every case."""
    total = 0.0
    for answers in product((0, 1), repeat=len(odds)):
        if sum(answers) >= count:
            total += float(np.prod([p if yes else 1 - p for p, yes in zip(odds, answers, strict=True)]))
    return total


def table(odds: list[float]) -> np.ndarray:
    return np.repeat(np.array(odds)[:, None], STEPS, axis=1)


class TestExact:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.integers(1, 7))
    def test_gives_the_odds_of_counting_every_case(self, odds: list[float], count: int):
        sums = Exact(32)

        found = sums.at_least(sums.calls(sums.rows(table(odds))), count)

        assert found == pytest.approx([odds_at_least(odds, count)] * STEPS, abs=2e-4)

    def test_sums_of_calls_and_agents_add_up(self):
        sums = Exact(32)
        calls, agents = sums.rows(table([0.2, 0.7])), sums.rows(table([0.9]))

        found = sums.at_least(sums.calls(calls) + sums.agents(agents), 2)

        assert found[0] == pytest.approx(odds_at_least([0.2, 0.7, 0.9], 2), abs=1e-4)


class TestNormal:
    def test_is_close_to_the_exact_odds_where_there_are_many(self):
        exact, normal, odds = Exact(64), Normal(doubt=0.0), table([0.1, 0.3, 0.6] * 12)

        found = normal.at_least(normal.calls(normal.rows(odds)), 16)

        assert found == pytest.approx(exact.at_least(exact.calls(exact.rows(odds)), 16), abs=0.01)

    def test_doubt_widens_the_sum_of_calls_and_not_that_of_agents(self):
        sure, unsure, odds = Normal(doubt=0.0), Normal(doubt=0.05), table([0.3] * 40)

        risks = [each.at_least(each.calls(each.rows(odds)), 20)[0] for each in (sure, unsure)]
        agents = [each.at_least(each.agents(each.rows(odds)), 20)[0] for each in (sure, unsure)]

        assert risks[1] > 2 * risks[0]
        assert agents[0] == agents[1]
