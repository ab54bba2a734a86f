"""Calendars as they travel: wall-clock times as HH:MM; a closing time that is not after the opening is the next day."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from api.schemas import Body, Read, without_nul
from crm.calendars.rules import DAY, Day, Hours

TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Closing = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,60}$")]
Why = Annotated[str, BeforeValidator(without_nul), StringConstraints(max_length=200)]
NoEarlier, NoLater = date(2000, 1, 1), date(2100, 1, 1)
Date = Annotated[date, Field(ge=NoEarlier, le=NoLater)]


def minutes(text: str) -> int:
    """Return HH:MM as minutes of the day."""
    return int(text[:2]) * 60 + int(text[3:])


def as_text(minute: int) -> str:
    """Return minutes as HH:MM; what lies past midnight is the next day's time."""
    return "24:00" if minute == DAY else f"{minute // 60 % 24:02}:{minute % 60:02}"


class HoursOfDay(Body):
    """Open from one time to another."""

    opens: TimeOfDay
    closes: Closing

    def as_hours(self, weekday: int) -> Hours:
        """Return them as hours of a weekday."""
        opens, closes = minutes(self.opens), minutes(self.closes)
        return Hours(weekday, opens, closes if closes > opens else closes + DAY)


class HoursOfWeek(HoursOfDay):
    """Open on a weekday: 0 is Monday."""

    weekday: Annotated[int, Field(ge=0, le=6)]

    @classmethod
    def of(cls, stored: list[int]) -> "HoursOfWeek":
        """Return hours as they are stored."""
        weekday, opens, closes = stored
        return cls(weekday=weekday, opens=as_text(opens), closes=as_text(closes))


class HoursSet(Body):
    """Weekly hours of a team or a person (of the firm without either) from a date on."""

    hours: Annotated[list[HoursOfWeek], Field(min_length=1, max_length=50)]
    valid_from: Date = Field(description="Tomorrow at the earliest.")
    timezone: Zone | None = Field(None, description="An IANA name; without one, the team's or the firm's.")
    team_id: UUID | None = None
    user_id: UUID | None = None


class WeekRead(Read):
    """Weekly hours that were set, and from when on they hold."""

    valid_from: date
    timezone: str | None
    hours: list[HoursOfWeek]
    team_id: UUID | None
    user_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: Any) -> "WeekRead":
        """Return weekly hours as they are stored."""
        return cls.model_validate({**row, "hours": [HoursOfWeek.of(each) for each in row["hours"]]})


class DaySet(Body):
    """How a date is unlike others: closed (from a time on), other hours, or usual although others are closed."""

    day: Date = Field(description="Tomorrow at the earliest.")
    kind: Literal["closed", "hours", "usual"]
    closed_from: TimeOfDay | None = Field(None, description="Of a closed day: until then it is as usual.")
    hours: Annotated[list[HoursOfDay], Field(max_length=10)] = Field(default_factory=list)
    name: Why = ""
    team_id: UUID | None = None

    def as_day(self) -> Day:
        """Return it as a calendar holds it."""
        if self.kind == "hours":
            return Day(hours=tuple(sorted(each.as_hours(self.day.weekday()) for each in self.hours)))
        return Day() if self.kind == "usual" else Day(closed_from=minutes(self.closed_from or "00:00"))


class DayRead(Read):
    """What holds on a special date, who says so (`own`, `holidays:TR`) and what it is called."""

    day: date
    kind: Literal["closed", "hours", "usual"]
    closed_from: str | None
    hours: list[HoursOfWeek] | None
    name: str
    labels: dict[str, str]
    source: str
    is_estimated: bool = Field(description="A holiday ahead of the years whose dates are published: it may still move.")
    team_id: UUID | None

    @classmethod
    def of(cls, row: Any) -> "DayRead":
        """Return a special day as it is stored."""
        closed_from = row["closed_from"]
        return cls.model_validate(
            {
                **row,
                "closed_from": None if closed_from is None else as_text(closed_from),
                "hours": row["hours"] and [HoursOfWeek.of(each) for each in row["hours"]],
            }
        )


class HolidaysSeed(Body):
    """Public holidays to take over."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    years: Annotated[list[Annotated[int, Field(ge=2020, le=2060)]], Field(min_length=1, max_length=10)]


class HolidaysSeeded(Read):
    """How many days are new, and how many are holidays no more since their date was only estimated."""

    days: int
    withdrawn: int
    estimated: list[date] = Field(
        description="New days whose dates are not published yet and may move: they are looked at again every month."
    )


class OpenRead(Read):
    """Open time between two instants, and how it is at the first of them."""

    is_open: bool
    next_opening: datetime | None
    open_seconds: float
