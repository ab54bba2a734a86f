"""Saved views of the list of leads."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.views import DefaultView, ViewCreate, ViewRead, ViewUpdate
from crm import db, views
from crm.db import Tx

router = Router("/views")


@router.get("")
@permission("view.manage")
async def list_views(actor: CurrentActor) -> Listing[ViewRead]:
    """List one's own views and the shared ones."""
    rows = await db.run(actor, views.all_of)
    return Listing(items=[ViewRead.model_validate(dict(row)) for row in rows])


@router.get("/default")
@permission("view.manage")
async def read_default(actor: CurrentActor) -> DefaultView:
    """Return the view that opens first: one's own default, else the shared one."""
    row = await db.run(actor, views.default)
    return DefaultView(view=ViewRead.model_validate(dict(row)) if row else None)


@router.post("", status_code=201, response_model=ViewRead)
@permission("view.manage")
async def create_view(request: Request, body: ViewCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Save a view."""

    async def work(tx: Tx) -> Any:
        return dict(await views.get(tx, await views.create(tx, views.View(**body.model_dump()), now=now)))

    return await create(request, key, body, work, answer=ViewRead)


@router.get("/{view_id}")
@permission("view.manage")
async def read_view(view_id: UUID, actor: CurrentActor) -> ViewRead:
    """Return one view."""
    return ViewRead.model_validate(dict(await db.run(actor, lambda tx: views.get(tx, view_id))))


@router.patch("/{view_id}")
@permission("view.manage")
async def change_view(view_id: UUID, body: ViewUpdate, actor: CurrentActor, now: Now) -> ViewRead:
    """Change a view; a shared one of somebody else needs the permission to share."""

    async def work(tx: Tx) -> Any:
        await views.change(tx, view_id, body.model_dump(exclude_unset=True), now=now)
        return await views.get(tx, view_id)

    return ViewRead.model_validate(dict(await db.run(actor, work)))


@router.delete("/{view_id}", status_code=204)
@permission("view.manage")
async def delete_view(view_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Delete a view."""
    await db.run(actor, lambda tx: views.delete(tx, view_id, now=now))
    return Response(status_code=204)
