"""The arithmetic of reading an experiment: sample-ratio check, and evidence that stays valid however often one looks.

**Evidence.** Each arm's outcomes are coin flips of an unknown rate. For rates (p₀, p₁) the ratio

    M(p₀, p₁) = ∏ₐ ∫ Lₐ(q) dBeta(½, ½)(q)  /  ∏ₐ Lₐ(pₐ),   Lₐ(p) = p^sₐ (1 − p)^(nₐ − sₐ)

is a nonnegative martingale under the true rates whatever the order of the arms, so by Ville's inequality it ever
exceeds 1/α with probability at most α (the method of mixtures: Robbins 1970, "Statistical methods related to the law of
the iterated logarithm"; Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", section 3). All rates that M does not refute at a time form a confidence set that holds at all times at
once; the differences p₁ − p₀ of its members are the confidence sequence given here. A difference δ is refuted when even
the most likely rates with that difference are: the universal inference of Wasserman, Ramdas & Balakrishnan 2020
("Universal inference", section 8), whose numerator here is the mixture.

It is exact at every sample size, for any rates and shares. The price against a fixed-sample interval is width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import erfc, exp, inf, lgamma, log, pi, sqrt

BISECTIONS = 60
"""Halvings of an interval of length 2: the bounds are exact to 10⁻¹⁷, which is to say to rounding."""
RATIO_ALPHA = 0.001
"""Below this p-value the shares are said to be broken; strict, because one looks often (Fabijan et al. 2019)."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Units whose outcome is decided, and how many of them converted."""

    units: int
    conversions: int

    def __post_init__(self) -> None:
        if not 0 <= self.conversions <= self.units:
            raise ValueError(f"no outcomes of an arm: {self}")

    @property
    def rate(self) -> float | None:
        """The share that converted; None: nothing is decided."""
        return self.conversions / self.units if self.units else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """A difference of two rates (None: unknown), and what the confidence sequence has not refuted of it."""

    estimate: float | None
    low: float
    high: float

    @property
    def is_decided(self) -> bool:
        """Whether there is a difference, at the level that was asked for."""
        return self.low > 0 or self.high < 0


def log_likelihood(arm: Arm, rate: float) -> float:
    """Return the logarithm of the likelihood of a rate; minus infinity where the outcomes are impossible."""
    failures = arm.units - arm.conversions
    if (arm.conversions and rate <= 0) or (failures and rate >= 1):
        return -inf
    return (arm.conversions * log(rate) if arm.conversions else 0.0) + (failures * log(1 - rate) if failures else 0.0)


def log_mixture(arm: Arm) -> float:
    """Return the logarithm of the likelihood mixed over rates by Beta(½, ½): B(s + ½, n − s + ½) / π."""
    failures = arm.units - arm.conversions
    return lgamma(arm.conversions + 0.5) + lgamma(failures + 0.5) - lgamma(arm.units + 1) - log(pi)


def log_evidence(control: Arm, variant: Arm, difference: float = 0.0) -> float:
    """Return the logarithm of the evidence against `variant rate − control rate = difference` (−1 to 1).

    Under that difference it ever exceeds log(1/α) with probability at most α.
    """
    rate = _most_likely(control, variant, difference)
    fit = log_likelihood(control, rate) + log_likelihood(variant, min(1.0, max(0.0, rate + difference)))
    return log_mixture(control) + log_mixture(variant) - fit


def _most_likely(control: Arm, variant: Arm, difference: float) -> float:
    """Return the control's rate that fits both arms best when the variant's is higher by `difference`.

    The slope of a concave function falls: its zero is found by halving.
    """
    if difference == 0:
        units = control.units + variant.units
        return (control.conversions + variant.conversions) / units if units else 0.5
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    return _border(lambda rate: _slope(control, rate) + _slope(variant, rate + difference) > 0, low, high)


def _slope(arm: Arm, rate: float) -> float:
    failures = arm.units - arm.conversions
    rising = (arm.conversions / rate if rate > 0 else inf) if arm.conversions else 0.0
    falling = (failures / (1 - rate) if rate < 1 else inf) if failures else 0.0
    return rising - falling if rising != falling else 0.0


def _border(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return where `holds` ends, between a point where it does and one where it may not."""
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside


def bounds(control: Arm, variant: Arm, *, alpha: float) -> Bounds:
    """Return the difference of two rates (variant − control) with its confidence sequence of level 1 − alpha.

    With probability at least 1 − alpha the true difference lies within the bounds at every look, however many.

    :raises ValueError: when alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"no level: {alpha}")
    estimate = None
    if control.rate is not None and variant.rate is not None:
        estimate = variant.rate - control.rate
    middle = (variant.rate if variant.rate is not None else 0.5) - (control.rate if control.rate is not None else 0.5)
    holds = partial(_is_possible, control, variant, log(1 / alpha))
    return Bounds(estimate, *(edge if holds(edge) else _border(holds, middle, edge) for edge in (-1.0, 1.0)))


def _is_possible(control: Arm, variant: Arm, limit: float, difference: float) -> bool:
    return log_evidence(control, variant, difference) <= limit


def p_value(control: Arm, variant: Arm) -> float:
    """Return an always-valid p-value against "no difference": it ever falls below α with probability at most α."""
    return min(1.0, exp(-log_evidence(control, variant)))


def sample_ratio(counts: Sequence[int], shares: Sequence[int]) -> float | None:
    """Return Pearson's chi-square p-value that units fell into variants by their shares; None: no units yet.

    :raises ValueError: when there are not as many shares, or one is not positive.
    """
    if len(counts) != len(shares) or min(shares, default=0) <= 0:
        raise ValueError(f"no shares of {list(counts)}: {list(shares)}")
    total = sum(counts)
    if not total or len(counts) < 2:
        return None
    expected = [total * share / sum(shares) for share in shares]
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(counts, expected, strict=True))
    return chi_square_tail(statistic, len(counts) - 1)


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Return the probability that chi-square with so many degrees of freedom exceeds a value (Abramowitz & Stegun
    26.4.4 for odd, 26.4.5 for even degrees).
    """
    if statistic <= 0:
        return 1.0
    half = statistic / 2
    is_odd = degrees % 2 == 1
    total = erfc(sqrt(half)) if is_odd else 0.0
    term = sqrt(half / pi) * 2 * exp(-half) if is_odd else exp(-half)
    for step in range(degrees // 2):
        total += term
        term *= half / (step + 1.5 if is_odd else step + 1)
    return min(1.0, total)
