"""Queues as they travel."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.schemas import Body, Read
from api.schemas.leads import Instant
from api.schemas.profiles import Code
from crm.queues.actions import Kind
from crm.queues.rules import MOST_PRIORITY, Outcome, Settings, Way


class QueueCreate(Body):
    """A new queue; its code is its name on the exchange, and never changes."""

    code: Code
    settings: Settings


class QueueChange(Body):
    """Settings from an instant on; without one, from now."""

    settings: Settings
    valid_from: Instant | None = None


class PromisedRead(Read):
    """What callers are promised: the queue's own, or the firm's."""

    sl_s: int = Field(description="Seconds within which an answer is in time.")
    short_s: int = Field(description="Seconds up to which giving up does not count; 0: it always does.")
    sl_target: float = Field(description="The share that is to be answered in time.")


class QueueRead(Read):
    """A queue as it stands now."""

    id: UUID
    code: str
    settings: Settings
    promised: PromisedRead
    valid_from: datetime
    planned_from: datetime | None = Field(description="When other settings come to hold.")
    created_at: datetime
    retired_at: datetime | None


class VersionRead(Read):
    """Settings of a queue, from an instant until the next ones."""

    settings: Settings
    valid_from: datetime
    set_by: UUID | None
    created_at: datetime


class Stepping(Body):
    """Why a supervisor steps in, and until when: at most a day. It reverts by itself."""

    reason: Code
    until: Instant


class OverflowNow(Stepping):
    """Send everybody who waits, or comes, another way."""

    way: Way


class PrioritySet(Stepping):
    """Steps of priority for a caller who waits."""

    priority: Annotated[int, Field(ge=0, le=MOST_PRIORITY)]


class MoveCaller(Stepping):
    """Let a caller wait in another queue; who is not answered there by the end comes back."""

    to_queue: Code


class ActionRead(Read):
    """What a supervisor did about a queue."""

    id: UUID
    queue_id: UUID
    kind: Kind
    call_id: UUID | None
    to_queue: str | None = Field(description="The other queue's code, or the message's prompt.")
    way: Literal["queue", "callback", "message"] | None
    priority: int | None
    reason: str
    began_at: datetime
    began_by: UUID | None
    until: datetime
    ended_at: datetime | None
    ended_by: UUID | None
    end_reason: Literal["expired", "ended", "answered", "left"] | None


class CallerRead(Read):
    """Somebody who waits."""

    call_id: UUID
    position: int
    enqueued_at: datetime
    priority: int
    estimated_wait_s: float | None = Field(description="Seconds from now on, in the mean; none when nobody serves.")


class LineRead(Read):
    """How a queue stands at this moment."""

    queue_id: UUID
    code: str
    labels: dict[str, str]
    depth: int = Field(description="How many wait.")
    waits_since: datetime | None = Field(description="Since when the first of them waits.")
    longest_wait_s: float | None
    service_level: float | None = Field(description="Of the last thirty minutes; none where nobody was to be answered.")
    n: int = Field(description="How many calls that is about.")
    sl_s: int
    sl_target: float
    next_wait_s: float | None = Field(description="The estimated wait of whoever comes now.")
    agents: dict[str, int] = Field(description="How many agents of the queue are in which state.")
    is_paused: bool
    is_overflowing: bool = Field(description="A supervisor sends everybody on.")
    callers: list[CallerRead] = Field(description="In their order; the first hundred.")


class BoardRead(Read):
    """The board at an instant."""

    as_of: datetime
    queues: list[LineRead]


class BoardFrame(Read):
    """One message of a watched board. `seq` counts boards that differed: a gap is a board that came too late to send,
    and nothing is lost with it, since each is whole."""

    type: Literal["ready", "board", "heartbeat"]
    seq: int
    as_of: datetime
    queues: list[LineRead] = Field(default_factory=list)


class VisitRead(Read):
    """A caller's stay in a queue."""

    call_id: UUID
    visit_no: int
    queue: str
    queue_id: UUID | None
    enqueued_at: datetime
    left_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    wait_s: float | None = Field(description="Until an agent was heard, ringing included, or until it was left.")
    ring_s: float | None
    talk_s: float | None
    outcome: Outcome
    agent_user_id: UUID | None
    missed: list[UUID] = Field(description="Agents who did not answer, in order.")
    in_hours: bool
    is_historical: bool
    sl_s: int
    short_s: int
    sent_why: str | None
    sent_to: str | None


class VisitPage(Read):
    """Stays, the latest first."""

    items: list[VisitRead]
    next_cursor: str | None


class FiguresRead(Read):
    """Figures of a day of the queue's zone, a queue, or both; ratios are null where there is nothing to divide by."""

    day: date | None
    queue: str | None
    offered: int = Field(description="In opening hours, and somebody's decision.")
    offered_ooh: int = Field(description="Outside opening hours; in no other figure.")
    answered: int
    in_sl: int
    abandoned: int
    short_abandons: int
    abandoned_in_sl: int
    overflow: int
    timeout: int
    callback: int
    judged: int = Field(description="What the service level divides by.")
    service_level: float | None
    service_level_strict: float | None
    service_level_credit: float | None
    service_level_answered: float | None
    service_level_ignore_sl_abandons: float | None
    asa_s: float | None
    wait_p50: float | None
    wait_p90: float | None
    abandonment_rate: float | None
    abandonment_rate_gross: float | None
    avg_abandon_wait_s: float | None
    callback_share: float | None
    mean_service_s: float | None


class ExchangeFilesRead(Read):
    """What an Asterisk has to know of the queues, for the folders of its configuration."""

    queues_conf: str
    extensions_conf: str
