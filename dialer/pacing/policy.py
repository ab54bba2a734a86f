"""The predictive policy: launch while the risk of one more call is a fair price for the wait it saves."""

import math

import numpy as np

from dialer.pacing.budget import Budget, Tuning
from dialer.pacing.outlook import Outlook
from dialer.pacing.scores import Scores
from dialer.pacing.state import State

PAUSE_PER_AGENT = 0.004
"""Seconds between two looks, for each agent: with many agents every event changes little."""
AT_ONCE = 20
"""Calls beyond one for each ready agent that are launched at one look at most, and one for each agent more."""


class Predictive:
    """One shift's policy; it learns as the shift goes on.

    Of one more call it asks: were it answered, how likely would it or a later one find no agent (the risk), and how
    much of the next half minute would it fill that is idle otherwise (the benefit)? It launches while the risk is at
    most the benefit times the budget's price. A call for each ready agent who has none is always launched: it cannot
    be abandoned.
    """

    def __init__(self, n_agents: int, tuning: Tuning | None = None) -> None:
        tuning = tuning or Tuning()
        self.budget, self.outlook = Budget(n_agents, tuning), Outlook(tuning)
        self.scores = Scores(tuning.answers, tuning.seconds)
        self.looked = -math.inf

    def on_event(self, kind: str, t: float, value: float) -> None:
        """Learn from an event of the shift (see `dialer.pacing`)."""
        self.outlook.saw(kind, t, value)

    def decide(self, state: State) -> int:
        """Return how many new calls to launch now."""
        agents = len(state.agent_state) - state.n_pause
        if not state.is_tick and state.t - self.looked < PAUSE_PER_AGENT * agents:
            return 0
        self.looked = state.t
        self.scores.learn(state)
        self.outlook.refresh(state, agents)
        price = self.budget.price(state, self.outlook.cycle_s)
        total, self.scores.expected = self.outlook.total(state, self.scores.ringing(state))
        safe = max(0, state.n_ready - state.n_queue - state.n_ringing)
        most = min(state.lines_free, safe + AT_ONCE + agents)
        if agents <= 0 or most <= 0:
            return 0
        count = min(safe, most) if price <= 0 else self._fair(state, total, agents - state.n_queue, price, safe, most)
        self.scores.launch(state, count)
        return count

    def _fair(self, state: State, total: np.ndarray, agents: int, price: float, safe: int, most: int) -> int:
        """Return the greatest number of calls of which the last is worth its risk; found by doubling, then halving."""
        levels = self.scores.ahead(state, most)
        if agents <= 0:
            return min(safe, most)
        fresh = self.outlook.fresh(levels)

        def is_worth(after: int) -> bool:
            more = after * fresh[0] if len(levels) == 1 else fresh[:after].sum(0)
            risk, benefit = self.outlook.one_more(total, more, agents)
            return risk <= price * benefit

        most = min(most, len(levels)) if len(levels) > 1 else most
        if safe >= most or not is_worth(safe):
            return min(safe, most)
        least, stride = safe, 1
        while least + stride < most and is_worth(least + stride):
            least += stride
            stride *= 2
        while stride > 1:
            stride //= 2
            if least + stride < most and is_worth(least + stride):
                least += stride
        return least + 1
