"""The traffic of a campaign, learned from how its calls went; what was seen too rarely stays as in the reference."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crm import errors
from crm.dialling.history import History
from dialer.twin.laws import Law, Observed
from dialer.twin.traffic import Swing, Traffic

LEAST_ATTEMPTS, LEAST_ANSWERS = 100, 20
LEAST_SEEN = 20
"""Durations of a kind from which its law is learned."""
HOUR_TRUST = 50
"""Attempts for which the rate of the whole day counts within each hour."""
LONGEST_PATIENCE = 2.0
"""Seconds after which the law calls an answered person abandoned."""


class TooLittleHistory(errors.Conflict):
    """This campaign has too few attempts to learn from: it takes 100 with 20 live answers. State the traffic."""

    code = "twin.too_little_history"


def traffic_of(history: History, *, first_hour: int = 10, hours: int = 4, stated: Traffic | None = None) -> Traffic:
    """Return the traffic of a shift that begins at an hour of the called people's day.

    :raises TooLittleHistory: when there is too little to learn from.
    """
    if history.attempts < LEAST_ATTEMPTS or history.live < LEAST_ANSWERS:
        raise TooLittleHistory
    known, others = stated or Traffic(), max(1, history.attempts - history.live)
    rate = history.live / history.attempts
    patience = [min(each, LONGEST_PATIENCE) for each in history.patience]
    return replace(
        known,
        answer_p=rate,
        hours=[_factor(history, (first_hour + n) % 24, rate) for n in range(max(1, hours))],
        machine_share=history.machines / others,
        failed_share=history.failed / others,
        live_ring=_law(history.live_ring, known.live_ring),
        machine_ring=_law(history.machine_ring, known.machine_ring),
        failed_after=_law(history.failed_after, known.failed_after),
        no_answer_after=_law(history.no_answer_after, known.no_answer_after),
        talk=_law(history.talk, known.talk),
        wrap=_law(history.wrap, known.wrap),
        patience=_law(patience, known.patience),
        answer_swing=_swing(list(history.blocks.values()), known.answer_swing),
        scores=_concentration(history.scores),
    )


def _law(seen: Sequence[float], otherwise: Law) -> Law:
    return Observed(tuple(seen)) if len(seen) >= LEAST_SEEN else otherwise


def _factor(history: History, hour: int, rate: float) -> float:
    """Return how much likelier an answer is in an hour than in the whole day."""
    tries, live = history.tries_by_hour.get(hour, 0), history.live_by_hour.get(hour, 0)
    return (live + HOUR_TRUST * rate) / (tries + HOUR_TRUST) / rate


def _swing(blocks: Sequence[tuple[int, int]], otherwise: Swing) -> Swing:
    """Return the bursts: what blocks of ten minutes differ by beyond chance (method of moments)."""
    if len(blocks) < LEAST_SEEN:
        return otherwise
    tries, live = np.array(blocks, dtype=float).T
    if tries.mean() < 5:
        return otherwise
    rate = live.sum() / tries.sum()
    beyond = ((live - tries * rate) ** 2).sum() - tries.sum() * rate * (1 - rate)
    spread = max(0.0, beyond / (tries**2).sum() / rate**2)
    return Swing(burst=min(0.8, math.sqrt(math.log1p(spread))))


def _concentration(scores: Sequence[float]) -> float | None:
    """Return the sum of the two parameters of the beta law with the scores' mean and variance; None: all are alike."""
    if len(scores) < LEAST_ATTEMPTS:
        return None
    mean, variance = float(np.mean(scores)), float(np.var(scores))
    return max(0.5, mean * (1 - mean) / variance - 1) if variance > 1e-4 else None
