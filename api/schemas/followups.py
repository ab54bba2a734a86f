"""Quotes, sales, procedures, check-ins and next steps as they travel."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, computed_field, model_validator

from api.schemas import Body, Note, Read
from api.schemas.leads import ActivityRead, Code, Instant, LeadRead
from crm.followups.check_ins import CheckInStatus
from crm.leads.lifecycle import Needed
from crm.leads.quotes import Answer, QuoteStatus
from crm.leads.rules import Stage, Status

Amount = Annotated[Decimal, Field(gt=0, max_digits=15, decimal_places=3, description="In major units.")]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


def _in_our_time(value: date) -> date:
    if not 2000 <= value.year < 2100:
        raise ValueError("must lie between 2000 and 2100")
    return value


Day = Annotated[date, AfterValidator(_in_our_time)]


class Reopen(Body):
    """Why the next cycle begins. `release`: back to distribution instead of its owner (needs `lead.reassign`)."""

    reason: Code
    note: Note | None = None
    release: bool = False


class QuoteMake(Body):
    """A price for a procedure, until an instant. An open quote of before is superseded."""

    amount: Amount
    currency: Currency
    procedure_type: Code | None = Field(None, description="A code of the setting `procedure.types`.")
    valid_until: Instant | None = None
    note: Note | None = None


class QuoteAnswer(Body):
    """What the customer said."""

    answer: Answer
    reason: Code | None = None


class QuoteWithdraw(Body):
    """Why a quote is taken back."""

    reason: Code


class SaleMake(Body):
    """What was sold, on which quote (then the amount may be left out), and when the procedure takes place."""

    amount: Amount | None = None
    currency: Currency | None = None
    quote_id: UUID | None = None
    procedure_type: Code | None = None
    takes_place_on: Day | None = Field(None, description="A day of the team's zone; check-ins follow it.")
    note: Note | None = None

    @model_validator(mode="after")
    def _has_a_price(self) -> "SaleMake":
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency go together")
        if self.amount is None and self.quote_id is None:
            raise ValueError("an amount or a quote is needed")
        return self


class SaleCancel(Body):
    """Why a sale is undone: a reason of the firm's catalogue of losses."""

    reason: Code
    note: Note | None = None


class ProcedurePlan(Body):
    """What will be done and on which day; null: not known (any more)."""

    procedure_type: Code | None
    takes_place_on: Day | None


class CheckInDone(Body):
    """That it was done; what was said goes into `note`."""

    note: Note | None = None


class CheckInSkip(Body):
    """Why it does not take place."""

    reason: Code
    note: Note | None = None


class CheckInMove(Body):
    """The other time that was agreed on."""

    due_at: Instant
    reason: Code = "agreed"


class _Money(Read):
    amount_minor: int
    currency: str
    exponent: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def amount(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.amount_minor).scaleb(-self.exponent)


class QuoteRead(_Money):
    """One version of a quote. `is_expired`: open, and over by its own words."""

    id: UUID
    cycle_no: int
    version: int
    status: QuoteStatus
    is_expired: bool
    procedure_type: str | None
    valid_until: datetime | None
    reason: str | None
    created_by: UUID | None
    created_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None


class SaleRead(_Money):
    """A sale; `cancelled_at` where it was undone."""

    id: UUID
    cycle_no: int
    quote_id: UUID | None
    procedure_type: str | None
    sold_by: UUID | None
    sold_at: datetime
    cancelled_at: datetime | None
    cancel_reason: str | None


class ProcedureRead(Read):
    """What will be done in this cycle, and when."""

    id: UUID
    cycle_no: int
    type: str | None
    takes_place_on: date | None
    updated_at: datetime


class CheckInRead(Read):
    """A check-in some days after a procedure. `replaces`: the one it was rescheduled from."""

    id: UUID
    lead_id: UUID
    procedure_id: UUID
    cycle_no: int
    day: int
    status: CheckInStatus
    due_at: datetime
    replaces: UUID | None
    reason: str | None
    closed_by: UUID | None
    closed_at: datetime | None


class CheckInPage(Read):
    """A page of check-ins, the first due first."""

    items: list[CheckInRead]
    next_cursor: str | None


class FollowUps(Read):
    """Everything about the sale of a lead: quotes (newest first), sales, the procedure, check-ins (first due first)."""

    quotes: list[QuoteRead]
    sales: list[SaleRead]
    procedure: ProcedureRead | None
    check_ins: list[CheckInRead]


class NextStep(Read):
    """A suggestion: what (code, label), why (a code, in words, its figures), when, and which fields it would need."""

    code: str
    label: str
    labels: dict[str, str]
    reason: str
    because: str
    figures: dict[str, Any]
    due_at: datetime | None
    needs: list[Needed]


class Timer(Read):
    """A clock of a service level: what it promises, how it stands, until when, and how long is left.

    `remaining_s`: seconds of the clock's own time, negative when late; null once it has ended.
    """

    kind: str
    state: str
    due_at: datetime | None
    remaining_s: float | None
    is_paused: bool
    target_s: float | None
    rule: str | None


class LeadDetail(LeadRead):
    """One lead with its context: clocks, what was done last, what to do next and why."""

    timers: list[Timer]
    previous_actions: list[ActivityRead]
    next_steps: list[NextStep]


class StatusRead(Read):
    """One status: labels, stage, what may follow by hand, and what it asks for."""

    code: Status
    label: str
    labels: dict[str, str]
    stage: Stage | None
    is_terminal: bool
    by: Literal["hand", "assignment", "intake"]
    followed_by: list[Status]
    required: list[Needed]


class Labelled(Read):
    """A code and what people call it."""

    code: str
    label: str
    labels: dict[str, str]


class LifecycleRead(Read):
    """The firm's status machine with all a screen needs to draw it."""

    items: list[StatusRead]
    loss_reasons: list[Labelled]
    procedure_types: list[Labelled]
