"""Sums of independent yes-or-no questions at the instants ahead, each question a row of a table that is only added."""

import math

import numpy as np

from dialer.pacing.learned import Numbers

STEPS = 9
"""Instants looked at."""


class Exact:
    """By the characteristic function: exact for fewer than `size` questions, and near it for a few more."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.turns = np.exp(2j * math.pi * np.arange(size // 2 + 1) / size) - 1
        self.weights: dict[int, np.ndarray] = {}

    def rows(self, odds: Numbers) -> np.ndarray:
        """Return the table of a table of odds, row for row."""
        function = 1 + np.minimum(odds, 0.9999)[:, :, None] * self.turns + 1e-7
        return np.log(function.astype(np.complex64)).reshape(len(odds), -1)

    def calls(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum of rows of calls."""
        return rows.sum(0)

    def agents(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum of rows of agents."""
        return rows.sum(0)

    def each(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of calls, each as a sum of its own."""
        return rows

    def at_least(self, total: np.ndarray, count: int) -> Numbers:
        """Return the odds of so many yes or more, at each instant ahead."""
        weight = self.weights.get(count)
        if weight is None:
            weight = self.weights[count] = self._weight(count)
        odds: Numbers = (np.exp(total).reshape(STEPS, -1) @ weight).real
        return odds

    def _weight(self, count: int) -> np.ndarray:
        turns = np.arange(self.size // 2 + 1)
        weight = np.exp(-2j * math.pi * np.outer(turns, np.arange(count, self.size)) / self.size).sum(1) / self.size
        weight[1:-1] *= 2  # the other half of the circle is the mirror image
        return weight.astype(np.complex64)


class Normal:
    """By mean and variance, with half a step of correction: for many questions.

    `doubt` is the squared relative error of the calls' common answer probability, which widens their sum.
    """

    def __init__(self, doubt: float) -> None:
        self.doubt = doubt

    def rows(self, odds: Numbers) -> np.ndarray:
        """Return the table of a table of odds, row for row."""
        return np.concatenate((odds, odds * (1 - odds)), axis=1)

    def calls(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum of rows of calls: mean, variance, mean of calls alone."""
        total = rows.sum(0)
        return np.concatenate((total, total[:STEPS]))

    def agents(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum of rows of agents: mean, variance, no calls."""
        return np.concatenate((rows.sum(0), np.zeros(STEPS)))

    def each(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of calls, each as a sum of its own."""
        return np.concatenate((rows, rows[:, :STEPS]), axis=1)

    def at_least(self, total: np.ndarray, count: int) -> Numbers:
        """Return the odds of so many yes or more, at each instant ahead."""
        mean, calls = total[:STEPS], total[2 * STEPS :]
        variance = total[STEPS : 2 * STEPS] + self.doubt * calls * calls
        z = (count - 0.5 - mean) / np.sqrt(2 * variance + 1e-9)
        return np.array([0.5 * math.erfc(each) for each in z.tolist()])
