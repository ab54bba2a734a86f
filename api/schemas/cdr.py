"""Records of calls as they travel, what is said of a call, and its recordings."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.pages import CursorText, Limit
from api.schemas import Body, Note, Read, without_nul
from crm.calls.cdr import DEFAULT_SORT, SORTS
from crm.calls.known import Direction
from crm.calls.steps import Status
from crm.calls.story import Outcome

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
FilterText = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=500)]
Filters = Annotated[
    list[FilterText],
    Field(
        max_length=10,  # with all their signs escaped they still fit into an address
        description="`field:operator:value,value`; all must hold. `GET /cdr/filters` lists fields and operators.",
        examples=[["outcome:in:no_answer,busy", "requested_at:during:last_7d", "agent:is:me"]],
    ),
]
Sort = Literal[tuple(f"{way}{name}" for name in SORTS for way in ("", "-"))]  # type: ignore[valid-type]


class CdrQuery(BaseModel):
    """Which calls, in which order."""

    model_config = ConfigDict(extra="forbid")

    filter: Filters = Field(default_factory=list)
    sort: Sort = DEFAULT_SORT
    limit: Limit = 50
    cursor: CursorText = None


class ExportQuery(BaseModel):
    """Which calls, and as what."""

    model_config = ConfigDict(extra="forbid")

    filter: Filters = Field(default_factory=list)
    format: Literal["csv", "parquet"] = "csv"


class CdrItem(Read):
    """A call. `failure`: why it led to no conversation; `cause`: ITU-T Q.850, 0 unknown. Seconds are the exchange's.

    `agent_name` is that of whoever works here, or of whom another system named (`source` historical).
    """

    id: UUID
    direction: Direction
    purpose: Literal["click", "campaign", "callback", "inbound"]
    status: Status
    outcome: Outcome
    failure: str | None
    cause: int | None
    verdict: str | None
    lead_id: UUID | None
    contact_id: UUID | None
    agent_user_id: UUID | None
    agent_name: str | None
    queue: str | None
    campaign_id: UUID | None
    callback_id: UUID | None
    process_version_id: UUID | None
    redials_call_id: UUID | None
    requested_by: UUID | None
    requested_at: datetime
    started_at: datetime | None
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    ring_s: float | None
    talk_s: float
    held_s: float
    wrap_began_at: datetime | None
    wrap_until: datetime | None
    wrap_ended_at: datetime | None
    disposition: str | None
    disposition_by: UUID | None
    is_disposition_forced: bool
    source: Literal["live", "historical"]
    updated_at: datetime


class CdrPage(Read):
    """A page of calls; the next begins at `next_cursor`."""

    items: list[CdrItem]
    next_cursor: str | None


class CdrStep(Read):
    """A status the call came into, and when."""

    status: Status
    at: datetime


class CdrLeg(Read):
    """One party's connection to the exchange."""

    leg_id: str
    party: Literal["customer", "agent", "other"]
    agent_user_id: UUID | None
    stage: str
    started_at: datetime | None
    rang_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    cause: int | None


class CdrVisit(Read):
    """A stay in a queue; `missed`: the agents who did not answer, in order."""

    visit_no: int
    queue: str
    enqueued_at: datetime
    left_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    wait_s: float | None
    ring_s: float | None
    talk_s: float | None
    outcome: str
    agent_user_id: UUID | None
    missed: list[UUID]
    in_hours: bool


class CdrAsk(Read):
    """Something that was asked of the exchange, what it answered, and why it came to nothing."""

    id: UUID
    kind: str
    status: str
    failure: str | None
    answer: str | None
    asked_by: UUID | None
    asked_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None


class RecordingRead(Read):
    """What is known of a recording; it is played by a link."""

    id: UUID
    duration_s: float
    size: int
    retention: str
    recorded_at: datetime
    stored_at: datetime
    delete_after: datetime | None
    held_at: datetime | None
    hold_reason: str | None
    deleted_at: datetime | None
    deletion_reason: str | None


class CdrRead(CdrItem):
    """A call with all that happened in it."""

    steps: list[CdrStep]
    legs: list[CdrLeg]
    visits: list[CdrVisit]
    asks: list[CdrAsk]
    recordings: list[RecordingRead]


class Choice(Read):
    """A disposition, what people call it, what the lead becomes by it, what it asks for."""

    code: str
    label: str
    labels: dict[str, str]
    lead_status: str | None
    at_least: bool
    needs: list[str]
    opts_out: bool


class Choices(Read):
    """What may be said of a call."""

    items: list[Choice]


class Say(Body):
    """What came of a call. `callback_at`: when the person wants to be called again."""

    code: Code
    note: Note | None = None
    callback_at: AwareDatetime | None = Field(None, description="With its offset, as 2026-03-05T09:00:00+03:00.")


class Refusal(Read):
    """Why something did not follow from what was said."""

    code: str
    message: str
    field_errors: dict[str, str]


class Said(Read):
    """What was said; how the lead stands now, and why it did not follow; the callback promised, and why none was."""

    disposition: str
    lead_status: str | None
    lead_refusal: Refusal | None
    callback_id: UUID | None
    callback_refusal: Refusal | None


class WrapUntil(Read):
    """Until when something may be said of a call."""

    wrap_until: datetime


class Reason(Body):
    """Why, as a code."""

    reason: Code


class PlayLink(Read):
    """An address that plays a recording once, within a minute."""

    url: str
    expires_at: datetime
