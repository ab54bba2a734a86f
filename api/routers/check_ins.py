"""Check-ins after procedures: what is due, and what became of it."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.pages import CursorText, Limit
from api.schemas.followups import CheckInDone, CheckInMove, CheckInPage, CheckInSkip
from api.schemas.leads import Instant, Made
from crm import db
from crm.db import Tx
from crm.followups import check_ins, queries
from crm.followups.check_ins import CheckInStatus

router = Router("/check-ins", tags=["follow-ups"])

VIEW = ("lead.view.own", "lead.view.team", "lead.view.all")


@router.get("", response_model=CheckInPage)
@permission(*VIEW)
async def list_check_ins(
    actor: CurrentActor,
    due_to: Annotated[Instant | None, Query(description="Due before this instant.")] = None,
    owner: Annotated[list[UUID] | None, Query(max_length=50, description="Of leads these people own.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """List the pending check-ins of the leads one sees, the first due first."""
    page = await db.run(
        actor, lambda tx: queries.pending(tx, due_to=due_to, owners=owner or (), limit=limit, cursor=cursor)
    )
    return pages.of_page(page)


@router.post("/{check_in_id}/done", status_code=204)
@permission("followup.edit")
async def check_in_done(check_in_id: UUID, body: CheckInDone, actor: CurrentActor, now: Now) -> Response:
    """Say that a check-in was done."""
    await db.run(actor, lambda tx: check_ins.close(tx, check_in_id, CheckInStatus.done, note=body.note, now=now))
    return Response(status_code=204)


@router.post("/{check_in_id}/skip", status_code=204)
@permission("followup.edit")
async def skip_check_in(check_in_id: UUID, body: CheckInSkip, actor: CurrentActor, now: Now) -> Response:
    """Say that a check-in does not take place, and why."""
    await db.run(
        actor,
        lambda tx: check_ins.close(tx, check_in_id, CheckInStatus.skipped, reason=body.reason, note=body.note, now=now),
    )
    return Response(status_code=204)


@router.post("/{check_in_id}/reschedule", status_code=201, response_model=Made)
@permission("followup.edit")
async def reschedule_check_in(
    request: Request, check_in_id: UUID, body: CheckInMove, now: Now, key: IdempotencyKey = None
) -> Response:
    """Agree on another time; the answer names the check-in that takes its place."""

    async def work(tx: Tx) -> dict[str, UUID]:
        return {"id": await check_ins.reschedule(tx, check_in_id, body.due_at, reason=body.reason, now=now)}

    return await create(request, key, body, work, answer=Made)
