"""Pacing: how many calls to launch now. Pure: no clock, no database, no network.

The live dialer, the twin and any program outside drive one and the same object, made fresh for each shift:

    policy = make_policy(n_agents, cap)
    policy.decide(state)                 # every second and after every event: how many calls to launch
    policy.on_event(kind, t, value)      # before the decision that follows it

`state` is a `dialer.pacing.state.State`. Events, all times in seconds, `t` since the shift began:

| kind | value |
|---|---|
| live, machine, no_answer, failed | from launch to the answer, or to the release of the line |
| connect, abandon | what the person waited |
| talk_end, wrap_end | the conversation, the wrap-up |
| to_pause, from_pause | 0 |

Without events the policy works by its guesses of how long things take; the answer probability comes from the counts.
"""

from dialer.pacing.policy import Predictive
from dialer.pacing.state import Policy, State

__all__ = ["Policy", "Predictive", "State", "make_policy"]


def make_policy(n_agents: int, cap: float) -> Predictive:
    """Return a fresh policy for one shift of about so many agents.

    The share that may be abandoned is the `cap` of the state, which may change in a shift; `cap` is where it begins.
    """
    return Predictive(n_agents)
