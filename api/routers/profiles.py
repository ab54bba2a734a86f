"""What people can and may take, when they are away, when they work."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from pydantic import AwareDatetime
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.profiles import (
    AbsencePlan,
    AbsenceRead,
    HoursRead,
    HoursSet,
    MembershipRead,
    Opening,
    ProfileChange,
    ProfileFieldRead,
    ProfileRead,
)
from crm import db, errors
from crm.calendars import operations as calendar_operations
from crm.calendars import queries as calendars
from crm.calendars.rules import Hours
from crm.db import Tx
from crm.users import absences, hours, memberships, profiles

router = Router("/users", tags=["users"])

At = Annotated[AwareDatetime | None, Query(description="The instant that is asked about; default: now.")]


@router.get("/{user_id}/profile")
@permission("user.view", "absence.plan")
async def read_profile(user_id: UUID, actor: CurrentActor, now: Now, at: At = None) -> ProfileRead:
    """Return what holds for a person, now or at an instant; without the permission to see users, one's own only."""
    return ProfileRead.model_validate(await db.run(actor, lambda tx: _profile(tx, user_id, at or now)))


async def _profile(tx: Tx, user_id: UUID, at: datetime) -> dict[str, Any]:
    await absences.require_seen(tx, user_id)
    held = (await profiles.profiles(tx, [user_id], at))[user_id]
    return {
        "user_id": user_id,
        "at": at,
        "skills": dict(held.skills),
        "languages": sorted(held.languages),
        "regions": sorted(held.regions),
        "daily_cap": held.daily_cap,
        "absent_until": held.absent_until,
    }


@router.patch("/{user_id}/profile")
@permission("profile.manage")
async def change_profile(user_id: UUID, body: ProfileChange, actor: CurrentActor, now: Now) -> ProfileRead:
    """Set fields of a person's profile, now or from a later instant on; the answer is what holds then."""
    wanted = body.model_dump(exclude_unset=True, exclude={"valid_from"})
    empty = {name: "cannot be null" for name, value in wanted.items() if value is None and name != "daily_cap"}
    if empty:
        raise errors.Invalid("an empty list takes everything away", fields=empty)

    async def work(tx: Tx) -> dict[str, Any]:
        await profiles.change(tx, user_id, wanted, valid_from=body.valid_from, now=now)
        return await _profile(tx, user_id, body.valid_from or now)

    return ProfileRead.model_validate(await db.run(actor, work))


@router.get("/{user_id}/profile/history")
@permission("user.view")
async def read_profile_history(user_id: UUID, actor: CurrentActor) -> Listing[ProfileFieldRead]:
    """List every change of a person's profile, planned ones too, the latest first."""
    rows = await db.run(actor, lambda tx: profiles.history(tx, user_id))
    return Listing(items=[ProfileFieldRead.model_validate(dict(row)) for row in rows])


@router.get("/{user_id}/absences")
@permission("user.view", "absence.plan")
async def list_absences(user_id: UUID, actor: CurrentActor, now: Now, since: At = None) -> Listing[AbsenceRead]:
    """List a person's absences that are not over yet, or that ended after an instant; cancelled ones too."""
    rows = await db.run(actor, lambda tx: absences.of_user(tx, user_id, since=since or now))
    return Listing(items=[AbsenceRead.model_validate(dict(row)) for row in rows])


@router.post("/{user_id}/absences", status_code=201, response_model=AbsenceRead)
@permission("absence.plan")
async def plan_absence(
    request: Request, user_id: UUID, body: AbsencePlan, now: Now, key: IdempotencyKey = None
) -> Response:
    """Plan an absence: one's own, or that of somebody one manages."""

    async def work(tx: Tx) -> dict[str, Any]:
        absence_id = await absences.plan(
            tx, user_id, kind=body.kind, starts_at=body.starts_at, ends_at=body.ends_at, now=now
        )
        return await _absence(tx, user_id, absence_id, now)

    return await create(request, key, body, work, answer=AbsenceRead)


async def _absence(tx: Tx, user_id: UUID, absence_id: UUID, now: datetime) -> dict[str, Any]:
    rows = await absences.of_user(tx, user_id, since=now)
    return next(dict(row) for row in rows if row["id"] == absence_id)


@router.delete("/{user_id}/absences/{absence_id}")
@permission("absence.plan")
async def cancel_absence(user_id: UUID, absence_id: UUID, actor: CurrentActor, now: Now) -> AbsenceRead:
    """Cancel an absence to come, or end the one that has begun."""

    async def work(tx: Tx) -> dict[str, Any]:
        await absences.cancel(tx, user_id, absence_id, now=now)
        return await _absence(tx, user_id, absence_id, now)

    return AbsenceRead.model_validate(await db.run(actor, work))


@router.get("/{user_id}/hours")
@permission("user.view", "absence.plan")
async def read_hours(user_id: UUID, actor: CurrentActor) -> Listing[HoursRead]:
    """List a person's own weekly hours, the latest date first; none: their team's hours hold."""

    async def work(tx: Tx) -> list[dict[str, Any]]:
        await absences.require_seen(tx, user_id)
        return [_hours(row) for row in await calendars.weeks(tx, user_id=user_id)]

    return Listing(items=[HoursRead.model_validate(row) for row in await db.run(actor, work)])


def _hours(row: Any) -> dict[str, Any]:
    openings = [
        Opening(weekday=each.weekday, opens=each.opens, closes=each.closes) for each in calendars.hours_of(row["hours"])
    ]
    return {**dict(row), "hours": openings}


@router.put("/{user_id}/hours")
@permission("profile.manage")
async def set_hours(user_id: UUID, body: HoursSet, actor: CurrentActor, now: Now) -> Listing[HoursRead]:
    """Set a person's own weekly hours from a coming date on."""
    try:
        wanted = [Hours(each.weekday, each.opens, each.closes) for each in body.hours]
    except ValueError as error:
        raise calendar_operations.BadHours(fields={"hours": "each closes after it opens"}) from error

    async def work(tx: Tx) -> list[dict[str, Any]]:
        await hours.set_hours(tx, user_id, wanted, timezone=body.timezone, valid_from=body.valid_from, now=now)
        return [_hours(row) for row in await calendars.weeks(tx, user_id=user_id)]

    return Listing(items=[HoursRead.model_validate(row) for row in await db.run(actor, work)])


@router.get("/{user_id}/teams")
@permission("user.view")
async def list_memberships(user_id: UUID, actor: CurrentActor) -> Listing[MembershipRead]:
    """List the teams a person was and is in, the earliest first."""

    async def work(tx: Tx) -> list[Any]:
        await absences.require_seen(tx, user_id)
        return await memberships.of_user(tx, user_id)

    return Listing(items=[MembershipRead.model_validate(dict(row)) for row in await db.run(actor, work)])
