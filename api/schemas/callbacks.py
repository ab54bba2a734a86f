"""Callbacks as they travel."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.pages import CursorText, Limit
from api.schemas import Body, Line, Read
from api.schemas.profiles import Code
from crm.callbacks.rules import Kind, Status


class CallbackCreate(Body):
    """A callback to promise: to a contact, or to the caller of a call who waits in a queue now."""

    kind: Literal["agent", "web", "hold"] = Field(
        "agent",
        description="agent: agreed with the customer. web: asked for by the customer, in writing. hold: the caller"
        " of `call_id` keeps the place in the queue.",
    )
    call_id: UUID | None = Field(None, description="The call of the caller, for `hold`.")
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    queue: Code | None = Field(None, description="The queue that makes it; with an agent, when the agent cannot.")
    agent_user_id: UUID | None = None
    promised_from: AwareDatetime | None = Field(None, description="Default: now.")
    promised_until: AwareDatetime | None = Field(None, description="Default: as the firm has set.")
    evidence: Annotated[dict[Code, Line], Field(max_length=10)] = Field(
        {}, description="For `web`: how we know that they asked, kept with their consent."
    )

    @model_validator(mode="after")
    def _whom(self) -> "CallbackCreate":
        if self.kind == "hold":
            others = self.model_fields_set - {"kind", "call_id"}
            if self.call_id is None or others:
                raise ValueError("hold takes call_id, and nothing else")
        elif self.contact_id is None or self.call_id is not None:
            raise ValueError("contact_id says to whom; call_id is for hold")
        return self


class RescheduleBody(Body):
    """Another time, agreed with the customer."""

    promised_from: AwareDatetime
    promised_until: AwareDatetime | None = Field(None, description="Default: as the firm has set.")
    reason: Code = "agreed"


class CancelBody(Body):
    """Why it is not wanted any more."""

    reason: Code


class CallbackRead(Read):
    """A callback."""

    id: UUID
    kind: str
    status: str
    reason: str | None
    contact_id: UUID
    contact_name: str | None = Field(description="Null for those who do not see the contact.")
    phone_masked: str | None
    lead_id: UUID | None
    queue: str | None
    agent_user_id: UUID | None
    source_call_id: UUID | None = Field(description="The call whose caller keeps their place.")
    enqueued_at: datetime = Field(description="Since when they count as waiting.")
    promised_from: datetime
    promised_until: datetime
    due_at: datetime | None = Field(description="When they are called at the earliest; null: it is over.")
    attempts: int = Field(description="Calls that reached the customer's telephone.")
    call_id: UUID | None = Field(description="The last call for it.")
    last_outcome: str | None
    requested_by: UUID | None
    requested_at: datetime
    first_attempt_at: datetime | None
    reached_at: datetime | None
    ended_at: datetime | None
    is_kept: bool | None = Field(description="Whether they were reached by `promised_until`; null: it may still be.")


class CallbackPage(Read):
    """A page of callbacks."""

    items: list[CallbackRead]
    next_cursor: str | None


class AttemptRead(Read):
    """A call for a callback."""

    attempt_no: int
    call_id: UUID
    agent_user_id: UUID | None
    outcome: str = Field(description="open: the call goes on.")
    attempted_at: datetime
    ended_at: datetime | None


class CallbackQuery(BaseModel):
    """Which callbacks; the latest first."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    status: Annotated[list[Status], Field(max_length=7)] = []
    kind: Annotated[list[Kind], Field(max_length=3)] = []
    queue: Annotated[list[Code], Field(max_length=50)] = []
    agent: Annotated[list[UUID], Field(max_length=50)] = []
    contact: Annotated[list[UUID], Field(max_length=50)] = []
    lead: Annotated[list[UUID], Field(max_length=50)] = []
    is_open: bool | None = None
    limit: Limit = 50
    cursor: CursorText = None


class FiguresQuery(BaseModel):
    """Which callbacks count: requested from `since` on and before `until`; by default in the last 24 hours."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    queue: Code | None = None


class FiguresRead(Read):
    """How promises are kept."""

    requested: int = Field(description="Without those the customer cancelled.")
    cancelled_by_customer: int
    kept: int = Field(description="Reached by `promised_until`.")
    attempted: int
    pending: int = Field(description="Promises that may still be kept.")
    callback_kept_rate: float | None
    callback_wait_s: float | None = Field(description="From the request to the first attempt, in the mean.")
    is_mature: bool
