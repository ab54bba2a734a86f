"""Agents at the telephone: signing on, pausing, and watching the floor."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime

from api.deps import CurrentActor, Now, Router, permission
from api.language import Language
from api.schemas import Listing
from api.schemas.agents import (
    EndpointRead,
    EndpointSet,
    FloorRead,
    PauseReasonRead,
    Reasoned,
    StateRead,
    StatusRead,
    StatusSet,
)
from crm import dashboard, db, errors, tenant_settings
from crm.actor import Actor
from crm.agents import endpoints, operations, queries, settings
from crm.db import Tx

router = Router("/pbx", tags=["pbx"])

DAY = timedelta(days=1)
LONG_AGO = timedelta(days=3660)


async def _status_after(actor: Actor, user_id: UUID | None, change: Callable[[Tx], Awaitable[Any]]) -> StatusRead:
    """Make a change and return how the agent stands after it."""

    async def work(tx: Tx) -> dict[str, Any]:
        await change(tx)
        return await queries.standing(tx, user_id) if user_id else {"state": "offline"}

    return StatusRead.model_validate(await db.run(actor, work))


@router.post("/agent/session")
@permission("agent.work")
async def sign_on(actor: CurrentActor, now: Now) -> StatusRead:
    """Sign on at your telephone, available at once; who is signed on already stays so."""
    return await _status_after(actor, actor.user_id, lambda tx: operations.sign_on(tx, now=now))


@router.delete("/agent/session")
@permission("agent.work")
async def sign_off(actor: CurrentActor, now: Now) -> StatusRead:
    """Sign off; refused in a call."""
    return await _status_after(actor, actor.user_id, lambda tx: operations.sign_off(tx, now=now))


@router.get("/agent/status")
@permission("agent.work")
async def read_status(actor: CurrentActor) -> StatusRead:
    """Return how you stand at the telephone."""
    return await _status_after(actor, actor.user_id, _nothing)


async def _nothing(tx: Tx) -> None:
    """Change nothing."""


@router.put("/agent/status")
@permission("agent.work")
async def set_status(body: StatusSet, actor: CurrentActor, now: Now) -> StatusRead:
    """Take calls, or pause for a reason. In a call the pause comes when it is over: see `pending` in the answer."""
    if body.reason is None:
        return await _status_after(actor, actor.user_id, lambda tx: operations.make_ready(tx, now=now))
    reason = body.reason
    return await _status_after(actor, actor.user_id, lambda tx: operations.pause(tx, reason, now=now))


@router.post("/agent/beat")
@permission("agent.work")
async def beat(actor: CurrentActor, now: Now) -> StatusRead:
    """Say that your screen is there, every ten seconds; a silent agent gets no calls, and is off after a minute."""
    return await _status_after(actor, actor.user_id, lambda tx: operations.beat(tx, now=now))


@router.get("/pause-reasons")
@permission("agent.work", "agent.supervise")
async def pause_reasons(actor: CurrentActor, now: Now, language: Language) -> Listing[PauseReasonRead]:
    """List the firm's reasons for a pause, and those that the system gives by itself."""
    known = await db.run(actor, lambda tx: tenant_settings.value(tx, settings.PAUSES, at=now))
    items = [
        PauseReasonRead(
            code=each.code, label=getattr(each, language), kind=each.kind, is_planned=each.is_planned, is_own=is_own
        )
        for reasons, is_own in ((known.reasons, False), (settings.SYSTEM_REASONS, True))
        for each in reasons
    ]
    return Listing(items=items)


@router.get("/agents")
@permission("agent.supervise")
async def list_agents(
    actor: CurrentActor, now: Now, team_id: Annotated[UUID | None, Query()] = None
) -> Listing[FloorRead]:
    """List the agents you may watch: how each stands, since when, and their day so far."""
    rows = await db.run(actor, lambda tx: dashboard.floor(tx, team_id=team_id, now=now))
    return Listing(items=[FloorRead.model_validate(row) for row in rows])


@router.get("/agents/{user_id}/states")
@permission("agent.supervise", "agent.work")
async def list_states(
    user_id: UUID, actor: CurrentActor, now: Now, since: AwareDatetime | None = None, until: AwareDatetime | None = None
) -> Listing[StateRead]:
    """List an agent's states that touch a time of at most 31 days (default: the last one), the earliest first."""
    begins, ends = since or now - DAY, until or now
    if not (now - LONG_AGO < begins < ends and ends - begins <= 31 * DAY):
        raise errors.Invalid("until comes after since, by 31 days at most", fields={"since": "see message"})
    rows = await db.run(actor, lambda tx: queries.history(tx, user_id, since=begins, until=ends))
    return Listing(items=[StateRead.model_validate(dict(row)) for row in rows])


@router.post("/agents/{user_id}/pause")
@permission("agent.supervise")
async def pause_agent(user_id: UUID, body: Reasoned, actor: CurrentActor, now: Now) -> StatusRead:
    """Pause an agent of your team for a reason of the catalogue; in a call, when it is over."""
    return await _status_after(
        actor, user_id, lambda tx: operations.pause_other(tx, user_id, body.reason, now=now)
    )  # fmt: skip


@router.post("/agents/{user_id}/ready")
@permission("agent.supervise")
async def make_agent_ready(user_id: UUID, body: Reasoned, actor: CurrentActor, now: Now) -> StatusRead:
    """End the pause or the wrap-up of an agent of your team."""
    return await _status_after(
        actor, user_id, lambda tx: operations.make_other_ready(tx, user_id, body.reason, now=now)
    )  # fmt: skip


@router.post("/agents/{user_id}/sign-off")
@permission("agent.supervise")
async def sign_agent_off(user_id: UUID, body: Reasoned, actor: CurrentActor, now: Now) -> StatusRead:
    """Sign an agent of your team off; in a call, when it is over."""
    return await _status_after(
        actor, user_id, lambda tx: operations.sign_off_other(tx, user_id, body.reason, now=now)
    )  # fmt: skip


@router.get("/agents/{user_id}/endpoint")
@permission("agent.manage")
async def read_endpoint(user_id: UUID, actor: CurrentActor) -> EndpointRead:
    """Return a person's telephone; null: none."""
    return await _endpoint_after(actor, user_id, _nothing)


@router.put("/agents/{user_id}/endpoint")
@permission("agent.manage")
async def give_endpoint(user_id: UUID, body: EndpointSet, actor: CurrentActor, now: Now) -> EndpointRead:
    """Give a person a telephone to work at."""
    return await _endpoint_after(actor, user_id, lambda tx: endpoints.give(tx, user_id, body.endpoint, now=now))


@router.delete("/agents/{user_id}/endpoint")
@permission("agent.manage")
async def take_endpoint(user_id: UUID, actor: CurrentActor, now: Now) -> EndpointRead:
    """Take a person's telephone away."""
    return await _endpoint_after(actor, user_id, lambda tx: endpoints.take(tx, user_id, now=now))


async def _endpoint_after(actor: Actor, user_id: UUID, change: Callable[[Tx], Awaitable[Any]]) -> EndpointRead:
    async def work(tx: Tx) -> EndpointRead:
        await change(tx)
        await queries.require_watched(tx, user_id)
        return EndpointRead(user_id=user_id, endpoint=await queries.endpoint_of(tx, user_id))

    return await db.run(actor, work)
