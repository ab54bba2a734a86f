"""The leads of a dialling campaign, its attempts and its error budget as they travel."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.pages import CursorText, Limit
from api.schemas import Body, Read
from api.schemas.profiles import Code
from crm.dialling import guard
from crm.dialling.designs import Design
from crm.dialling.rules import Mode, Result, State


class EntryRead(Read):
    """A lead in a campaign."""

    id: UUID
    lead_id: UUID
    state: State
    reason: str | None
    priority: int
    next_at: datetime
    best_hour: int | None = Field(description="The hour of the lead's day in which it is likeliest to answer.")
    answer_p: float | None = Field(description="The chance of an answer, when it was last looked at.")
    attempts: int
    last_result: Result | None
    last_attempt_at: datetime | None
    locked_until: datetime | None
    agent_user_id: UUID | None
    call_id: UUID | None
    updated_at: datetime


class EntryPage(Read):
    """A page of a campaign's leads; `next_cursor` opens the one after it."""

    items: list[EntryRead]
    next_cursor: str | None


class EntryQuery(BaseModel):
    """Which leads of a campaign; the latest loaded first."""

    model_config = ConfigDict(extra="forbid")

    state: Annotated[list[State], Field(max_length=len(State))] = []
    lead: Annotated[list[UUID], Field(max_length=50)] = []
    reason: Annotated[list[Code], Field(max_length=20)] = []
    limit: Limit = 50
    cursor: CursorText = None


class AttemptRead(Read):
    """One attempt. `result` null: not known yet, or (with a reason) nobody was called."""

    id: UUID
    entry_id: UUID
    lead_id: UUID
    call_id: UUID | None
    attempt_no: int
    mode: Mode
    agent_user_id: UUID | None
    dialed_at: datetime
    answer_p: float | None
    result: Result | None
    reason: str | None = Field(description="How it ended, or why it was blocked.")
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    ring_s: float | None
    connect_delay_s: float | None = Field(description="Seconds from the greeting to the agent.")
    is_abandoned: bool


class AttemptPage(Read):
    """A page of attempts; `next_cursor` opens the one after it."""

    items: list[AttemptRead]
    next_cursor: str | None


class AttemptQuery(BaseModel):
    """Which attempts of a campaign; the latest first."""

    model_config = ConfigDict(extra="forbid")

    result: Annotated[list[Result], Field(max_length=len(Result))] = []
    lead: Annotated[list[UUID], Field(max_length=50)] = []
    reason: Annotated[list[Code], Field(max_length=20)] = []
    is_abandoned: bool | None = None
    limit: Limit = 50
    cursor: CursorText = None


class NextBody(Body):
    """From which campaign the next lead is wanted."""

    campaign_id: UUID


class CallNow(Body):
    """Nothing more is to be said: the campaign says how."""


class OfferRead(Read):
    """The lead that is yours until its deadline."""

    entry_id: UUID
    lead_id: UUID
    until: datetime


class NextRead(Read):
    """The next lead, or null when there is none now."""

    offer: OfferRead | None


class WindowRead(Read):
    """One window of the error budget."""

    window: guard.Window
    answered: int = Field(description="Live answers.")
    abandoned: int
    rate: float | None
    lower: float = Field(description="The true rate is above this with 95 %.")
    upper: float = Field(description="The true rate is below this with `confidence`.")
    confidence: float
    allowed_more: int = Field(description="Further abandonments that the bound bears.")


class BudgetRead(Read):
    """How a campaign stands with its cap: `allowed` says what it may do now, `reason` why."""

    cap: float
    mode: Mode
    allowed: guard.Allowed
    reason: str
    allowed_more: int
    windows: list[WindowRead]

    @classmethod
    def of_verdict(cls, design: Design, verdict: guard.Verdict) -> "BudgetRead":
        """Return the guard's word as it travels."""
        windows = [
            WindowRead(
                window=each.window,
                answered=each.count.answered,
                abandoned=each.count.abandoned,
                rate=each.count.rate,
                lower=each.lower,
                upper=each.upper,
                confidence=guard.CONFIDENCE[each.window],
                allowed_more=each.budget,
            )
            for each in verdict.readings
        ]
        return cls(
            cap=design.cap, mode=design.mode, allowed=verdict.allowed, reason=verdict.reason,
            allowed_more=verdict.budget, windows=windows,
        )  # fmt: skip
