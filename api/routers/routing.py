"""Distribution of leads."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.routing import Availability, DecisionRead, MemberRead, MemberSet
from crm import db
from crm.db import Tx
from crm.routing import operations as routing
from crm.routing import queries

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


@router.put("/availability")
@permission("agent.availability")
async def set_availability(body: Availability, actor: CurrentActor, now: Now) -> Availability:
    """Say whether one takes new leads now."""
    await db.run(actor, lambda tx: routing.set_availability(tx, accepting=body.accepting, now=now))
    return body


@router.get("/decisions")
@permission("routing.view")
async def list_decisions(actor: CurrentActor, lead: Annotated[UUID, Query()]) -> Listing[DecisionRead]:
    """List what was decided about a lead, the latest first; nothing for one you do not see."""
    rows = await db.run(actor, lambda tx: queries.decisions(tx, lead))
    return Listing(items=[DecisionRead.model_validate(row) for row in rows])
