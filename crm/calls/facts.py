"""What an exchange tells of a call, one fact at a time, in our words. Facts come late, twice and in any order.

A leg is one party's connection to the exchange; the legs of a call share the call's id. Times are UTC by the
exchange's clock, durations whole or broken seconds as told.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Dialled(StrEnum):
    """How dialling a leg ended."""

    answer = "answer"
    busy = "busy"
    no_answer = "no_answer"
    congestion = "congestion"
    cancelled = "cancelled"
    unavailable = "unavailable"


class Verdict(StrEnum):
    """What answered."""

    human = "human"
    machine = "machine"
    unsure = "unsure"


class QueueEnd(StrEnum):
    """Why a caller left a queue without an agent: the queue let them go, or they chose to be called back."""

    timeout = "timeout"
    full = "full"
    join_empty = "join_empty"
    leave_empty = "leave_empty"
    withdrawn = "withdrawn"
    callback = "callback"
    """They pressed the key to be called back."""


class Party(StrEnum):
    """Who ended a conversation with an agent."""

    caller = "caller"
    agent = "agent"
    transfer = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something about a leg of a call; `call_id` is empty when it was told of the leg alone."""

    call_id: str = ""
    leg_id: str = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LegStarted(Fact):
    """A leg came to be, at an endpoint (`interface`; empty: not told)."""

    interface: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRinging(Fact):
    """It rings there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered(Fact):
    """Somebody, or something, answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded(Fact):
    """A leg is no more. `cause`: ITU-T Q.850; 0 when the exchange knows none."""

    cause: int
    was_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DialBegan(Fact):
    """A leg is being dialled, by another leg or (empty) by ourselves."""

    by_leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnded(Fact):
    """Dialling a leg ended; it may be told twice, differently."""

    by_leg: str
    dialled: Dialled


@dataclass(frozen=True, slots=True, kw_only=True)
class DialReported(Fact):
    """A leg's dialplan told how its own dialling ended, also when nothing could be dialled. `cause`: Q.850 or 0."""

    dialled: Dialled
    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginateEnded(Fact):
    """What became of a call we asked for. `reason`: the exchange's own number (3 no answer, 4 answered, 5 busy, 8
    congestion, 0 anything else); `action_id` is what we asked under, and surer than the leg."""

    action_id: str
    has_succeeded: bool
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected(Fact):
    """Machine detection came to a verdict."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJoined(Fact):
    """A caller waits in a queue; `position` counts from 1."""

    queue: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft(Fact):
    """A caller waits no longer, for whatever reason."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAbandoned(Fact):
    """A caller left without an agent; the exchange says so of time-outs, too."""

    queue: str
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEnded(Fact):
    """The queue itself let a caller go, or did not let them in; which queue is not told."""

    end: QueueEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCalled(Fact):
    """A queue rings an agent (`interface`) for a caller, on `agent_leg`."""

    queue: str
    interface: str
    agent_leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMissed(Fact):
    """An agent did not answer a queue's ringing."""

    queue: str
    interface: str
    agent_leg: str
    ring_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConnected(Fact):
    """A caller of a queue speaks with an agent."""

    queue: str
    interface: str
    agent_leg: str
    waited_s: float
    ring_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFinished(Fact):
    """The conversation with a queue's agent ended."""

    queue: str
    interface: str
    agent_leg: str
    talk_s: float
    by: Party


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeEntered(Fact):
    """A leg hears whoever else is in a bridge."""

    bridge_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLeft(Fact):
    """It no longer does."""

    bridge_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Fact):
    """A party put the others on hold by their telephone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheld(Fact):
    """A party took the call up again; told also when nothing was held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred(Fact):
    """A leg was given away by another one (`leg_id`)."""

    is_attended: bool
    has_succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWritten(Fact):
    """The exchange's own record (CDR) of a leg, or of a part of it: a leg may have several."""

    dialled: Dialled
    duration_s: int
    billable_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished(Fact):
    """The exchange was asked, and knows nothing of the call (any more); how it ended was not heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChanged(Fact):
    """An agent's place in a queue of the exchange, as it is now; `is_member` False: gone."""

    queue: str
    interface: str
    is_member: bool = True
    is_paused: bool = False
    reason: str = ""
