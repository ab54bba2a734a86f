"""Many simulated shifts of one policy, and what they come to: with intervals, and over 30 days."""

import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crm import errors
from dialer.pacing import Policy, make_policy
from dialer.twin.baselines import AdaptAverage, Power, Progressive
from dialer.twin.shift import Shift, Tally
from dialer.twin.traffic import Traffic

DAYS = 22
"""Shifts in 30 days: one each working day. More shifts would average out more, so this is the cautious count."""
RESAMPLES = 10_000


class UnknownPolicy(errors.Invalid):
    """There is no such policy: predictive, progressive, power:RATIO, adapt:LEVEL or adapt-available:LEVEL."""

    code = "twin.policy_unknown"


def policy_of(name: str, agents: int, cap: float) -> Policy:
    """Return a fresh policy by its name and number: `predictive`, `progressive`, `power:1.5`, `adapt:2`.

    `adapt` is VICIdial's ADAPT_AVERAGE with a maximum level, `adapt-available` the same that counts ready agents only.

    :raises UnknownPolicy: when there is none of that name, or its number is none.
    """
    kind, _, number = name.partition(":")
    made: dict[str, Callable[[float], Policy]] = {
        "power": Power,
        "adapt": AdaptAverage,
        "adapt-available": lambda highest: AdaptAverage(highest, is_available_only=True),
    }
    try:
        value = float(number) if number else {"power": 1.5}.get(kind, 3.0)
    except ValueError:
        raise UnknownPolicy(fields={"policy": "a number follows the colon"}) from None
    if kind in made and math.isfinite(value) and value > 0:
        return made[kind](value)
    if name == "progressive":
        return Progressive()
    if name == "predictive":
        return make_policy(agents, cap)
    raise UnknownPolicy(fields={"policy": "unknown"})


@dataclass(frozen=True, slots=True)
class Job:
    """One shift to simulate."""

    policy: str
    traffic: Traffic
    agents: int
    seed: int
    seconds: float = 14_400.0
    cap: float = 0.03
    lines: int | None = None
    shows_scores: bool = True
    is_timed: bool = False


def shift_of(job: Job) -> Tally:
    """Simulate one shift."""
    policy = policy_of(job.policy, job.agents, job.cap)
    return Shift(
        policy, job.traffic, agents=job.agents, seconds=job.seconds, cap=job.cap, seed=job.seed, lines=job.lines,
        shows_scores=job.shows_scores, is_timed=job.is_timed,
    ).run()  # fmt: skip


def run(jobs: Sequence[Job], workers: int = 1) -> Iterator[Tally]:
    """Simulate shifts, in the order of the jobs, on so many processors."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(shift_of, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(shift_of, jobs)


@dataclass(frozen=True, slots=True)
class Summary:
    """What shifts came to. Shares are 0 to 1; `_low` and `_high` bound 95 %; waits in seconds."""

    shifts: int
    occupancy: float
    occupancy_low: float
    occupancy_high: float
    abandonment: float
    """The abandoned out of all live answers of all shifts together."""
    abandonment_low: float
    abandonment_high: float
    legal: float
    """The share of shifts at or below the cap."""
    caller_wait_s: float
    """What a person who was connected waited, in the mean."""
    agent_wait_s: float
    """What an agent waited for the next conversation, in the mean."""
    calls_per_answer: float
    p_break_30d: float
    """The probability that the abandonment of 30 days is above the cap."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)


def summary(tallies: Iterable[Tally], cap: float, *, seed: int = 0) -> Summary:
    """Return what shifts came to; the same for the same seed."""
    tallies = list(tallies)
    answered = np.array([each.answered for each in tallies], dtype=float)
    abandoned = np.array([each.abandoned for each in tallies], dtype=float)
    connected = max(1, sum(each.connected for each in tallies))
    low, middle, high = interval([each.occupancy for each in tallies])
    rng = np.random.default_rng(seed)
    pooled = _resampled(rng, abandoned, answered, len(tallies))
    return Summary(
        len(tallies), middle, low, high,
        float(abandoned.sum() / max(1.0, answered.sum())), *map(float, np.quantile(pooled, (0.025, 0.975))),
        sum(each.abandonment <= cap for each in tallies) / len(tallies),
        sum(each.waited_s for each in tallies) / connected,
        sum(each.seconds[1] for each in tallies) / connected,
        sum(each.launched for each in tallies) / max(1.0, float(answered.sum())),
        float((_resampled(rng, abandoned, answered, DAYS) > cap).mean()),
    )  # fmt: skip


def _resampled(rng: np.random.Generator, abandoned: np.ndarray, answered: np.ndarray, count: int) -> np.ndarray:
    """Return the abandonment of so many shifts drawn with replacement, many times over."""
    drawn = rng.integers(len(answered), size=(RESAMPLES, count))
    share: np.ndarray = abandoned[drawn].sum(1) / np.maximum(answered[drawn].sum(1), 1.0)
    return share


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the low end, the mean and the high end of a mean's 95 % interval (Student's, by Cornish and Fisher)."""
    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return mean, mean, mean
    degrees, z = count - 1, 1.959964
    student = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    student += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    half = student * float(np.std(values, ddof=1)) / math.sqrt(count)
    return mean - half, mean, mean + half
