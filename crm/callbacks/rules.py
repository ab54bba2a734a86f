"""How callbacks stand, what follows a call that was made for one, and whose turn it is. No database, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crm.consent.rules import Reason


class Kind(StrEnum):
    """Who asked for it, and how."""

    hold = "hold"
    """A caller who keeps their place in the queue without waiting at the telephone."""
    agent = "agent"
    """An agent agreed on it with the customer."""
    web = "web"
    """The customer, by a form or another program."""


class Status(StrEnum):
    """How a callback stands."""

    requested = "requested"
    """Promised, and the caller is still in the queue."""
    scheduled = "scheduled"
    attempted = "attempted"
    """A call for it goes on."""
    completed = "completed"
    failed = "failed"
    expired = "expired"
    cancelled = "cancelled"


OPEN = frozenset({Status.requested, Status.scheduled, Status.attempted})
FOLLOWS: Mapping[Status, frozenset[Status]] = {
    Status.requested: frozenset({Status.scheduled, Status.completed, Status.failed, Status.expired, Status.cancelled}),
    Status.scheduled: frozenset(set(Status) - {Status.requested}),
    Status.attempted: frozenset(set(Status) - {Status.requested, Status.attempted, Status.cancelled}),
    Status.completed: frozenset(),
    Status.failed: frozenset(),
    Status.expired: frozenset(),
    Status.cancelled: frozenset(),
}
"""What may follow what."""

FOR_GOOD = frozenset({Reason.erased, Reason.archived, Reason.no_address, Reason.number_not_allowed, Reason.dnc})
"""Refusals that no wish to be called back lifts."""
UNSAID = frozenset({Reason.no_consent, Reason.opted_out})
"""Refusals that the person's own wish to be called back lifts, for as long as it is good."""

UNTRIED = "untried"
"""What came of a call that nobody heard of on the exchange: it was not reached in time, or refused to begin."""
UNCOUNTED = frozenset({UNTRIED, "agent_no_answer"})
"""Outcomes of calls that never reached the customer's telephone: they count as no attempt."""
HOPELESS = frozenset({"invalid"})
"""Outcomes after which trying again is no use."""

Minutes = Annotated[int, Field(ge=1, le=1440)]


class Retries(BaseModel):
    """How often a customer is called for one callback, and how many minutes later again, by what came of the call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most: Annotated[int, Field(ge=1, le=10)] = 3
    after: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,30}$")], Minutes] = Field(
        default_factory=lambda: {"busy": 5, "untried": 5, "agent_no_answer": 5, "dropped": 2, "abandoned": 5},
        max_length=30,
    )
    otherwise: Minutes = 30

    def pause(self, outcome: str) -> timedelta:
        """Return how long to wait after an outcome."""
        return timedelta(minutes=self.after.get(outcome, self.otherwise))


@dataclass(frozen=True, slots=True)
class Next:
    """How a callback stands after something happened: when it is due again (UTC), or why it ended."""

    status: Status
    due_at: datetime | None = None
    reason: str | None = None


def after_call(
    outcome: str, *, was_reached: bool, attempts: int, retries: Retries, ended_at: datetime, expires_at: datetime
) -> Next:
    """Return what follows a call: reached is reached; else it is tried again as long as that is allowed and in time.

    `attempts`: calls that reached the customer's telephone, this one counted.
    """
    if was_reached:
        return Next(Status.completed, reason="reached")
    if outcome in HOPELESS or (outcome not in UNCOUNTED and attempts >= retries.most):
        return Next(Status.failed, reason=outcome)
    due_at = ended_at + retries.pause(outcome)
    return Next(Status.expired, reason=outcome) if due_at >= expires_at else Next(Status.scheduled, due_at, outcome)


def after_denial(reason: Reason, *, not_before: datetime | None, expires_at: datetime) -> Next:
    """Return what follows when the customer may not be called now: later, when waiting helps in time, or never."""
    told = f"consent.{reason.value}"
    if not_before is None or reason in FOR_GOOD | UNSAID:
        return Next(Status.failed, reason=told)
    if not_before >= expires_at:
        return Next(Status.expired, reason=told)
    return Next(Status.scheduled, not_before, told)


@dataclass(frozen=True, slots=True)
class Line:
    """A queue at one instant, seen from a place in it.

    `ahead`: callers who wait and came before that place; `waiting`: all who wait; `on_the_way`: customers who are being
    called back into it; `free`, `signed_on`: its agents.
    """

    ahead: int = 0
    waiting: int = 0
    on_the_way: int = 0
    free: int = 0
    signed_on: int = 0


def is_next(line: Line) -> bool:
    """Tell whether it is the turn of the place from which a queue is seen.

    Nobody who came before may wait. Then either an agent is free whom nobody else needs; or callers who came later
    wait, so that no agent will be seen free: the next one who is belongs to this place, and the customer is called
    meanwhile, one at a time.
    """
    if line.ahead or not line.signed_on:
        return False
    return line.free > line.waiting + line.on_the_way or (line.waiting > 0 and not line.on_the_way)


def was_kept(*, reached_at: datetime | None, promised_until: datetime, now: datetime) -> bool | None:
    """Tell whether a promise was kept: the customer was reached by its end. None: it may still be."""
    if reached_at is not None:
        return reached_at <= promised_until
    return None if now <= promised_until else False
