"""What /realtime and /realtime/poll say."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas import Body, Read
from crm.events import Event


class EventRead(Read):
    """One thing that happened; `payload` holds ids and codes. An id comes once, whatever way it comes."""

    id: int
    type: str = Field(description="As in the event log: `lead.created`, `agent.availability_changed` …")
    aggregate_type: str
    aggregate_id: UUID
    occurred_at: datetime
    recorded_at: datetime
    actor_user_id: UUID | None
    payload: dict[str, Any]

    @classmethod
    def of_event(cls, event: Event) -> "EventRead":
        """Return an event of the log as it travels."""
        return cls(
            id=event.id,
            type=event.event_type,
            aggregate_type=event.aggregate_type,
            aggregate_id=event.aggregate_id,
            occurred_at=event.occurred_at,
            recorded_at=event.created_at,
            actor_user_id=event.actor_user_id,
            payload=dict(event.payload),
        )


class Poll(Read):
    """What happened since a cursor. `reset`: too much or too long ago, load the lists anew and go on from here."""

    events: list[EventRead]
    cursor: str
    reset: bool


class Hello(Body):
    """The first message of a WebSocket; sent again later with a fresh token, it keeps the WebSocket open for longer."""

    type: Literal["hello"]
    token: str = Field(max_length=4000)
    cursor: str | None = Field(None, max_length=4000)


class Frame(Read):
    """One message of ours. `seq` counts them from 1 without a gap; `cursor` resumes after everything up to this one."""

    type: Literal["ready", "events", "reset", "heartbeat"]
    seq: int
    cursor: str
    events: list[EventRead] = Field(default_factory=list)
