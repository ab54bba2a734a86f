"""Pacing rules to compare with: one call for each ready agent, a fixed ratio, and VICIdial's ADAPT_AVERAGE."""

import math
from collections import deque

from dialer.pacing.state import State


class Progressive:
    """One ringing call for each agent who is ready: nobody can be abandoned, and agents wait for whole calls."""

    def decide(self, state: State) -> int:
        """Return how many calls are missing to one for each ready agent."""
        return max(0, min(state.n_ready - state.n_queue - state.n_ringing, state.lines_free))


class Power:
    """A fixed number of ringing calls for each agent who is ready."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def decide(self, state: State) -> int:
        """Return how many calls are missing to the ratio."""
        wanted = math.floor(self.ratio * (state.n_ready - state.n_queue)) - state.n_ringing
        return max(0, min(wanted, state.lines_free))


class AdaptAverage:
    """VICIdial's ADAPT_AVERAGE: a dial level that climbs while agents are ready and is halved over the drop limit.

    Re-implemented from a description of its two loops, the filler of lines (every 2.5 s, and 25 ms for each call) and
    the setter of the level (every 15 s). `highest` is its maximum level; `is_available_only` counts ready agents alone.
    """

    only_ticks = True

    def __init__(self, highest: float = 3.0, *, is_available_only: bool = False, limit: float | None = None) -> None:
        self.highest, self.is_available_only, self.limit = highest, is_available_only, limit
        self.level = 1.0
        self.samples: deque[tuple[int, int]] = deque(maxlen=15)
        self.minute: tuple[int, int, int, int] = (0, 0, 0, 0)
        self.before = (0, 0)
        self.next_fill = self.next_minute = 0.0
        self.next_level = 15.0

    def decide(self, state: State) -> int:
        """Return what the filler places at this second."""
        self.samples.append((state.n_ready - state.n_queue, len(state.agent_state)))
        if state.t >= self.next_minute:
            self.next_minute += 60.0
            calls, drops = self.before
            self.minute = (state.launched - calls, state.abandoned - drops, state.abandoned, state.answered)
            self.before = (state.launched, state.abandoned)
        if state.t >= self.next_level:
            self.next_level += 15.0
            self.level = self._adapted(state)
        if state.t < self.next_fill:
            return 0
        count = self._missing(state)
        self.next_fill += 2.5 + 0.025 * count
        return count

    def _adapted(self, state: State) -> float:
        difference = sum(ready for ready, _ in self.samples) / len(self.samples)
        agents = sum(count for _, count in self.samples) / len(self.samples)
        percent = 100 * difference / agents if agents else 0.0
        level = max(1.0, min(round(self.level * (1 + percent / 100), 3), self.highest))
        calls, drops, dropped, answered = self.minute
        if calls > 20 and drops / calls > 0.5:
            level /= 2
        if state.launched > 50 and answered and dropped / answered > (self.limit or state.cap):
            level /= 2
        return max(1.0, level)

    def _missing(self, state: State) -> int:
        talking = state.n_talk
        dialable = state.n_ready if self.is_available_only else state.n_ready + talking
        goal = round(self.level * dialable) + (talking if self.is_available_only else 0)
        return max(0, min(goal - state.n_ringing - state.n_queue - talking, state.lines_free))
