"""What a pacing policy may see, and what a policy is."""

from collections.abc import Mapping, Sequence
from typing import Protocol

PAUSE, READY, TALK, WRAP = range(4)
"""States of an agent as a policy sees them."""


class State(Protocol):
    """A shift at one instant; a policy only reads it. It may also have `next_answer_p`: the answer probabilities of
    the leads that would be dialled next, in their order."""

    t: float
    """Seconds since the shift began."""
    cap: float
    """The share of live answers that may be abandoned."""
    shift_end: float
    is_tick: bool
    """Whether this is the look of every second; else something happened just now."""
    n_ready: int
    n_talk: int
    n_wrap: int
    n_pause: int
    n_ringing: int
    """Calls launched and not resolved."""
    n_queue: int
    """People who answered and have no agent yet."""
    lines_free: int
    agent_state: Sequence[int]
    agent_since: Sequence[float]
    """When each agent came into the state."""
    ringing: Mapping[object, float]
    """When each ringing call was launched, the oldest first."""
    launched: int
    answered: int
    """By a live person; the abandoned are among them."""
    connected: int
    abandoned: int
    machines: int
    no_answers: int
    failed: int


class Policy(Protocol):
    """Decides how many calls to launch. It may also have `on_event(kind, t, value)`; see `dialer.pacing`."""

    def decide(self, state: State) -> int:
        """Return how many new calls to launch now, at least 0."""
