"""What an agent does with a lead, each act at its own instant (UTC); `lead` is the lead's place in the month."""

from dataclasses import dataclass
from datetime import date, datetime

from crm.leads.rules import Channel, Direction, Status
from crm.money import Money


@dataclass(frozen=True, slots=True)
class Talk:
    """A call or a message, as the agent logs it."""

    at: datetime
    lead: int
    channel: Channel
    direction: Direction
    outcome: str
    note: str | None = None
    happened: datetime | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A change of status; `reason` is a code."""

    at: datetime
    lead: int
    to: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A quote for a treatment, valid for some days."""

    at: datetime
    lead: int
    money: Money
    treatment: str
    valid_days: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The customer's no to the quote; `reason` is a code."""

    at: datetime
    lead: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sale:
    """A deposit paid on the quote, with the day of the treatment."""

    at: datetime
    lead: int
    money: Money
    takes_place_on: date
    to: Status = Status.won


@dataclass(frozen=True, slots=True)
class Cancel:
    """A sale undone."""

    at: datetime
    lead: int
    reason: str
    to: Status = Status.lost


@dataclass(frozen=True, slots=True)
class Reopen:
    """The next cycle of a lead that was lost."""

    at: datetime
    lead: int
    reason: str
    to: Status = Status.recycled


@dataclass(frozen=True, slots=True)
class LookAfter:
    """A check-in of a day after the treatment: done, or skipped for a reason."""

    at: datetime
    lead: int
    day: int
    skipped: str | None = None


Act = Talk | Move | Offer | Refusal | Sale | Cancel | Reopen | LookAfter
