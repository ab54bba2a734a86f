"""Teams."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from pydantic import AwareDatetime
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.profiles import MembershipRead, TeamVersionRead
from api.schemas.users import TeamCreate, TeamRead, TeamUpdate
from crm import db
from crm.db import Tx
from crm.users import memberships, queries, teams

router = Router("/teams")


@router.get("")
@permission("team.view")
async def list_teams(actor: CurrentActor) -> Listing[TeamRead]:
    """List every team; a firm has few."""
    rows = await db.run(actor, queries.teams)
    return Listing(items=[TeamRead.model_validate(dict(row)) for row in rows])


@router.post("", status_code=201, response_model=TeamRead)
@permission("team.manage")
async def create_team(request: Request, body: TeamCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Make a team."""

    async def work(tx: Tx) -> dict[str, object]:
        team_id = await teams.create(tx, **body.model_dump(), now=now)
        return dict(await queries.team(tx, team_id))

    return await create(request, key, body, work, answer=TeamRead)


@router.get("/{team_id}")
@permission("team.view")
async def read_team(team_id: UUID, actor: CurrentActor) -> TeamRead:
    """Return one team."""
    return TeamRead.model_validate(dict(await db.run(actor, lambda tx: queries.team(tx, team_id))))


@router.patch("/{team_id}")
@permission("team.manage")
async def update_team(team_id: UUID, body: TeamUpdate, actor: CurrentActor, now: Now) -> TeamRead:
    """Change a team."""
    emptied = {
        name for name in ("region", "lead_user_id")
        if name in body.model_fields_set and getattr(body, name) is None
    }  # fmt: skip

    async def work(tx: Tx) -> dict[str, object]:
        await teams.update(tx, team_id, **body.model_dump(), clear=emptied, now=now)
        return dict(await queries.team(tx, team_id))

    return TeamRead.model_validate(await db.run(actor, work))


@router.delete("/{team_id}", status_code=204)
@permission("team.manage")
async def delete_team(team_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Delete a team that nobody and nothing belongs to."""
    await db.run(actor, lambda tx: teams.delete(tx, team_id, now=now))
    return Response(status_code=204)


@router.get("/{team_id}/history")
@permission("team.view")
async def read_team_history(team_id: UUID, actor: CurrentActor) -> Listing[TeamVersionRead]:
    """List what was true of a team from when on, the latest first."""
    rows = await db.run(actor, lambda tx: teams.history(tx, team_id))
    return Listing(items=[TeamVersionRead.model_validate(dict(row)) for row in rows])


@router.get("/{team_id}/members")
@permission("user.view")
async def list_team_members(
    team_id: UUID, actor: CurrentActor, now: Now, at: Annotated[AwareDatetime | None, Query()] = None
) -> Listing[MembershipRead]:
    """List who was in a team at an instant; default: now."""

    async def work(tx: Tx) -> list[MembershipRead]:
        await queries.team(tx, team_id)
        rows = await memberships.of_team(tx, team_id, at=at or now)
        return [MembershipRead.model_validate(dict(row)) for row in rows]

    return Listing(items=await db.run(actor, work))
