"""The abandonment guard: how many calls may be risked, by what has happened so far. Pure arithmetic.

Of `answered` live answers `abandoned` found no agent in time. Their rate is watched in two windows, the shift (the
campaign's own day) and the last 30 days, by the one-sided Clopper-Pearson upper bound at a confidence c: the largest
rate under which so few abandonments still have a chance of 1 − c (Clopper & Pearson 1934, "The use of confidence or
fiducial limits illustrated in the case of the binomial"; as beta quantiles: Brown, Cai & DasGupta 2001, "Interval
estimation for a binomial proportion", section 4.2.1):

    upper(k, n) = the p with I₁₋ₚ(n − k, k + 1) = 1 − c,

I the regularised incomplete beta function. It is exact for every n, and wide when little is known: a campaign begins
with one call for each ready agent and earns the right to more. Thirty days must be below the cap with 95 %, which is
the promise the law asks for; the shift, a small sample of the same, more likely than not.

The *error budget* is how many of the next answers could be abandoned, one after the other, with both bounds still at
or below the cap. At nought there is one call for each ready agent. When the lower bound passes the cap, the rate is
broken beyond reasonable doubt, and nothing is dialled by itself until the days that broke it have left the window.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma, log, log1p
from types import MappingProxyType


class Window(StrEnum):
    """Over which time the rate is watched."""

    shift = "shift"
    month = "month"


class Allowed(StrEnum):
    """How many calls may be risked."""

    full = "full"
    """As many as the campaign's mode says."""
    progressive = "progressive"
    """One for each agent who is ready."""
    zero = "zero"


CONFIDENCE: Mapping[Window, float] = MappingProxyType({Window.shift: 0.5, Window.month: 0.95})
"""How sure the upper bound of each window is."""
BROKEN = 0.95
"""How sure it must be that a window's rate is above the cap before dialling stops."""
BROKEN_BY = 3
"""Abandonments it takes at least: of the first answers of a day one or two may go wrong by chance."""
FIRST_FREE = 1
"""Abandonments a shift may have before its own bound speaks: thirty days stand behind it."""
STEPS = 500
"""Terms of the continued fraction at most; it needs about the square root of the larger parameter."""
TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Count:
    """Live answers and those of them that were abandoned."""

    answered: int = 0
    abandoned: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.abandoned <= self.answered:
            raise ValueError(f"no count of answers: {self}")

    @property
    def rate(self) -> float | None:
        """The share that was abandoned; None without answers."""
        return self.abandoned / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Reading:
    """One window: what was counted, between which rates the truth lies, and how many more abandonments it bears."""

    window: Window
    count: Count
    lower: float
    upper: float
    budget: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is allowed now, for which reason (a code), and the windows it comes from."""

    allowed: Allowed
    reason: str
    budget: int
    readings: tuple[Reading, ...]


def judge(counts: Mapping[Window, Count], cap: float) -> Verdict:
    """Return how many calls may be risked. `cap`: the highest rate allowed, 0 to 1."""
    readings = tuple(read(window, counts.get(window, Count()), cap) for window in Window)
    budget = min(each.budget for each in readings)
    for each in readings:
        if each.lower > cap and each.count.abandoned >= BROKEN_BY:
            return Verdict(Allowed.zero, f"{each.window}.broken", 0, readings)
    for each in readings:
        if each.budget < 1:
            is_young = each.count.abandoned == 0
            return Verdict(Allowed.progressive, f"{each.window}.{'unproven' if is_young else 'spent'}", 0, readings)
    return Verdict(Allowed.full, "within_budget", budget, readings)


def read(window: Window, count: Count, cap: float) -> Reading:
    """Return one window's bounds and budget."""
    confidence = CONFIDENCE[window]
    budget = affordable(count, cap, confidence)
    if window is Window.shift:
        budget = max(budget, FIRST_FREE - count.abandoned)
    return Reading(window, count, lower(count, BROKEN), upper(count, confidence), budget)


def upper(count: Count, confidence: float) -> float:
    """Return the Clopper-Pearson upper bound of the rate, 1 without answers."""
    if count.abandoned == count.answered:
        return 1.0
    return _solve(lambda rate: _at_most(count, rate) - (1 - confidence))


def lower(count: Count, confidence: float) -> float:
    """Return the Clopper-Pearson lower bound of the rate, 0 without abandonments."""
    if count.abandoned == 0:
        return 0.0
    before = Count(count.answered, count.abandoned - 1)
    return _solve(lambda rate: _at_most(before, rate) - confidence)


def affordable(count: Count, cap: float, confidence: float) -> int:
    """Return how many more answers could be abandoned with the upper bound still at or below the cap."""
    if not _is_below(count, 0, cap, confidence):
        return 0
    few, many = 0, 1
    while _is_below(count, many, cap, confidence):
        few, many = many, many * 2
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if _is_below(count, middle, cap, confidence) else (few, middle)
    return few


def _is_below(count: Count, more: int, cap: float, confidence: float) -> bool:
    """Tell whether the upper bound is at or below the cap after so many more abandonments."""
    later = Count(count.answered + more, count.abandoned + more)
    return later.abandoned < later.answered and _at_most(later, cap) <= 1 - confidence


def _at_most(count: Count, rate: float) -> float:
    """Return the chance of so few abandonments or fewer at a rate: the binomial's tail, I₁₋ₚ(n − k, k + 1)."""
    return incomplete_beta(count.answered - count.abandoned, count.abandoned + 1, 1 - rate)


def _solve(falling: Callable[[float], float]) -> float:
    """Return where a falling function of a rate passes zero."""
    few, many = 0.0, 1.0
    for _ in range(50):
        middle = (few + many) / 2
        few, many = (middle, many) if falling(middle) > 0 else (few, middle)
    return (few + many) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function Iₓ(a, b), by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    return exp(front) / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction 1/(1 + d₁/(1 + d₂/(1 + …))) of DLMF 8.17.22 by Lentz's method."""
    c, d = 1.0, 1.0 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            found *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return found


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
