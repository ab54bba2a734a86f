"""One change to many leads: asked for here, done by a job, followed by its progress and its report."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.deps import CurrentActor, IdempotencyKey, Now, Router, body_limit, permission
from api.idempotent import create
from api.pages import CursorText, Limit
from api.schemas.bulk import BulkCreate, BulkPage, BulkRead
from crm import cursors, db, filtering
from crm.bulk import operations as bulk
from crm.bulk import queries
from crm.db import Tx
from crm.leads.filters import FIELDS

router = Router(tags=["bulk"])

REPORT = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A line for each lead."}}
LARGEST_BODY = 5 * 2**20
"""A hundred thousand ids and some room."""


def change_of(body: BulkCreate) -> bulk.Change:
    """Return a body's change as the business takes it."""
    if body.status is not None:
        return bulk.ToStatus(body.status, body.reason)
    return bulk.ToHands(body.user_id, body.team_id, body.reason or "bulk")


@router.post("/leads/bulk", status_code=202, response_model=BulkRead)
@permission("lead.bulk")
@body_limit(LARGEST_BODY)
async def change_many(request: Request, body: BulkCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Accept a change to at most 100,000 leads: which ones is settled now, what becomes of each when its turn comes."""

    async def work(tx: Tx) -> Any:
        clauses = filtering.parse_all(body.filter or (), FIELDS, personal=True)
        made = await bulk.submit(tx, change_of(body), lead_ids=body.lead_ids, clauses=clauses, now=now)
        return dict(await queries.get(tx, made))

    return await create(request, key, body, work, answer=BulkRead, status=202)


@router.get("/bulk")
@permission("lead.bulk")
async def list_runs(actor: CurrentActor, limit: Limit = 50, cursor: CursorText = None) -> BulkPage:
    """List runs, the newest first."""
    here: dict[str, Any] = {
        "purpose": "bulk", "tenant_id": actor.tenant_id, "bound_to": {"user": str(actor.user_id)}
    }  # fmt: skip
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(actor, lambda tx: queries.page(tx, after=after, limit=limit + 1))
    items = [BulkRead.model_validate(dict(row)) for row in rows[:limit]]
    return BulkPage(items=items, next_cursor=cursors.sign(items[-1].id, **here) if len(rows) > limit else None)


@router.get("/bulk/{bulk_id}")
@permission("lead.bulk")
async def read_run(bulk_id: UUID, actor: CurrentActor) -> BulkRead:
    """Return how far a run is."""
    return BulkRead.model_validate(dict(await db.run(actor, lambda tx: queries.get(tx, bulk_id))))


@router.post("/bulk/{bulk_id}/cancel")
@permission("lead.bulk")
async def cancel_run(bulk_id: UUID, actor: CurrentActor, now: Now) -> BulkRead:
    """Stop a run before its next thousand leads; what is done stays done."""

    async def work(tx: Tx) -> Any:
        await bulk.cancel(tx, bulk_id, now=now)
        return await queries.get(tx, bulk_id)

    return BulkRead.model_validate(dict(await db.run(actor, work)))


@router.get("/bulk/{bulk_id}/report", response_class=Response, responses=REPORT)
@permission("lead.bulk")
async def read_report(bulk_id: UUID, actor: CurrentActor) -> Response:
    """Return what became of each lead as CSV."""
    text = await db.run(actor, lambda tx: queries.report(tx, bulk_id))
    headers = {"Content-Disposition": f'attachment; filename="bulk-{bulk_id}.csv"'}
    return Response(text, headers=headers, media_type="text/csv")
