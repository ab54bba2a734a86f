"""Service levels as they travel."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from api.schemas import Body, Read
from api.schemas.leads import Instant
from crm.sla.clock import State
from crm.sla.rules import Kind, Priority, Rule


class RuleSetPublish(Body):
    """Rules to hold from an instant on; without one, from now."""

    rules: Annotated[list[Rule], Field(min_length=1, max_length=200)]
    valid_from: Instant | None = None


class RuleSetRead(Read):
    """One version of the rules; clocks keep the version under which they began."""

    version: int
    valid_from: datetime | None = Field(description="None: since ever, the built-in rules.")
    rules: list[Rule]
    published_by: UUID | None = None
    created_at: datetime | None = None


class RulesPreview(Body):
    """Rules to try on the leads that came since an instant."""

    rules: Annotated[list[Rule], Field(min_length=1, max_length=200)]
    since: Instant


class EffectRead(Read):
    """Clocks by kind and state, under the rules as they are (`now`) and as they would be (`then`)."""

    leads: int
    now: dict[Kind, dict[State, int]]
    then: dict[Kind, dict[State, int]]


class ClockRead(Read):
    """A clock of a lead. Seconds count in the clock's own time: business seconds or all."""

    id: UUID
    kind: Kind
    cycle_no: int
    state: State
    status: str = Field(description="The status in which it began.")
    rule: str | None
    rule_version: int
    time_basis: str
    target_s: int
    remaining_s: float | None = Field(description="Negative by how late it is; none when it has ended.")
    is_paused: bool
    started_at: datetime
    due_at: datetime | None = Field(description="None while it stands still.")
    breached_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    late_by_s: float | None
    check_in_id: UUID | None
    pauses: list[Any]


class OverdueRead(ClockRead):
    """An open clock that is due, with whose lead it is."""

    lead_id: UUID
    owner_id: UUID | None
    team_id: UUID | None
    lead_status: str


class OverduePage(Read):
    """Overdue clocks, the longest overdue first."""

    items: list[OverdueRead]
    next_cursor: str | None


class PrioritySet(Body):
    """How much a lead matters."""

    priority: Priority
