"""Distribution: who takes leads, and why a lead went where it went."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.schemas import Body, Line, Read


class MemberSet(Body):
    """How a person takes leads of a team."""

    weight: int = Field(1, ge=1, le=1000, description="Their share among those who have room.")
    capacity: int = Field(50, ge=0, le=100_000, description="The most open leads they may have in hand.")
    accepting: bool = True


class MemberRead(Read):
    """A person who takes leads of a team, with what they have in hand now."""

    team_id: UUID
    user_id: UUID
    name: str
    weight: int
    capacity: int
    accepting: bool
    is_active: bool
    open_leads: int
    updated_at: datetime


class DecisionRead(Read):
    """What was decided about a lead. The first reason is the outcome, the others how each person stood."""

    id: UUID
    lead_id: UUID
    team_id: UUID | None
    user_id: UUID | None
    strategy: str
    reasons: list[dict[str, Any]]
    decided_at: datetime


class RuleSetWrite(Body):
    """A draft: its name and its definition."""

    name: Line
    definition: dict[str, Any] = Field(description="Rules, default and hold; what is wrong is answered place by place.")


class RuleSetRead(Read):
    """A rule set; one with a version is published, holds from `valid_from` on, and never changes."""

    id: UUID
    version: int | None
    name: str
    definition: dict[str, Any]
    is_live: bool
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    valid_from: datetime | None
    published_at: datetime | None
    published_by: UUID | None


class Publish(Body):
    """From when on a draft shall hold; now, when nothing is said."""

    valid_from: AwareDatetime | None = None


class Window(Body):
    """Which leads to try rules on: the last days (default), or from an instant until another."""

    days: int = Field(7, ge=1, le=92)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class Waits(Read):
    """How leads waited, in seconds: of those given the mean, median and 95th percentile; and how many still wait."""

    given: int
    waiting: int
    mean: float | None
    p50: float | None
    p95: float | None


class BothWaits(Read):
    """How leads waited as it was, and as it would have been."""

    live: Waits
    replayed: Waits


class Portion(Read):
    """How many leads an agent got, and would have got."""

    user_id: UUID
    live: int
    replayed: int


class Moved(Read):
    """A lead that would have gone to somebody else."""

    lead_id: UUID
    live: UUID | None
    replayed: UUID | None


class RulePortion(Read):
    """How many leads were given by a rule, and would have been."""

    rule: str
    live: int
    replayed: int


class Flow(Read):
    """How many leads would have gone from one agent to another; null: to nobody."""

    live: UUID | None
    replayed: UUID | None
    leads: int


class SimulationRead(Read):
    """What other rules would have done with the leads that came; `changes` names the first hundred."""

    leads: int
    same_agent: int
    other_agent: int
    given_only_in_history: int
    given_only_in_replay: int
    given_in_neither: int
    unlike_record: int
    waiting_seconds: BothWaits
    agents: list[Portion]
    rules: list[RulePortion]
    flows: list[Flow]
    changes: list[Moved]


class Considered(Read):
    """How one person stood: a code, their weight, and their credit in leads before the turn."""

    user_id: UUID
    team_id: UUID
    code: str
    weight: int
    credit: float


class Sentence(Read):
    """The same in words."""

    tr: str
    en: str


class Why(Read):
    """One decision: the first reason is the outcome with its draw, the others count how people stood."""

    id: UUID
    decided_at: datetime
    user_id: UUID | None
    team_id: UUID | None
    rule: str | None
    rule_set_id: UUID | None
    rule_set_version: int | None
    strategy: str
    sentence: Sentence
    reasons: list[dict[str, Any]]
    considered: list[Considered]


class WaitRead(Read):
    """Since when a lead waits, when time alone may change that, and whether it is in the administrators' queue."""

    since: datetime
    next_at: datetime | None
    queue: str | None


class MoveRead(Read):
    """One automatic move to the administrators' queue."""

    status: str
    from_user_id: UUID
    to_team_id: UUID
    moved_at: datetime


class Answer(Read):
    """Where a lead stands with distribution now: a code, and the same in words."""

    code: str
    tr: str
    en: str


class LeadRouting(Read):
    """Why a lead went to whom it went, or to nobody: decisions the latest first."""

    answer: Answer
    decisions: list[Why]
    waits: WaitRead | None
    moves: list[MoveRead]
