"""What a policy learns in a shift, each from a guess that observations outweigh: laws of durations, and shares."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LONGEST_MEMORY = 400.0
"""Observations a law remembers; older ones fade."""


class Durations:
    """A law of durations by its hazard (ends per second), constant within each of its bins.

    Counting ends and the seconds spent in each bin makes no assumption about the law's form. It starts as if
    `trust` durations of the guessed law had been seen.
    """

    def __init__(self, edges: Numbers, guess: Callable[[Numbers], Numbers], trust: float) -> None:
        self.edges = edges
        self.widths = np.diff(edges)
        survival = guess(edges)
        ended = -np.diff(survival) + 1e-9
        hazard = np.log(np.maximum(survival[:-1], 1e-9) / np.maximum(survival[1:], 1e-9)) / self.widths + 1e-9
        self.ends = trust * ended
        self.spent = self.ends / hazard
        self.under_way = np.zeros(len(ended))
        self.fresh: list[float] = []

    def saw(self, seconds: float) -> None:
        """Remember one duration that ended."""
        self.fresh.append(seconds)

    def learn(self, under_way: Numbers | None = None) -> None:
        """Take in what ended since the last time, and how long what is under way has lasted.

        Without the latter a shift would begin by believing that all is short: what is long has not ended yet.
        """
        if under_way is not None:
            self.under_way = np.clip(under_way[:, None] - self.edges[:-1], 0.0, self.widths).sum(0)
        if not self.fresh:
            return
        seen = np.minimum(np.asarray(self.fresh), self.edges[-1] - 1e-6)
        self.fresh = []
        inside = np.clip(seen[:, None] - self.edges[:-1], 0.0, self.widths)
        bins = np.searchsorted(self.edges, seen, side="right") - 1
        counts = np.bincount(bins, minlength=len(self.widths))
        fade = LONGEST_MEMORY / max(LONGEST_MEMORY, self.ends.sum() + len(seen))
        self.ends = (self.ends + counts) * fade
        # A fifth of a bin at least for each end: a time-out that always comes at one instant has no finite hazard.
        self.spent = (self.spent + np.maximum(inside.sum(0), 0.2 * counts * self.widths)) * fade

    def survival(self, at: Numbers) -> Numbers:
        """Return the probability of lasting longer than so many seconds."""
        summed = np.concatenate(([0.0], np.cumsum(self.ends / (self.spent + self.under_way) * self.widths)))
        return np.exp(-np.interp(at, self.edges, summed))

    def mean(self) -> float:
        """Return the mean duration in seconds, to the end of the last bin."""
        survival = self.survival(self.edges)
        return float(((survival[:-1] + survival[1:]) / 2 * self.widths).sum())


def lognormal(mean: float, sigma: float) -> Callable[[Numbers], Numbers]:
    """Return the survival function of a lognormal law."""
    middle = math.log(mean) - sigma**2 / 2

    def survival(at: Numbers) -> Numbers:
        return np.array([0.5 * math.erfc((math.log(max(each, 1e-9)) - middle) / sigma / math.sqrt(2)) for each in at])

    return survival


def uniform(first: float, last: float) -> Callable[[Numbers], Numbers]:
    """Return the survival function of a uniform law."""
    return lambda at: np.clip((last - at) / (last - first), 0.0, 1.0)


class Share:
    """A share of yes among yes and no, the past fading: over so many answers, but never less than so many seconds."""

    def __init__(self, guess: float, trust: float, answers: float, seconds: float) -> None:
        self.yes, self.all = guess * trust, trust
        self.answers, self.seconds = answers, seconds
        self.at = 0.0

    def saw(self, yes: float, count: float, t: float) -> None:
        """Take in so many answers, `yes` of them a yes, at an instant."""
        passed, self.at = t - self.at, t
        # The memory is the longer one: by seconds where answers are many, by answers where they are few.
        fade = max(math.exp(-passed / self.seconds), (1 - 1 / self.answers) ** count)
        self.yes = self.yes * fade + yes
        self.all = self.all * fade + count

    @property
    def value(self) -> float:
        """The share now, between 0 and 1."""
        return self.yes / self.all
