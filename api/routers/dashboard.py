"""Live figures for people who watch the floor."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from api.deps import CurrentActor, Now, Router, permission
from api.schemas.dashboard import AgentsRead, ApiHealth, RouteHealth, StatsRead
from crm import dashboard, db, requests

router = Router("/dashboard")

SPAN = {"1h": timedelta(hours=1), "24h": timedelta(hours=24)}


@router.get("/stats")
@permission("dashboard.view")
async def stats(actor: CurrentActor, now: Now) -> StatsRead:
    """Return the figures of this moment."""
    return StatsRead.model_validate(await db.run(actor, lambda tx: dashboard.stats(tx, now=now)))


@router.get("/agents")
@permission("dashboard.view")
async def agents(actor: CurrentActor, now: Now, team_id: Annotated[UUID | None, Query()] = None) -> AgentsRead:
    """List who takes leads, how many each holds, and how they stand at the telephone."""
    return AgentsRead.model_validate(await db.run(actor, lambda tx: dashboard.agents(tx, team_id=team_id, now=now)))


@router.get("/api-health")
@permission("dashboard.view")
async def api_health(actor: CurrentActor, now: Now, last: Literal["1h", "24h"] = "1h") -> ApiHealth:
    """Return requests, server errors and latencies of each route, over the last hour or day; a second or two behind."""
    since = now - SPAN[last]
    rows = await db.run(actor, lambda tx: requests.health(tx, since=since, until=now))
    routes = [RouteHealth(**row, error_rate=row["errors"] / row["requests"]) for row in rows]
    return ApiHealth(since=since, until=now, routes=routes)
