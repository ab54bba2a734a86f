"""How likely each call is to be answered: by its lead's score where there are scores, corrected by what happens."""

import math
from collections.abc import Sequence

import numpy as np

from dialer.pacing.learned import Numbers, Share
from dialer.pacing.state import State

RATIO = math.log(1.06)
"""Answer probabilities are kept in steps of 6 %."""
ENOUGH = 60
"""Live answers after which the guess of how long calls ring is forgotten."""
TRUST = 50
"""Calls that all counts before the first look are worth."""
LEAST = 0.01
LEVELS = int(math.log(0.97 / LEAST) / RATIO) + 1


def probability(level: int) -> float:
    """Return the answer probability of a level."""
    return LEAST * math.exp(RATIO * level)


def level(p: float) -> int:
    """Return the level nearest to an answer probability."""
    return min(max(round(math.log(max(p, LEAST) / LEAST) / RATIO), 0), LEVELS - 1)


def levels(p: Numbers) -> Numbers:
    """Return the levels nearest to answer probabilities."""
    return np.clip(np.rint(np.log(np.maximum(p, LEAST) / LEAST) / RATIO), 0, LEVELS - 1).astype(int)


class Scores:
    """Each ringing call's answer probability, as a level.

    One factor corrects all scores. It is the live answers out of those expected for the seconds that calls rang: so it
    knows of a change long before calls that nobody answers have rung out. Without scores it is the probability itself.
    """

    def __init__(self, answers: float, seconds: float) -> None:
        self.seen = Share(0.4, 10.0, answers, seconds)
        self.resolved = Share(0.4, 10.0, answers, seconds)
        self.is_scored = False
        self.of_call: dict[object, float] = {}
        self.launched: list[float] = []
        self.expected = 0.0
        self.answered = self.ended = self.heard = 0
        self.at: float | None = None

    @property
    def factor(self) -> float:
        """What scores are multiplied with; the answer probability where there are none.

        Until enough people have answered it is no less than by the calls that ended alone: should ringing be slower
        than was guessed, calls that are yet to be answered would look like calls that nobody answers.
        """
        return self.seen.value if self.heard >= ENOUGH else max(self.seen.value, self.resolved.value)

    def learn(self, state: State) -> None:
        """Take in what happened since the last look."""
        ended = state.machines + state.no_answers + state.failed
        over = self._over(state) if self.is_scored else None
        if self.at is None:
            self._begin(state, ended)
        elif state.t > self.at or state.answered > self.answered or ended > self.ended:
            fresh, passed = state.answered - self.answered, state.t - self.at
            self.seen.saw(fresh, self.expected * passed / self.factor, state.t)
            self.resolved.saw(fresh, fresh + ended - self.ended if over is None else over, state.t)
            self.heard += fresh
        self.answered, self.ended, self.at = state.answered, ended, state.t

    def _begin(self, state: State, ended: int) -> None:
        """Begin with what the shift came to before the first look: a dialer may take over in its middle."""
        weight = min(1.0, TRUST / max(1, state.answered + ended))
        for share in (self.seen, self.resolved):
            share.at = state.t
            share.saw(weight * state.answered, weight * (state.answered + ended), state.t)

    def ahead(self, state: State, count: int) -> Numbers:
        """Return the levels of the next calls; one level stands for all where there are no scores."""
        scores: Sequence[float] | None = getattr(state, "next_answer_p", None)
        if scores is None or not len(scores):
            return np.array([level(self.factor * (self._usual() if self.is_scored else 1.0))])
        if not self.is_scored:
            self.is_scored = True
            for share in (self.seen, self.resolved):
                share.yes = share.all  # scores are right until they are seen to be wrong
            self._over(state)
        return levels(self.factor * np.array(scores[:count]))

    def ringing(self, state: State) -> int | Numbers:
        """Return the level of each call that rings, in their order, or of all; `learn` comes first."""
        if not self.is_scored:
            return level(self.factor)
        return levels(self.factor * np.array([self.of_call[call] for call in state.ringing]))

    def launch(self, state: State, count: int) -> None:
        """Remember the scores of the calls that are launched now; their names are seen at the next look."""
        if self.is_scored:
            self.launched += list(getattr(state, "next_answer_p", None) or ())[:count]

    def _over(self, state: State) -> float:
        """Name the calls that are new among the ringing, the last the last; return the scores of those that are gone.

        A call that came and went between two looks takes another's score: they were launched at the same time.
        """
        gone = sum(self.of_call.pop(call) for call in self.of_call.keys() - state.ringing.keys())
        fresh = []
        for call in reversed(state.ringing):  # type: ignore[call-overload]
            if call in self.of_call:
                break
            fresh.append(call)
        usual, scores = self._usual(), self.launched[::-1]
        for place, call in enumerate(fresh):
            self.of_call[call] = scores[place] if place < len(scores) else usual
        self.launched = []
        return gone

    def _usual(self) -> float:
        """Return the mean score of the calls that ring."""
        return sum(self.of_call.values()) / len(self.of_call) if self.of_call else 0.3
