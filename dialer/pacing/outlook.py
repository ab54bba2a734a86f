"""What is ahead: for each ringing call and busy agent, the odds at some instants of the next half minute.

Calls that will have been answered and agents who will still be busy are independent yes-or-no questions, so their sum
is known from a table: by its characteristic function where agents are few (exact), by its mean and variance where
they are many.
"""

from typing import Any

import numpy as np

from dialer.pacing import scores
from dialer.pacing.budget import Tuning
from dialer.pacing.learned import Durations, Numbers, Share, lognormal, uniform
from dialer.pacing.state import TALK, WRAP, State
from dialer.pacing.sums import STEPS, Exact, Normal

STEP = 3
AHEAD = np.arange(1, STEPS + 1) * STEP
"""The instants looked at: seconds from now."""
PATIENCE = 1
"""Seconds a person waits without harm, on the cautious side of the law's two."""

FIRST = 20
"""Live answers that the first guess of the answer probability counts for, as far as its error is concerned."""
RING_BINS = 48
"""Ages of a ringing call in whole seconds; older calls count as the last."""
HALF = 2
"""Steps a second in which ringing is measured: an age of whole seconds stands for its middle."""
WRAP_BINS = 96
TALK_AGES = np.concatenate((np.arange(0.0, 60.0, 4.0), np.geomspace(60.0, 3600.0, 33)))
TALK_STEP = 4
TALK_BIN = np.searchsorted(TALK_AGES, np.arange(900) * TALK_STEP + TALK_STEP / 2) - 1
"""The last of these ages that was reached, by seconds talked in steps."""
REFRESH = (15.0, 900.0)
"""Seconds between two looks at what the laws have become: a fifth of the time since the beginning, within these."""


MIDDLES = HALF * np.arange(RING_BINS) + 1


def resolution(live: Numbers, other: Numbers, p: float) -> Numbers:
    """Return the odds that a call is answered within each instant ahead, by its age.

    `live` and `other` are the shares of live and other calls that ring longer than each half second.
    """
    later = MIDDLES[:, None] + HALF * AHEAD
    still = np.maximum(p * live[MIDDLES] + (1 - p) * other[MIDDLES], 1e-6)
    return p * (live[MIDDLES][:, None] - live[later]) / still[:, None]


def hazard(live: Numbers, other: Numbers, p: float) -> Numbers:
    """Return the odds that a call is answered within the next second, by its age."""
    still = np.maximum(p * live[MIDDLES] + (1 - p) * other[MIDDLES], 1e-6)
    return p * (live[MIDDLES] - live[MIDDLES + HALF]) / still


def busy_talking(talk: Durations, wrap: Durations, rests: float) -> Numbers:
    """Return the odds that who has talked so long (`TALK_AGES`) is not back at each instant ahead."""
    horizon = np.arange(AHEAD[-1] + PATIENCE + 1)
    lasts = talk.survival((TALK_AGES[:, None] + horizon).ravel()).reshape(len(TALK_AGES), -1)
    lasts /= np.maximum(lasts[:, :1], 1e-9)
    ends = lasts[:, :-1] - lasts[:, 1:]
    seconds = (AHEAD + PATIENCE)[None, :] - horizon[:-1, None] - 0.5
    wraps = np.where(seconds > 0, wrap.survival(np.maximum(seconds, 0).ravel()).reshape(seconds.shape), 0.0)
    busy = lasts[:, AHEAD + PATIENCE] + ends @ wraps
    return busy + (1 - busy) * rests


def busy_wrapping(wrap: Durations, rests: float) -> Numbers:
    """Return the odds that who has wrapped up for so many seconds is not back at each instant ahead."""
    lasts = wrap.survival(np.arange(WRAP_BINS + AHEAD[-1] + PATIENCE + 1.0))
    ages = np.arange(WRAP_BINS)
    busy = lasts[ages[:, None] + AHEAD + PATIENCE] / np.maximum(lasts[ages], 1e-9)[:, None]
    return busy + (1 - busy) * rests


class Outlook:
    """The laws learned so far, and the tables made of them: one row for each kind of ringing call and busy agent."""

    def __init__(self, tuning: Tuning) -> None:
        seconds, coarse = np.arange(0.0, 65.0), np.geomspace(60.0, 3600.0, 20)
        self.live = Durations(seconds, lognormal(12.0, 0.5), 40)
        self.other = Durations(seconds, uniform(0.0, 34.0), 20)
        self.talk = Durations(np.append(0.0, np.geomspace(4.0, 7200.0, 40)), lognormal(120.0, 1.0), 25)
        self.wrap = Durations(np.append(np.arange(0.0, 60.0, 2.0), coarse), lognormal(20.0, 0.4), 25)
        self.rests = Share(0.02, 50, 1000, 3600)
        self.few, self.doubt = tuning.few, tuning.doubt
        self.kinds = (Exact(32), Normal(tuning.doubt))
        self.sums: Exact | Normal | None = None
        self.next_refresh = 0.0
        self.cycle_s = 140.0

    def saw(self, kind: str, t: float, value: float) -> None:
        """Learn from an event."""
        if kind == "live":
            self.live.saw(value)
        elif kind in ("machine", "no_answer", "failed"):
            self.other.saw(value)
        elif kind == "talk_end":
            self.talk.saw(value)
        elif kind == "wrap_end":
            self.wrap.saw(value)
            self.rests.saw(0, 1, t)
        elif kind == "to_pause":
            self.rests.saw(1, 0, t)

    def refresh(self, state: State, agents: int) -> None:
        """Make the tables anew where agents became few or many, and now and then."""
        t = state.t
        sums = self.kinds[agents > self.few]
        if sums is self.sums and t < self.next_refresh:
            return
        self.sums, self.next_refresh = sums, t + min(max(t / 5, REFRESH[0]), REFRESH[1])
        doing, since = np.array(state.agent_state), np.array(state.agent_since)
        self.live.learn()
        self.other.learn()
        self.talk.learn(t - since[doing == TALK])
        self.wrap.learn(t - since[doing == WRAP])
        self.kinds[1].doubt = self.doubt + 1 / (state.answered + FIRST)
        self.cycle_s = self.talk.mean() + self.wrap.mean()
        rests = self.rests.value
        odds = np.concatenate((busy_talking(self.talk, self.wrap, rests), busy_wrapping(self.wrap, rests)))
        self.busy = sums.rows(odds)
        at = np.arange(HALF * (RING_BINS + AHEAD[-1] + 1)) / HALF
        self.live_lasts, self.other_lasts = self.live.survival(at), self.other.survival(at)
        within = 1 - self.live_lasts[HALF * AHEAD]
        self.arrives, self.fills = np.diff(within, prepend=0.0), within / STEPS
        self.rings = np.empty((scores.LEVELS * RING_BINS, self.busy.shape[1]), self.busy.dtype)
        self.young = np.empty((scores.LEVELS, self.busy.shape[1]), self.busy.dtype)
        self.hazard = np.empty(scores.LEVELS * RING_BINS)
        self.made: set[int] = set()

    def total(self, state: State, levels: int | Numbers) -> tuple[np.ndarray, float]:
        """Return the sum of all that is ahead, and how many live answers a second are expected of what rings now.

        `levels`: of each ringing call, or of all.
        """
        t, doing = state.t, np.array(state.agent_state)
        lasted = np.maximum(t - np.array(state.agent_since), 0.0)  # another clock may be a little ahead
        talked, wrapped = (lasted[doing == TALK] / TALK_STEP).astype(int), lasted[doing == WRAP].astype(int)
        rows = (TALK_BIN[np.minimum(talked, len(TALK_BIN) - 1)], len(TALK_AGES) + np.minimum(wrapped, WRAP_BINS - 1))
        total = self.sums.agents(self.busy[np.concatenate(rows)])
        if not state.ringing:
            return total, 0.0
        self._make(levels)
        ages = (t - np.fromiter(state.ringing.values(), float, len(state.ringing))).astype(int)
        calls = np.clip(ages, 0, RING_BINS - 1) + RING_BINS * levels
        return total + self.sums.calls(self.rings[calls]), float(self.hazard[calls].sum())

    def fresh(self, levels: Numbers) -> np.ndarray:
        """Return the rows of calls that are launched now, by their levels."""
        self._make(levels)
        rows: np.ndarray = self.sums.each(self.young[levels])
        return rows

    def one_more(self, total: np.ndarray, more: Any, agents: int) -> tuple[float, float]:
        """Return the risk and the benefit of one call more than `total` and `more`, were it answered."""
        none_free = self.sums.at_least(total + more, agents)
        worst_later = np.maximum.accumulate(none_free[::-1])[::-1]
        return float(self.arrives @ worst_later), float(self.fills @ (1 - none_free))

    def _make(self, levels: int | Numbers) -> None:
        """Make the rows of calls of some levels, where there are none."""
        for level in {levels} - self.made if isinstance(levels, int) else set(levels.tolist()) - self.made:
            self.made.add(level)
            p, rows = scores.probability(level), slice(level * RING_BINS, (level + 1) * RING_BINS)
            self.rings[rows] = self.sums.rows(resolution(self.live_lasts, self.other_lasts, p))
            self.hazard[rows] = hazard(self.live_lasts, self.other_lasts, p)
            self.young[level] = self.sums.rows(p * (1 - self.live_lasts[None, HALF * AHEAD]))[0]
