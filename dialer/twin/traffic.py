"""What the people called do, and what the agents do: the traffic of a simulated shift."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dialer.twin.laws import Always, Law, LogNormal

STEP = 10.0
"""Seconds for which the answer probability and the mean talk time stay as they are."""


@dataclass(frozen=True, slots=True)
class Swing:
    """How a quantity moves around its mean during a shift: a slow wave and bursts, both as factors.

    `wave` is the amplitude of a sine with a random phase and a period of `wave_s`. A burst is a factor whose logarithm
    has the deviation `burst`; it holds for an exponential time of mean `burst_s`, then the next is drawn. The factors
    have the mean 1.
    """

    wave: float = 0.0
    wave_s: float = 7_200.0
    burst: float = 0.0
    burst_s: float = 600.0

    def path(self, rng: np.random.Generator, seconds: float) -> np.ndarray:
        """Return the factor of each step of a shift."""
        at = np.arange(0.0, seconds + STEP, STEP)
        wave = 1 + self.wave * np.sin(2 * math.pi * (at / self.wave_s + rng.random()))
        ends = np.cumsum(rng.exponential(self.burst_s, int(4 * seconds / self.burst_s) + 20))
        factors = np.exp(rng.normal(-(self.burst**2) / 2, self.burst, len(ends) + 1))
        return wave * factors[np.searchsorted(ends, at)]


STEADY = Swing()
LIVE_RING, MACHINE_RING = LogNormal(12.0, 0.5, 25.0), LogNormal(15.0, 0.4, 29.0)
FAILED_AFTER, NO_ANSWER_AFTER = LogNormal(3.0, 0.5, 15.0), Always(30.0)
TALK, WRAP, PATIENCE, BREAK = LogNormal(120.0, 1.0), LogNormal(20.0, 0.4), Always(2.0), LogNormal(480.0, 0.5)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The law of a shift's traffic. The defaults are the reference traffic with its bursts.

    A call is answered live with probability `answer_p`, times its factors. Otherwise it ends at a machine, fails, or
    is not answered until the ringing time is over. `scores` spreads the probabilities of single leads (see `spread`).
    """

    answer_p: float = 0.3
    hours: Sequence[float] = (1.0,)
    """Factors of the answer probability for each hour of the shift; the last one stays."""
    machine_share: float = 0.35
    failed_share: float = 0.10
    live_ring: Law = LIVE_RING
    machine_ring: Law = MACHINE_RING
    failed_after: Law = FAILED_AFTER
    no_answer_after: Law = NO_ANSWER_AFTER
    talk: Law = TALK
    wrap: Law = WRAP
    patience: Law = PATIENCE
    break_share: float = 0.02
    """How many wraps out of all a break follows."""
    break_s: Law = BREAK
    answer_swing: Swing = field(default=Swing(wave=0.2, burst=0.33))
    talk_swing: Swing = field(default=Swing(wave=0.15, burst=0.2))
    scores: float | None = None
    """Concentration of the leads' own probabilities (the sum of a beta law's two parameters); None: all are alike."""

    def answer_path(self, rng: np.random.Generator, seconds: float) -> np.ndarray:
        """Return the factor of the answer probability for each step of a shift."""
        factors = self.answer_swing.path(rng, seconds)
        hour = np.minimum(np.arange(len(factors)) * STEP // 3600, len(self.hours) - 1).astype(int)
        return factors * np.asarray(self.hours)[hour]

    def spread(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return leads' own answer probabilities before the factors of their moment: a beta law of the common mean."""
        assert self.scores is not None
        return rng.beta(self.answer_p * self.scores, (1 - self.answer_p) * self.scores, count)


def flat(answer_p: float) -> Traffic:
    """Return the reference traffic without waves and bursts."""
    return Traffic(answer_p, answer_swing=STEADY, talk_swing=STEADY)
