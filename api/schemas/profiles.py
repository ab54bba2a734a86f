"""Profiles of people, their absences, hours and teams, as they travel."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from api.schemas import Body, Line, Read
from crm.calendars.rules import DAY
from crm.users.profiles import LARGEST_CAP, MOST_CODES

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
Proficiency = Annotated[int, Field(ge=1, le=5, strict=True)]
Kind = Literal["vacation", "leave", "training", "meeting", "other"]


class ProfileRead(Read):
    """What holds for one person at an instant."""

    user_id: UUID
    at: datetime
    skills: dict[str, int] = Field(description="Code of a skill → proficiency, 1 (learning) to 5 (expert).")
    languages: list[str] = Field(description="ISO 639-1 codes.")
    regions: list[str] = Field(description="Codes of the territories they serve; none: any.")
    daily_cap: int | None = Field(description="The most leads in a day; null: no cap.")
    absent_until: datetime | None = Field(description="When the absence they are in ends; null: they are there.")


class ProfileChange(Body):
    """What to set from an instant on; what is not named stays. A named field is replaced as a whole."""

    skills: Annotated[dict[Code, Proficiency], Field(max_length=MOST_CODES)] | None = None
    languages: Annotated[list[Language], Field(max_length=MOST_CODES)] | None = None
    regions: Annotated[list[Code], Field(max_length=MOST_CODES)] | None = None
    daily_cap: Annotated[int, Field(ge=0, le=LARGEST_CAP)] | None = Field(None, description="Null takes the cap away.")
    valid_from: AwareDatetime | None = Field(None, description="Default: now; never earlier.")


class ProfileFieldRead(Read):
    """One field of a profile, set from an instant on."""

    field: str
    value: dict[str, int] | list[str] | int | None
    valid_from: datetime
    set_by: UUID | None
    created_at: datetime


class AbsencePlan(Body):
    """When somebody is away."""

    kind: Kind = "vacation"
    starts_at: AwareDatetime | None = Field(None, description="Default: now; never earlier.")
    ends_at: AwareDatetime


class AbsenceRead(Read):
    """One absence; a cancelled one held until it was cancelled."""

    id: UUID
    kind: str
    starts_at: datetime
    ends_at: datetime
    planned_by: UUID | None
    created_at: datetime
    cancelled_at: datetime | None
    cancelled_by: UUID | None


class Opening(Body):
    """Hours of one weekday, wall-clock minutes of the day; `closes` may pass midnight."""

    weekday: int = Field(ge=0, le=6, description="0 is Monday.")
    opens: int = Field(ge=0, lt=DAY, description="Minutes after midnight: 540 is 09:00.")
    closes: int = Field(gt=0, le=2 * DAY, description="Minutes after midnight of the same day.")


class HoursSet(Body):
    """A person's own weekly hours from a coming date on."""

    hours: list[Opening] = Field(min_length=1, max_length=70)
    timezone: Line | None = Field(None, description="IANA name; default: their team's zone.")
    valid_from: date = Field(description="Tomorrow at the earliest: a day that has begun stays as it is.")


class HoursRead(Read):
    """Weekly hours as they were set from a date on."""

    valid_from: date
    timezone: str | None
    hours: list[Opening]
    set_by: UUID | None
    created_at: datetime


class MembershipRead(Read):
    """An interval in which a person was in a team."""

    user_id: UUID
    name: str
    team_id: UUID
    team_name: str | None
    started_at: datetime
    ended_at: datetime | None


class TeamVersionRead(Read):
    """What was true of a team from an instant on."""

    timezone: str
    region: str | None
    lead_user_id: UUID | None
    valid_from: datetime
    set_by: UUID | None
