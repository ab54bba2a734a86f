"""When somebody asks how a patient is doing: days after the procedure, at an hour when the team works. Pure arithmetic
over a calendar; the days are the tenant's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from crm import tenant_settings
from crm.calendars.rules import Calendar, first_instant
from crm.leads.lifecycle import Code

Day = Annotated[int, Field(ge=0, le=3650)]


class CheckInPlan(BaseModel):
    """Days after a procedure, of all kinds and of some, and the wall-clock time (minutes are kept) in the team's zone.

    A time at which nobody works moves to the next opening.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: list[Day] = Field(max_length=30)
    at: time = time(10, 0)
    by_type: dict[Code, Annotated[list[Day], Field(max_length=30)]] = Field(default_factory=dict, max_length=200)

    @field_validator("at")
    @classmethod
    def _of_no_zone(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise ValueError("a wall-clock time: the zone is the team's")
        return value

    def days_of(self, procedure_type: str | None) -> list[int]:
        """Return the days of a kind of procedure, in order, each once."""
        return sorted(set(self.by_type.get(procedure_type or "", self.days)))


PLAN = tenant_settings.declare(
    "check_in.plan",
    CheckInPlan,
    CheckInPlan(days=[1, 7, 30, 180]),
    tr="İşlem sonrası kontrol aramaları: kaçıncı günler, saat",
    en="Check-ins after a procedure: on which days, at what time",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A check-in there should be: the day after the procedure and the instant (UTC)."""

    day: int
    due_at: datetime


def wanted(
    plan: CheckInPlan, days: Sequence[int], takes_place_on: date, calendar: Calendar, now: datetime
) -> list[Wanted]:
    """Return the check-ins of a procedure. What was due on an earlier day than today is not asked for any more, and
    what was due earlier today is due now, or at the next opening. A calendar that never opens moves nothing."""
    today = now.astimezone(calendar.zone).date()
    found = []
    for day in days:
        date_of = takes_place_on + timedelta(days=day)
        if date_of < today:
            continue
        due = max(now, first_instant(datetime.combine(date_of, plan.at), calendar.zone))
        found.append(Wanted(day, calendar.next_opening(due) or due))
    return found
