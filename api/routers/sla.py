"""Service levels: their rules, the clocks of leads, and what is overdue."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.sla import (
    ClockRead,
    EffectRead,
    OverduePage,
    OverdueRead,
    PrioritySet,
    RuleSetPublish,
    RuleSetRead,
    RulesPreview,
)
from crm import db
from crm.db import Tx
from crm.leads import queries as leads
from crm.sla import operations as sla
from crm.sla import preview, queries
from crm.sla.rules import BUILT_IN, Kind

router = Router("/sla")


@router.get("/rules")
@permission("sla.view")
async def list_rules(actor: CurrentActor) -> Listing[RuleSetRead]:
    """List every version of the rules, the latest first; the last one is built in and holds where none was set."""
    rows = await db.run(actor, queries.rule_sets)
    built_in = RuleSetRead(version=BUILT_IN.version, valid_from=None, rules=list(BUILT_IN.rules))
    return Listing(items=[*(RuleSetRead.model_validate(dict(row)) for row in rows), built_in])


@router.post("/rules", status_code=201, response_model=RuleSetRead)
@permission("sla.manage")
async def publish_rules(request: Request, body: RuleSetPublish, now: Now, key: IdempotencyKey = None) -> Response:
    """Let rules hold from an instant on. Clocks that began before keep theirs; the same rules again change nothing."""

    async def work(tx: Tx) -> dict[str, object]:
        version = await sla.publish(tx, body.rules, valid_from=body.valid_from, now=now)
        rows = await queries.rule_sets(tx)
        built_in = {"version": 0, "valid_from": None, "rules": list(BUILT_IN.rules)}
        return next((dict(row) for row in rows if row["version"] == version), built_in)

    return await create(request, key, body, work, answer=RuleSetRead)


@router.post("/rules/preview")
@permission("sla.manage")
async def preview_rules(body: RulesPreview, actor: CurrentActor, now: Now) -> EffectRead:
    """Show what rules would have meant for the leads that came since an instant (the latest five hundred)."""
    found = await db.run(actor, lambda tx: preview.effect(tx, body.rules, since=body.since, now=now))
    return EffectRead.model_validate(found)


@router.get("/overdue")
@permission("sla.view")
async def list_overdue(
    actor: CurrentActor,
    now: Now,
    kind: Kind | None = None,
    team_id: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> OverduePage:
    """List what is overdue among the leads one sees, the longest overdue first."""
    rows, following = await db.run(
        actor,
        lambda tx: queries.overdue(tx, kind=kind, team_id=team_id, cursor=cursor or None, limit=limit, now=now),
    )  # fmt: skip
    return OverduePage(items=[OverdueRead.model_validate(row) for row in rows], next_cursor=following)


@router.get("/leads/{lead_id}")
@permission("sla.view")
async def list_clocks(lead_id: UUID, actor: CurrentActor, now: Now) -> Listing[ClockRead]:
    """List the clocks of a lead, the open ones first."""

    async def work(tx: Tx) -> list[ClockRead]:
        await leads.require_visible(tx, lead_id)
        return [ClockRead.model_validate(row) for row in await queries.clocks_of(tx, lead_id, now)]

    return Listing(items=await db.run(actor, work))


@router.put("/leads/{lead_id}/priority")
@permission("lead.edit")
async def set_priority(lead_id: UUID, body: PrioritySet, actor: CurrentActor, now: Now) -> PrioritySet:
    """Say how much a lead matters; its open clocks come under the rule for it."""
    await db.run(actor, lambda tx: sla.set_priority(tx, lead_id, body.priority, now=now))
    return body
