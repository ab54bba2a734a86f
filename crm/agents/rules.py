"""The states of an agent at the telephone, and which step from one to another is whose. No database, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    """How an agent stands. `offline`: in no session."""

    offline = "offline"
    available = "available"
    reserved = "reserved"
    """A call is about to ring here; nobody else may have this agent."""
    ringing = "ringing"
    on_call = "on_call"
    wrap_up = "wrap_up"
    """Writing up the call that has ended."""
    paused = "paused"
    not_responding = "not_responding"
    """The agent's screen has not been heard of for a while."""


class By(StrEnum):
    """Whose step it is."""

    person = "person"
    """The agent, or a supervisor in their place."""
    calls = "calls"
    """What happens to calls, as the exchange tells it."""
    system = "system"
    """The clock: deadlines, silence; and pauses made at the telephone."""


BUSY = frozenset({State.reserved, State.ringing, State.on_call})
"""In the middle of a call: what a person wishes then waits until it is over."""
TIMED = frozenset({State.reserved, State.ringing, State.wrap_up, State.paused})
"""The states that can end by themselves at an instant; a conversation ends when the exchange says so."""
FREE = frozenset({State.available})
FREE_FOR_OWN = frozenset({State.available, State.wrap_up, State.paused})
"""An agent who calls somebody by themselves may do so while they take no calls of others."""

MISSED = "missed_calls"
"""The reason of a pause after too many missed calls."""
EXCHANGE = "exchange"
"""The reason of a pause made at the exchange or the telephone."""
OWN_REASONS = frozenset({MISSED, EXCHANGE})
LOST = "lost"
"""The reason of a session's end whose agent was heard of no more."""
LOST_AFTER = timedelta(seconds=60)
"""A session nobody signs off from ends so long after the last sign of its agent."""
WATCHED = frozenset({State.available, State.wrap_up, State.paused})
"""The states in which an agent who is not heard of counts as not responding; calls are signs themselves."""

_A, _R, _G, _C = State.available, State.reserved, State.ringing, State.on_call
_W, _P, _N, _O = State.wrap_up, State.paused, State.not_responding, State.offline

STEPS: Mapping[By, Mapping[State, frozenset[State]]] = {
    By.person: {
        _O: frozenset({_A}),
        _A: frozenset({_P, _O}),
        _W: frozenset({_A, _P, _O}),
        _P: frozenset({_A, _P, _O}),
        _N: frozenset({_A, _P, _O}),
    },
    By.calls: {
        _A: frozenset({_R, _G, _C}),
        _R: frozenset({_G, _C, _W, _A}),
        _G: frozenset({_G, _C, _W, _A, _P}),
        _C: frozenset({_C, _W, _A}),
        _W: frozenset({_R, _G, _C, _A}),
        _P: frozenset({_R, _G, _C}),
        _N: frozenset({_G, _C}),
    },
    By.system: {
        _A: frozenset({_P, _N, _O}),
        _R: frozenset({_A, _P, _O}),
        _G: frozenset({_A, _P, _O}),
        _W: frozenset({_A, _P, _N, _O}),
        _P: frozenset({_A, _N, _O}),
        _N: frozenset({_A, _P, _W, _O}),
    },
}
"""What may follow what, by whose step. Nobody but the exchange ends a conversation; a session begins by a person."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What a person wished in the middle of a call: to be paused or signed off when it is over."""

    to: State
    reason: str
    by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agent stands: `until`, the instant (UTC) at which the state ends by itself; `missed`, calls in a row."""

    state: State
    reason: str | None = None
    call_id: UUID | None = None
    until: datetime | None = None
    pending: Pending | None = None
    missed: int = 0


OFFLINE = Standing(State.offline)


def step(held: Standing, to: State, *, by: By, call_id: UUID | None = None, reason: str | None = None,
         until: datetime | None = None) -> Standing | None:  # fmt: skip
    """Return how an agent stands after a step; None when it is not possible, or changes nothing.

    What was wished in the middle of a call comes true when the agent would become free; whoever makes themselves free
    has changed their mind. A call that reaches a paused agent leads back to the pause.
    """
    until = until if to in TIMED else None
    if to is held.state and (reason, call_id) == (held.reason, held.call_id):
        return None if until == held.until else replace(held, until=until)
    if to not in STEPS[by].get(held.state, frozenset()) or _is_of_another_call(held, to, by, call_id):
        return None
    if by is By.person:
        return Standing(to, reason, call_id, until, None, 0)
    pending = Pending(State.paused, held.reason or EXCHANGE) if held.state is State.paused else held.pending
    if to is State.available:
        return _free(held, reason)
    missed = 0 if to is State.on_call else held.missed
    return Standing(to, reason, call_id, until, None if to is State.paused else pending, missed)


def _free(held: Standing, reason: str | None = None) -> Standing:
    """Return how an agent stands whose call is over: free, unless they wished otherwise."""
    if held.pending is not None:
        return Standing(held.pending.to, held.pending.reason)
    return Standing(State.available, reason, missed=held.missed)


def _is_of_another_call(held: Standing, to: State, by: By, call_id: UUID | None) -> bool:
    """Tell whether a call that is over already would end the one that the agent has now."""
    ends = to not in BUSY
    return by is By.calls and ends and None not in (call_id, held.call_id) and call_id != held.call_id


def miss(held: Standing, call_id: UUID, *, at_most: int) -> Standing | None:
    """Return how an agent stands who did not answer a call; None when it does not ring here (any more).

    After `at_most` calls missed in a row (0: any number) the agent is paused, so that callers do not wait for nobody.
    """
    if held.state not in (State.reserved, State.ringing) or held.call_id != call_id:
        return None
    missed = held.missed + 1
    if at_most and missed >= at_most and (held.pending is None or held.pending.to is State.paused):
        return Standing(State.paused, MISSED)
    return step(replace(held, missed=missed), State.available, by=By.calls, call_id=call_id)


def wish(held: Standing, wanted: Pending) -> Standing | None:
    """Return how an agent stands who wishes something in the middle of a call; None when they wish it already."""
    return None if held.pending == wanted else replace(held, pending=wanted)


def unwish(held: Standing) -> Standing | None:
    """Return how an agent stands who wishes nothing any more for after the call; None when they wished nothing."""
    return None if held.pending is None else replace(held, pending=None)


def after_silence(held: Standing, before: Standing, *, now: datetime) -> Standing:
    """Return how an agent stands whose screen is heard again: as before, but for what has run out meanwhile."""
    if before.state is State.paused:
        return Standing(State.paused, before.reason)
    if before.state is State.wrap_up and before.until is not None and before.until > now:
        return replace(before, pending=held.pending, missed=held.missed)
    return _free(held)


def is_paused_there(state: State) -> bool | None:
    """Tell whether the exchange's queues are to leave an agent in this state alone.

    None: as it is; what rings already is not taken back.
    """
    return None if state is State.ringing else state is not State.available


def occupancy(busy_s: float, available_s: float) -> float | None:
    """Return the share of busy seconds in busy and available ones; None when there are neither.

    Ringing and pauses are in neither part. Of several agents: the sums of their seconds, never the mean of shares.
    """
    return busy_s / (busy_s + available_s) if busy_s + available_s > 0 else None


def next_change(held: Standing, *, last_beat_at: datetime, silent_after: timedelta) -> tuple[datetime, Standing] | None:
    """Return when the present state ends by itself (UTC) and what follows; None: it lasts until something happens.

    A deadline comes, or nothing is heard of the agent: first they count as not responding, then their session is over.
    A conversation goes on as long as the exchange says so.
    """
    coming: list[tuple[datetime, Standing]] = []
    if held.until is not None and (free := step(held, State.available, by=By.system)):
        coming.append((held.until, free))
    if held.state in WATCHED and (silent := step(held, State.not_responding, by=By.system)):
        coming.append((last_beat_at + silent_after, silent))
    if held.state is not State.on_call:
        coming.append((last_beat_at + LOST_AFTER, Standing(State.offline, LOST)))
    return min(coming, key=lambda each: each[0], default=None)
