"""Teams."""

from uuid import UUID

from fastapi import Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.users import TeamCreate, TeamRead, TeamUpdate
from crm import db
from crm.db import Tx
from crm.users import queries, teams

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
        team_id = await teams.create(tx, name=body.name, timezone=body.timezone, region=body.region, now=now)
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

    async def work(tx: Tx) -> dict[str, object]:
        await teams.update(tx, team_id, name=body.name, timezone=body.timezone, region=body.region, now=now)
        return dict(await queries.team(tx, team_id))

    return TeamRead.model_validate(await db.run(actor, work))


@router.delete("/{team_id}", status_code=204)
@permission("team.manage")
async def delete_team(team_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Delete a team that nobody and nothing belongs to."""
    await db.run(actor, lambda tx: teams.delete(tx, team_id, now=now))
    return Response(status_code=204)
