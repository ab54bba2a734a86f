"""When people work: weekly hours, special days, public holidays. What is past stays as it was."""

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.calendars import (
    DayRead,
    DaySet,
    HolidaysSeed,
    HolidaysSeeded,
    HoursSet,
    NoEarlier,
    NoLater,
    OpenRead,
    WeekRead,
)
from api.schemas.leads import Instant
from crm import db
from crm.calendars import operations as calendars
from crm.calendars import queries
from crm.db import Tx

router = Router("/calendars")

Date = Annotated[date, Query(ge=NoEarlier, le=NoLater)]
LONGEST = timedelta(days=366)
"""The longest time whose open seconds are asked for at once."""


@router.get("/hours")
@permission("calendar.view")
async def list_hours(
    actor: CurrentActor, team_id: UUID | None = None, user_id: UUID | None = None
) -> Listing[WeekRead]:
    """List the weekly hours set for a team or a person (for the firm without either), the latest date first."""
    rows = await db.run(actor, lambda tx: queries.weeks(tx, team_id=team_id, user_id=user_id))
    return Listing(items=[WeekRead.of(row) for row in rows])


@router.put("/hours")
@permission("calendar.manage")
async def set_hours(body: HoursSet, actor: CurrentActor, now: Now) -> Listing[WeekRead]:
    """Set weekly hours from a coming date on; return all that are set."""
    hours = [each.as_hours(each.weekday) for each in body.hours]

    async def work(tx: Tx) -> Listing[WeekRead]:
        await calendars.set_hours(
            tx, hours, team_id=body.team_id, user_id=body.user_id, timezone=body.timezone,
            valid_from=body.valid_from, now=now,
        )  # fmt: skip
        rows = await queries.weeks(tx, team_id=body.team_id, user_id=body.user_id)
        return Listing(items=[WeekRead.of(row) for row in rows])

    return await db.run(actor, work)


@router.get("/days")
@permission("calendar.view")
async def list_days(
    actor: CurrentActor, now: Now, since: Date | None = None, until: Date | None = None, team_id: UUID | None = None
) -> Listing[DayRead]:
    """List the special days of the firm and a team from a date (today) to another (a year on), what holds on each."""
    first = since or now.date()
    last = until or first + LONGEST
    rows = await db.run(actor, lambda tx: queries.days(tx, team_id, first, last))
    return Listing(items=[DayRead.of(row) for row in {row["day"]: row for row in rows}.values()])


@router.put("/days")
@permission("calendar.manage")
async def set_day(body: DaySet, actor: CurrentActor, now: Now) -> Listing[DayRead]:
    """Say how a coming date is unlike others; return what holds on it then."""

    async def work(tx: Tx) -> Listing[DayRead]:
        await calendars.set_day(tx, body.day, body.as_day(), team_id=body.team_id, name=body.name, now=now)
        rows = await queries.days(tx, body.team_id, body.day, body.day)
        return Listing(items=[DayRead.of(row) for row in rows[-1:]])

    return await db.run(actor, work)


@router.put("/holidays")
@permission("calendar.manage")
async def seed_holidays(body: HolidaysSeed, actor: CurrentActor, now: Now) -> HolidaysSeeded:
    """Take over a country's public holidays of some years: fixed and religious ones, half days where they are known.

    The answer names the days whose dates are estimated, as religious holidays are ahead of the published years.
    """
    seeded = await db.run(actor, lambda tx: calendars.seed_holidays(tx, body.country, body.years, now=now))
    return HolidaysSeeded.model_validate(seeded)


@router.get("/open")
@permission("calendar.view")
async def read_open(
    actor: CurrentActor,
    now: Now,
    since: Instant | None = None,
    until: Instant | None = None,
    team_id: UUID | None = None,
    user_id: UUID | None = None,
) -> OpenRead:
    """Tell how much of the time between two instants (now, a day on; at most a year) is open, and if it is open."""
    first: datetime = since or now
    last = min(until or first + timedelta(days=1), first + LONGEST)

    async def work(tx: Tx) -> OpenRead:
        calendar = await (queries.of_user(tx, user_id, now) if user_id else queries.of_team(tx, team_id, now))
        return OpenRead(
            is_open=calendar.is_open(first),
            next_opening=calendar.next_opening(first),
            open_seconds=calendar.open_seconds(first, last),
        )

    return await db.run(actor, work)
