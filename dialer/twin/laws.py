"""How long things take: probability laws that simulated durations are drawn from. Seconds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Law(Protocol):
    """A law of durations."""

    def draw(self, rng: np.random.Generator, count: int) -> Numbers:
        """Return so many independent durations in seconds."""


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A lognormal law by its mean and the deviation of its logarithm; what exceeds `cut` is drawn again.

    The mean is that of the law without its cut.
    """

    mean: float
    sigma: float
    cut: float = math.inf

    def draw(self, rng: np.random.Generator, count: int) -> Numbers:
        """Return so many independent durations in seconds."""
        middle = math.log(self.mean) - self.sigma**2 / 2
        values = rng.lognormal(middle, self.sigma, count)
        while len(over := np.flatnonzero(values > self.cut)):
            values[over] = rng.lognormal(middle, self.sigma, len(over))
        return values


@dataclass(frozen=True, slots=True)
class Exponential:
    """An exponential law by its mean; closed forms of queueing are known for it."""

    mean: float

    def draw(self, rng: np.random.Generator, count: int) -> Numbers:
        """Return so many independent durations in seconds."""
        return rng.exponential(self.mean, count)


@dataclass(frozen=True, slots=True)
class Always:
    """A duration that is always the same."""

    seconds: float

    def draw(self, rng: np.random.Generator, count: int) -> Numbers:
        """Return that duration so many times."""
        return np.full(count, self.seconds)


@dataclass(frozen=True, slots=True)
class Observed:
    """Durations as they were observed, each as likely as the next."""

    seconds: Sequence[float]

    def draw(self, rng: np.random.Generator, count: int) -> Numbers:
        """Return so many of them, drawn with replacement."""
        return rng.choice(np.asarray(self.seconds, dtype=float), count)
