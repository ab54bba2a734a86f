"""Evidence that holds at every look: known values, a brute-force check, and simulations of looking all the time."""

from collections.abc import Callable, Iterator
from itertools import product
from math import exp, inf, isclose, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.experiments import statistics
from crm.experiments.statistics import Arm, bounds, chi_square_tail, log_evidence, log_likelihood, sample_ratio

ARMS = st.integers(0, 400).flatmap(lambda units: st.builds(Arm, st.just(units), st.integers(0, units)))


class TestLogMixture:
    @pytest.mark.parametrize(
        ("arm", "mixed"),
        [(Arm(0, 0), 1), (Arm(1, 1), 1 / 2), (Arm(1, 0), 1 / 2), (Arm(2, 1), 1 / 8), (Arm(2, 2), 3 / 8)],
    )
    def test_is_the_integral_worked_out_by_hand(self, arm: Arm, mixed: float) -> None:
        assert isclose(exp(statistics.log_mixture(arm)), mixed)

    @given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.booleans(), min_size=n, max_size=n))))
    def test_is_the_product_of_predictions(self, flips: tuple[int, list[bool]]) -> None:
        predicted, hits = 0.0, 0

        for seen, flip in enumerate(flips[1]):
            chance = (hits + 0.5) / (seen + 1)  # Krichevsky–Trofimov
            predicted += log(chance if flip else 1 - chance)
            hits += flip

        assert isclose(statistics.log_mixture(Arm(flips[0], hits)), predicted, abs_tol=1e-9)


class TestLogEvidence:
    def test_is_what_comes_out_by_hand(self) -> None:
        assert isclose(exp(log_evidence(Arm(1, 0), Arm(1, 1))), 1.0)  # ½ · ½ / (½)²
        # Each arm's mixture is C(20, 10) / 4¹⁰; the best common rate gives 2⁻²⁰.
        assert isclose(exp(log_evidence(Arm(10, 0), Arm(10, 10))), (184756 / 4**10) ** 2 * 2**20)

    @given(ARMS, ARMS, st.floats(-0.95, 0.95))
    def test_compares_with_the_best_rates_of_that_difference(
        self, control: Arm, variant: Arm, difference: float
    ) -> None:
        low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
        grid = [low + (high - low) * step / 400 for step in range(401)]

        best = max(
            log_likelihood(control, p) + log_likelihood(variant, min(1.0, max(0.0, p + difference))) for p in grid
        )
        found = log_evidence(control, variant, difference)

        mixed = statistics.log_mixture(control) + statistics.log_mixture(variant)
        assert found <= mixed - best + 1e-9
        assert best == -inf or found >= mixed - best - 0.2 - 0.01 * (control.units + variant.units)

    @given(ARMS, ARMS, st.floats(-0.9, 0.9))
    def test_does_not_care_which_arm_is_called_which(self, one: Arm, other: Arm, difference: float) -> None:
        assert isclose(log_evidence(one, other, difference), log_evidence(other, one, -difference), abs_tol=1e-6)


class TestBounds:
    @given(ARMS, ARMS)
    def test_hold_the_estimate_and_end_where_the_evidence_is_enough(self, control: Arm, variant: Arm) -> None:
        found = bounds(control, variant, alpha=0.05)

        assert -1 <= found.low <= found.high <= 1
        if found.estimate is not None:
            assert found.low <= found.estimate <= found.high
        for edge in (found.low, found.high):
            if abs(edge) < 1:
                assert isclose(log_evidence(control, variant, edge), log(20), abs_tol=1e-3)

    @given(ARMS, ARMS)
    def test_exclude_nothing_but_what_the_evidence_refutes(self, control: Arm, variant: Arm) -> None:
        found = bounds(control, variant, alpha=0.05)

        assert found.is_decided == (log_evidence(control, variant) > log(20))

    def test_are_everything_where_nothing_is_known(self) -> None:
        assert bounds(Arm(0, 0), Arm(0, 0), alpha=0.05) == statistics.Bounds(None, -1.0, 1.0)

    def test_narrow_with_more_units_and_widen_with_more_certainty(self) -> None:
        few, many = (bounds(Arm(n, n // 10), Arm(n, n // 8), alpha=0.05) for n in (400, 4000))
        surer = bounds(Arm(400, 40), Arm(400, 50), alpha=0.01)

        assert few.low < many.low < many.high < few.high
        assert surer.low < few.low < few.high < surer.high

    def test_see_a_large_effect(self) -> None:
        found = bounds(Arm(2000, 160), Arm(2000, 300), alpha=0.05)

        assert 0.02 < found.low < 0.07 < found.high < 0.12

    def test_refuse_what_is_no_level(self) -> None:
        with pytest.raises(ValueError, match="no level"):
            bounds(Arm(1, 1), Arm(1, 1), alpha=0)


class TestSampleRatio:
    @pytest.mark.parametrize(
        ("statistic", "degrees", "tail"),
        [(3.841459, 1, 0.05), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (10.827566, 1, 0.001), (27.877165, 9, 0.001)],
    )
    def test_knows_the_quantiles_of_the_tables(self, statistic: float, degrees: int, tail: float) -> None:
        assert isclose(chi_square_tail(statistic, degrees), tail, rel_tol=1e-5)

    def test_is_one_for_shares_that_are_kept_exactly(self) -> None:
        assert sample_ratio([900, 100], [9, 1]) == 1.0

    def test_is_small_for_broken_shares(self) -> None:
        assert sample_ratio([821588, 815482], [1, 1]) == pytest.approx(1.8e-6, rel=0.02)  # Fabijan et al. 2019, 1.1

    def test_is_none_before_anybody_came(self) -> None:
        assert sample_ratio([0, 0], [1, 1]) is None

    @pytest.mark.parametrize("shares", [[1], [1, 0], []])
    def test_refuses_what_are_no_shares(self, shares: list[int]) -> None:
        with pytest.raises(ValueError, match="no shares"):
            sample_ratio([1, 1], shares)


Rate = Callable[[int], float]


def looks(random: Random, *, units: int, share: float, control: Rate, variant: Rate) -> Iterator[tuple[Arm, Arm]]:
    """Yield both arms at every look: after each of the first 200 units, then after every tenth."""
    counts = [[0, 0], [0, 0]]
    for number in range(1, units + 1):
        arm = random.random() < share
        counts[arm][0] += 1
        counts[arm][1] += random.random() < (variant if arm else control)(number)
        if number <= 200 or number % 10 == 0:
            yield Arm(*counts[0]), Arm(*counts[1])


def ever(
    seed: int, *, runs: int, units: int, share: float, control: Rate, variant: Rate, difference: float = 0.0
) -> float:
    """Return the share of runs in which some look refuted a difference at the level of 5 %."""
    random, limit = Random(seed), log(20)
    return (
        sum(
            any(
                log_evidence(base, other, difference) > limit
                for base, other in looks(random, units=units, share=share, control=control, variant=variant)
            )
            for _ in range(runs)
        )
        / runs
    )


def rate(value: float) -> Rate:
    return lambda number: value


def wave(number: int) -> float:
    """A rate that goes up and down over the months, alike in both arms."""
    return 0.2 + 0.15 * (1 if number % 600 < 300 else -1)


AA = [
    pytest.param(0.5, rate(0.05), id="rare"),
    pytest.param(0.1, rate(0.05), id="rare, nine to one"),
    pytest.param(0.1, rate(0.01), id="very rare, nine to one"),
    pytest.param(0.5, rate(0.5), id="even"),
    pytest.param(0.3, wave, id="drifting"),
]


class TestLookingAllTheTime:
    """At most alpha of the experiments without a difference ever show one, whoever looks how often."""

    @pytest.mark.parametrize(("share", "both"), AA)
    def test_shows_no_difference_where_none_is(self, share: float, both: Rate) -> None:
        assert ever(1, runs=500, units=2000, share=share, control=both, variant=both) <= 0.05

    def test_never_loses_a_true_difference(self) -> None:
        lost = ever(2, runs=60, units=1000, share=0.5, control=rate(0.1), variant=rate(0.3), difference=0.2)

        assert lost <= 0.05

    def test_finds_a_real_difference(self) -> None:
        found = ever(3, runs=60, units=4000, share=0.5, control=rate(0.08), variant=rate(0.14))

        assert found >= 0.9

    def test_would_not_be_safe_with_an_ordinary_test(self) -> None:
        random, fooled = Random(4), 0

        for _ in range(100):
            fooled += any(
                base.units > 30 and other.units > 30 and fixed_sample_p(base, other) < 0.05
                for base, other in looks(random, units=2000, share=0.5, control=rate(0.2), variant=rate(0.2))
            )

        assert fooled > 20, "the harness must catch a test that looking all the time breaks"

    @pytest.mark.soak
    @pytest.mark.parametrize(("share", "both"), AA)
    def test_shows_no_difference_where_none_is_in_the_long_run(self, share: float, both: Rate) -> None:
        assert ever(5, runs=2000, units=20_000, share=share, control=both, variant=both) <= 0.05


def fixed_sample_p(base: Arm, other: Arm) -> float:
    """Return Pearson's p-value for two shares, which is good for one look only."""
    failures = [arm.units - arm.conversions for arm in (base, other)]
    hits = [base.conversions, other.conversions]
    total, both = base.units + other.units, sum(hits)
    if both in (0, total):
        return 1.0
    expected = [(arm.units * both / total, arm.units * (total - both) / total) for arm in (base, other)]
    cells = zip(product((0, 1), (0, 1)), [hits[0], failures[0], hits[1], failures[1]], strict=True)
    return chi_square_tail(sum((seen - expected[a][c]) ** 2 / expected[a][c] for (a, c), seen in cells), 1)
