"""Experiments played through from the hash to the p-value that people see, looked at every day, thousands of times."""

from collections.abc import Sequence
from random import Random
from uuid import UUID

import pytest

from crm.experiments import rules, statistics
from crm.experiments.statistics import Arm

DAYS, LEADS_A_DAY, WINDOW = 150, 15, 30


def shows_a_difference(random: Random, key: str, rates: Sequence[float], shares: Sequence[int], alpha: float) -> bool:
    """Tell whether any daily look at an experiment, until its last outcome is final, shows a difference.

    Each lead falls into its variant by hash, and counts on the day its window is over, as in the product.
    """
    decided = [[0, 0] for _ in rates]
    for _ in range(DAYS - WINDOW):
        for _ in range(LEADS_A_DAY):
            arm = rules.bucket(key, UUID(int=random.getrandbits(128)), shares)
            decided[arm][0] += 1
            decided[arm][1] += random.random() < rates[arm]
        control, *others = (Arm(*counts) for counts in decided)
        if any(statistics.p_value(control, other) < alpha / len(others) for other in others):
            return True
    return False


def share_that_shows_one(
    capsys: pytest.CaptureFixture[str], what: str, runs: int, rates: Sequence[float], shares: Sequence[int]
) -> float:
    """Return, and print, the share of experiments of a level of 5 % in which some look shows a difference."""
    random = Random(f"{what} {runs}")
    found = sum(shows_a_difference(random, f"{what}-{run}", rates, shares, 0.05) for run in range(runs)) / runs
    with capsys.disabled():
        print(f"\n{what}: {found:.2%} of {runs} experiments looked at on {DAYS - WINDOW} days show a difference")
    return found


AA = [
    pytest.param([0.08, 0.08], [1, 1], id="a-a"),
    pytest.param([0.02, 0.02], [9, 1], id="a-a-rare-nine-to-one"),
    pytest.param([0.3, 0.3, 0.3, 0.3], [1, 1, 1, 1], id="a-a-four-variants"),
]


class TestDailyLooking:
    @pytest.mark.parametrize(("rates", "shares"), AA)
    def test_shows_a_difference_where_none_is_in_alpha_of_the_cases_at_most(
        self, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, rates: list[float], shares: list[int]
    ) -> None:
        assert share_that_shows_one(capsys, request.node.callspec.id, 300, rates, shares) <= 0.05

    @pytest.mark.soak
    @pytest.mark.parametrize(("rates", "shares"), AA)
    def test_does_so_in_the_long_run(
        self, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, rates: list[float], shares: list[int]
    ) -> None:
        assert share_that_shows_one(capsys, request.node.callspec.id, 10_000, rates, shares) <= 0.05

    def test_finds_a_real_difference(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert share_that_shows_one(capsys, "a-b", 60, [0.10, 0.20], [1, 1]) >= 0.9
