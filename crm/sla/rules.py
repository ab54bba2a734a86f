"""The rules of service levels: which one a lead is under, what they promise, and the defaults. No database, no clock.

Rules come in sets; a set holds from an instant on and is never changed. A clock keeps the set under which it began.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from crm.leads.rules import TERMINAL, Status

HOUR = 3600
DAY = 24 * HOUR
WORKDAY = 9 * HOUR
LONGEST = 366 * DAY

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Seconds = Annotated[int, Field(ge=-LONGEST, le=LONGEST)]


class Kind(StrEnum):
    """What a clock waits for."""

    first_response = "first_response"
    """The first call or message by a person of ours, in each cycle."""
    follow_up = "follow_up"
    """The next call or message, or a decision, while a lead stands in a status."""
    check_in = "check_in"
    """A contact that was agreed for an instant, as after an operation."""


class Priority(StrEnum):
    """How much a lead matters."""

    low = "low"
    normal = "normal"
    high = "high"


class Recipient(StrEnum):
    """Who hears of it: who has the lead, who leads their team, who leads the firm's sales."""

    owner = "owner"
    team_lead = "team_lead"
    manager = "manager"


class Escalation(BaseModel):
    """Somebody is told so many seconds after the clock was due, counted in the clock's own time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Recipient
    after_s: Annotated[int, Field(ge=0, le=LONGEST)] = 0


class Rule(BaseModel):
    """What is promised for some leads. An empty condition fits every lead; times are seconds.

    `time`: `business` counts the open seconds of the calendar of the lead's team, `calendar` counts all.
    `reminders`: seconds after the clock is due at which the owner is told; negative ones are before.
    `pause_in`: statuses in which the clock stands still. `repeats`: how many further follow-ups begin when one ended
    by an attempt and the lead stayed in its status.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    kind: Kind
    statuses: Annotated[tuple[Status, ...], Field(max_length=50)] = ()
    campaigns: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...], Field(max_length=200)
    ] = ()
    teams: Annotated[tuple[UUID, ...], Field(max_length=200)] = ()
    priorities: Annotated[tuple[Priority, ...], Field(max_length=3)] = ()
    target_s: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    time: Literal["business", "calendar"] = "business"
    pause_in: Annotated[tuple[Status, ...], Field(max_length=50)] = ()
    repeats: Annotated[int, Field(ge=0, le=100)] = 0
    reminders: Annotated[tuple[Seconds, ...], Field(max_length=10)] = ()
    escalations: Annotated[tuple[Escalation, ...], Field(max_length=3)] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> "Rule":
        if self.kind is not Kind.check_in and self.target_s < 1:
            raise ValueError("target_s: at least a second")
        if self.kind is not Kind.check_in and any(-each >= self.target_s for each in self.reminders):
            raise ValueError("reminders: those before due by less than target_s, since the clock has begun by then")
        if len(set(self.reminders)) < len(self.reminders):
            raise ValueError("reminders: each instant once")
        if len({each.to for each in self.escalations}) < len(self.escalations):
            raise ValueError("escalations: each recipient once")
        if set(self.pause_in) & set(self.statuses):
            raise ValueError("pause_in: no status that is among statuses, since the clock would never run")
        if self.repeats and self.kind is not Kind.follow_up:
            raise ValueError("repeats: only for follow_up")
        return self

    def fits(self, kind: Kind, facts: "Facts") -> bool:
        """Tell whether this rule is about such a clock of such a lead."""
        return (
            self.kind is kind
            and (not self.statuses or facts.status in self.statuses)
            and (not self.campaigns or facts.campaign in self.campaigns)
            and (not self.teams or facts.team_id in self.teams)
            and (not self.priorities or facts.priority in self.priorities)
        )

    @property
    def rank(self) -> tuple[bool, bool, bool, bool]:
        """How specific this rule is: naming a campaign counts most, then a team, then a priority, then a status."""
        return bool(self.campaigns), bool(self.teams), bool(self.priorities), bool(self.statuses)


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at."""

    status: str
    campaign: str | None = None
    team_id: UUID | None = None
    priority: Priority = Priority.normal


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules that hold from an instant on, in the firm's own order. Version 0 holds where nobody set any."""

    version: int
    valid_from: datetime | None
    rules: tuple[Rule, ...]

    def choose(self, kind: Kind, facts: Facts) -> Rule | None:
        """Return the most specific rule that fits; among equals the one that stands first."""
        fitting = [rule for rule in self.rules if rule.fits(kind, facts)]
        return max(fitting, key=lambda rule: rule.rank, default=None)  # of equals, max returns the first


def in_force(sets: Sequence[RuleSet], at: datetime) -> RuleSet:
    """Return the set that holds at an instant; `sets` in the order of their beginning, the earliest since ever."""
    dated = [each.valid_from for each in sets[1:] if each.valid_from]
    return sets[bisect_right(dated, at)]


RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(
    Annotated[tuple[Rule, ...], Field(min_length=1, max_length=200)]
)  # fmt: skip
"""How rules are read from JSON, checked."""


def _chain(*delays: int) -> tuple[Escalation, ...]:
    return tuple(Escalation(to=to, after_s=delay) for to, delay in zip(Recipient, delays, strict=True))


FRESH = (Status.assigned, Status.new, Status.recycled)
STANDSTILL = (Status.blocked, Status.wrong_number)

DEFAULTS: tuple[Rule, ...] = (
    Rule(
        code="first-response", kind=Kind.first_response, statuses=FRESH, target_s=15 * 60, pause_in=STANDSTILL,
        reminders=(-5 * 60, 15 * 60), escalations=_chain(0, 15 * 60, HOUR),
    ),
    Rule(
        code="first-response-high", kind=Kind.first_response, statuses=FRESH, priorities=(Priority.high,),
        target_s=5 * 60, pause_in=STANDSTILL, reminders=(-2 * 60,), escalations=_chain(0, 5 * 60, 15 * 60),
    ),
    Rule(
        code="interested", kind=Kind.follow_up, statuses=(Status.interested,), target_s=4 * HOUR, pause_in=STANDSTILL,
        repeats=5, reminders=(-HOUR, HOUR), escalations=_chain(0, 2 * HOUR, WORKDAY),
    ),
    Rule(
        code="no-answer", kind=Kind.follow_up, statuses=(Status.no_answer,), target_s=3 * HOUR, repeats=3,
        reminders=(-30 * 60,), escalations=_chain(0, 3 * HOUR, WORKDAY),
    ),
    Rule(
        code="not-interested", kind=Kind.follow_up, statuses=(Status.not_interested,), target_s=90 * DAY,
        time="calendar", reminders=(-DAY,), escalations=(Escalation(to=Recipient.owner),),
    ),
    Rule(
        code="wrong-number", kind=Kind.follow_up, statuses=(Status.wrong_number,), target_s=4 * HOUR,
        escalations=(Escalation(to=Recipient.team_lead), Escalation(to=Recipient.manager, after_s=4 * HOUR)),
    ),
    Rule(
        code="blocked", kind=Kind.follow_up, statuses=(Status.blocked,), target_s=WORKDAY,
        escalations=(Escalation(to=Recipient.team_lead), Escalation(to=Recipient.manager, after_s=WORKDAY)),
    ),
    Rule(
        code="in-progress", kind=Kind.follow_up, statuses=(Status.contacted, Status.qualified, Status.proposal),
        target_s=2 * WORKDAY, pause_in=STANDSTILL, repeats=5, reminders=(-2 * HOUR,),
        escalations=_chain(0, WORKDAY, 2 * WORKDAY),
    ),
    Rule(code="check-in", kind=Kind.check_in, reminders=(-HOUR,), escalations=_chain(0, DAY, 2 * DAY)),
)  # fmt: skip
"""What a firm begins with. İlgili: 4 working hours; Cevapsız: 3, four times; İlgisiz: asked again after 90 days;
Yanlış Numara: 4 working hours and Block: a working day, for those who redistribute; a working day has nine hours."""

BUILT_IN = RuleSet(0, None, DEFAULTS)
ENDS = frozenset(each.value for each in TERMINAL)
"""Statuses in which nothing more is promised but check-ins."""
