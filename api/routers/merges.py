"""Merges: two contacts that are one person made one, and made two again exactly."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas.review import MergeCreate, MergeRead
from crm import db
from crm.db import Tx
from crm.duplicates import operations, queries

router = Router("/merges")


@router.post("", status_code=201, response_model=MergeRead)
@permission("contact.merge")
async def merge_contacts(request: Request, body: MergeCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Make two contacts one: everything of the loser moves to the winner, and `undo` gives it back."""

    async def work(tx: Tx) -> Any:
        return dict(await queries.get(tx, await operations.merge(tx, body.winner_id, body.loser_id, now=now)))

    return await create(request, key, body, work, answer=MergeRead)


@router.post("/{merge_id}/undo")
@permission("contact.merge")
async def undo_merge(merge_id: UUID, actor: CurrentActor, now: Now) -> MergeRead:
    """Make one contact two again, as they were; later merges of either are undone first."""

    async def work(tx: Tx) -> MergeRead:
        await operations.undo(tx, merge_id, now=now)
        return MergeRead.model_validate(dict(await queries.get(tx, merge_id)))

    return await db.run(actor, work)
