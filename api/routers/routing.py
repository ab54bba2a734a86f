"""Distribution of leads."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.routing import (
    DecisionRead,
    MemberRead,
    MemberSet,
    Publish,
    RuleSetRead,
    RuleSetWrite,
    SimulationRead,
    Window,
)
from crm import db
from crm.db import Tx
from crm.routing import history, queries, sets
from crm.routing import operations as routing

router = Router("/routing")


@router.get("/members")
@permission("routing.view")
async def list_members(actor: CurrentActor, team_id: UUID | None = None) -> Listing[MemberRead]:
    """List who takes leads, of one team or of all, with what each has in hand now."""
    rows = await db.run(actor, lambda tx: queries.members(tx, team_id=team_id))
    return Listing(items=[MemberRead.model_validate(row) for row in rows])


@router.put("/members/{team_id}/{user_id}")
@permission("routing.manage")
async def set_member(team_id: UUID, user_id: UUID, body: MemberSet, actor: CurrentActor, now: Now) -> MemberRead:
    """Let a person take leads of a team, or change how."""

    async def work(tx: Tx) -> dict[str, object]:
        await routing.set_member(
            tx, team_id, user_id, weight=body.weight, capacity=body.capacity, accepting=body.accepting, now=now
        )
        return next(row for row in await queries.members(tx, team_id=team_id) if row["user_id"] == user_id)

    return MemberRead.model_validate(await db.run(actor, work))


@router.delete("/members/{team_id}/{user_id}", status_code=204)
@permission("routing.manage")
async def remove_member(team_id: UUID, user_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Give a person no more leads of a team; those in their hands stay there."""
    await db.run(actor, lambda tx: routing.remove_member(tx, team_id, user_id, now=now))
    return Response(status_code=204)


@router.get("/decisions")
@permission("routing.view")
async def list_decisions(actor: CurrentActor, lead: Annotated[UUID, Query()]) -> Listing[DecisionRead]:
    """List what was decided about a lead, the latest first; nothing for one you do not see."""
    rows = await db.run(actor, lambda tx: queries.decisions(tx, lead))
    return Listing(items=[DecisionRead.model_validate(row) for row in rows])


@router.get("/rule-sets")
@permission("routing.view")
async def list_rule_sets(actor: CurrentActor, now: Now) -> Listing[RuleSetRead]:
    """List rule sets: drafts first, then what was published, the latest version first."""

    async def work(tx: Tx) -> list[RuleSetRead]:
        live = await sets.live(tx, now)
        return [RuleSetRead.model_validate({**row, "is_live": row["id"] == live}) for row in await sets.listed(tx)]

    return Listing(items=await db.run(actor, work))


@router.post("/rule-sets", status_code=201, response_model=RuleSetRead)
@permission("routing.manage")
async def draft_rule_set(request: Request, body: RuleSetWrite, now: Now, key: IdempotencyKey = None) -> Response:
    """Store a draft. It changes nothing before it is published."""

    async def work(tx: Tx) -> dict[str, object]:
        drafted = await sets.draft(tx, name=body.name, definition=body.definition, now=now)
        return {**await sets.get(tx, drafted), "is_live": False}

    return await create(request, key, body, work, answer=RuleSetRead)


@router.get("/rule-sets/{rule_set_id}")
@permission("routing.view")
async def read_rule_set(rule_set_id: UUID, actor: CurrentActor, now: Now) -> RuleSetRead:
    """Return one rule set."""
    return await db.run(actor, lambda tx: _read(tx, rule_set_id, now))


@router.put("/rule-sets/{rule_set_id}")
@permission("routing.manage")
async def change_rule_set(rule_set_id: UUID, body: RuleSetWrite, actor: CurrentActor, now: Now) -> RuleSetRead:
    """Replace a draft; what is published stays as it is."""

    async def work(tx: Tx) -> RuleSetRead:
        await sets.change(tx, rule_set_id, name=body.name, definition=body.definition, now=now)
        return await _read(tx, rule_set_id, now)

    return await db.run(actor, work)


@router.post("/rule-sets/{rule_set_id}/publish")
@permission("routing.manage")
async def publish_rule_set(rule_set_id: UUID, body: Publish, actor: CurrentActor, now: Now) -> RuleSetRead:
    """Let a draft hold, from now on or from a later instant. It never changes again, and rewrites nothing."""

    async def work(tx: Tx) -> RuleSetRead:
        await sets.publish(tx, rule_set_id, valid_from=body.valid_from, now=now)
        return await _read(tx, rule_set_id, now)

    return await db.run(actor, work)


@router.post("/rule-sets/{rule_set_id}/simulate")
@permission("routing.manage")
async def simulate_rule_set(rule_set_id: UUID, body: Window, actor: CurrentActor, now: Now) -> SimulationRead:
    """Try rules on the leads that came and the people who were there; nothing is changed."""

    async def work(tx: Tx) -> SimulationRead:
        until = body.until or now
        since = body.since or until - timedelta(days=body.days)
        await sets.get(tx, rule_set_id)
        return SimulationRead.model_validate(await history.replay(tx, rule_set_id, since=since, until=until))

    return await db.run(actor, work)


async def _read(tx: Tx, rule_set_id: UUID, now: Now) -> RuleSetRead:
    live = await sets.live(tx, now)
    return RuleSetRead.model_validate({**await sets.get(tx, rule_set_id), "is_live": rule_set_id == live})
