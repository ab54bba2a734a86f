"""States of a shift, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dialer.pacing.state import PAUSE, READY, TALK, WRAP


@dataclass
class Moment:
    """A state, by what agents do and which calls ring."""

    agent_state: Sequence[int] = ()
    agent_since: Sequence[float] = ()
    ringing: dict[int, float] = field(default_factory=dict)
    t: float = 600.0
    cap: float = 0.03
    shift_end: float = 14_400.0
    is_tick: bool = True
    n_queue: int = 0
    lines_free: int = 500
    answered: int = 0
    connected: int = 0
    abandoned: int = 0
    machines: int = 0
    no_answers: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        counted = [list(self.agent_state).count(each) for each in (PAUSE, READY, TALK, WRAP)]
        self.n_pause, self.n_ready, self.n_talk, self.n_wrap = counted
        self.n_ringing = len(self.ringing)
        self.launched = self.answered + self.machines + self.no_answers + self.failed + self.n_ringing


def moment(ready: int = 0, talk: int = 0, wrap: int = 0, pause: int = 0, rings: int = 0, **more: Any) -> Moment:
    """Return a state ten minutes into a shift with so many agents in each state and so many calls ringing."""
    states = [READY] * ready + [TALK] * talk + [WRAP] * wrap + [PAUSE] * pause
    ringing = {number: 600.0 - 20 * number / max(1, rings) for number in reversed(range(rings))}
    return Moment(states, [600.0 - 10 * n % 180 for n in range(len(states))], ringing, **more)
