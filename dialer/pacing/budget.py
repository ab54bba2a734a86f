"""The error budget of a shift: what one more risk may cost now, so that the law's share is kept at the end."""

from dataclasses import dataclass

from dialer.pacing.state import State

LONGEST = 4 * 3600.0
"""Seconds ahead that are counted on, however far the end of the shift is."""
WARM_UP = 600.0
"""Seconds for which the guessed rate of answers counts as observed."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The numbers of the budget and of the outlook, found on simulated shifts; see docs/decisions/pacing.md."""

    use: float = 0.97
    """How much of the cap is aimed at."""
    reserve: float = 1.0
    """Abandoned calls kept back"""
    in_flight: float = 0.05
    """and as many more for each agent: calls that ring when the budget runs out."""
    most: float = 1.6
    """How far above the cap a stretch may go that makes up for a careful one."""
    price: float = 0.75
    """Risk bought for each abandoned call allowed, before experience corrects it."""
    trust: float = 10.0
    """Abandoned calls for which that guess counts."""
    power: float = 3.0
    """How strongly the price follows what was allowed and what was abandoned so far."""
    doubt: float = 0.02
    """Squared relative error of the answer probability, where sums are normal."""
    answers: float = 150.0
    seconds: float = 150.0
    """Memory of the answer probability, the longer of the two: calls' worth, and seconds."""
    few: int = 12
    """Up to so many agents sums are exact."""


class Budget:
    """What was allowed and what was abandoned in a shift, and the price that follows."""

    def __init__(self, n_agents: int, tuning: Tuning) -> None:
        self.tuning = tuning
        self.busy_guess = 0.85 * n_agents
        self.reserve = tuning.reserve + tuning.in_flight * n_agents
        self.allowed = 0.0
        self.answered = 0

    def price(self, state: State, cycle_s: float) -> float:
        """Return the risk of an abandoned call that a whole saved wait is worth now; 0: none may be taken.

        `cycle_s` is the mean time that an answered call keeps an agent busy.
        """
        tuning, share = self.tuning, self.share(state, cycle_s)
        behind = (self.allowed + tuning.trust) / (state.abandoned + tuning.trust)
        self.allowed += share * (state.answered - self.answered)
        self.answered = state.answered
        return tuning.price * share * behind**tuning.power

    def share(self, state: State, cycle_s: float) -> float:
        """Return the share of the answers still to come that may be abandoned for the whole shift to keep the cap."""
        tuning = self.tuning
        rate = (state.answered + WARM_UP * self.busy_guess / cycle_s) / (state.t + WARM_UP)
        to_come = max(rate * min(state.shift_end - state.t, LONGEST), 1.0)
        aim = tuning.use * state.cap
        left = aim * (state.answered + to_come) - state.abandoned - self.reserve
        return min(max(left / to_come, 0.0), tuning.most * aim)
