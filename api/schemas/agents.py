"""Agents at the telephone, as they travel."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas import Body, Line, Read
from crm.agents.rules import State

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]


class StatusRead(Read):
    """How an agent stands at the telephone."""

    state: State
    reason: str | None = Field(None, description="Why: of a pause, a code of the firm's catalogue.")
    since: datetime | None = Field(None, description="When this state began; null: offline.")
    until: datetime | None = Field(None, description="When it ends by itself.")
    call_id: UUID | None = None
    pending: Literal["paused", "offline"] | None = Field(None, description="What follows when the call is over.")
    pending_reason: str | None = None
    missed: int = Field(0, description="Calls missed in a row.")
    session_id: UUID | None = None
    signed_on_at: datetime | None = None


class StatusSet(Body):
    """How an agent wishes to stand; in a call a pause waits until it is over."""

    state: Literal["available", "paused"]
    reason: Code | None = Field(None, description="Of a pause: a code of the firm's catalogue.")

    @model_validator(mode="after")
    def _reason_of_a_pause(self) -> Self:
        if (self.state == "paused") != (self.reason is not None):
            raise ValueError("a pause has a reason, being available has none")
        return self


class Reasoned(Body):
    """Why a supervisor does it."""

    reason: Code


class EndpointSet(Body):
    """The telephone to work at."""

    endpoint: Line = Field(description="A dial string as the exchange has it.", examples=["PJSIP/agent-7"])


class EndpointRead(Read):
    """Whose telephone it is."""

    user_id: UUID
    endpoint: str | None


class PauseReasonRead(Read):
    """One reason for taking no calls."""

    code: str
    label: str = Field(description="In the language asked for.")
    kind: Literal["internal", "external"] = Field(description="At work for the firm, or not working.")
    is_planned: bool
    is_own: bool = Field(description="Given by the system alone: missed calls, a pause made at the telephone.")


class TelephoneRead(Read):
    """How an agent stands at the telephone, and their day so far in seconds."""

    state: State
    reason: str | None
    since: datetime | None = Field(description="When this state began; null: never signed on.")
    until: datetime | None
    call_id: UUID | None
    pending: str | None
    signed_on_at: datetime | None
    available_s: float
    busy_s: float = Field(description="Talking, holding, dialling, writing up.")
    ringing_s: float
    paused_s: float
    occupancy: float | None = Field(description="Busy by busy and available; null: neither yet.")


class FloorRead(TelephoneRead):
    """An agent whom one may watch."""

    id: UUID
    name: str
    team_id: UUID | None
    team_name: str | None
    skills: dict[str, int] = Field(description="Code of a skill → proficiency, 1 (learning) to 5 (expert).")


class StateRead(Read):
    """One state of an agent, from its beginning to its end."""

    session_id: UUID
    state: State
    reason: str | None
    call_id: UUID | None
    started_at: datetime
    ended_at: datetime | None
