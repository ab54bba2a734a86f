"""Callbacks: promised, changed, taken, cancelled; and what came of them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from starlette.requests import Request

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.callbacks import (
    AttemptRead,
    CallbackCreate,
    CallbackPage,
    CallbackQuery,
    CallbackRead,
    CancelBody,
    FiguresQuery,
    FiguresRead,
    RescheduleBody,
)
from crm import db
from crm.callbacks import figures, holding, operations, queries
from crm.callbacks.operations import Request as Wanted
from crm.callbacks.rules import Kind
from crm.db import Tx

DAY = timedelta(days=1)
EARLIEST = datetime.min.replace(tzinfo=UTC) + DAY

router = Router("/queue/callbacks", tags=["callbacks"])


async def _promise(tx: Tx, body: CallbackCreate, now: datetime) -> UUID:
    if body.call_id is not None:
        return await holding.hold(tx, body.call_id, now=now)
    assert body.contact_id is not None, "the body says to whom"
    asked = body.model_dump(exclude={"call_id", "kind", "evidence"})
    wanted = Wanted(kind=Kind(body.kind), evidence=body.evidence or None, **asked)
    return await operations.request(tx, wanted, now=now)


@router.get("", response_model=CallbackPage)
@permission("callback.view")
async def list_callbacks(wanted: Annotated[CallbackQuery, Query()], actor: CurrentActor, now: Now) -> Response:
    """List callbacks, the latest first: one's own and those of one's queues, or all with the permission to change."""
    asked = queries.Wanted(wanted.model_dump(include=set(queries.FILTERS)), wanted.limit, wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.page(tx, asked, now=now)))


@router.post("", status_code=201, response_model=CallbackRead)
@permission("callback.work")
async def promise_callback(request: Request, body: CallbackCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Promise somebody a callback. A caller who keeps their place hears so from the exchange and may hang up."""

    async def work(tx: Tx) -> dict[str, Any]:
        made = await _promise(tx, body, now)
        found: dict[str, Any] = json.loads(await queries.one(tx, made, now=now))
        return found

    return await create(request, key, body, work, answer=CallbackRead)


@router.get("/figures")
@permission("callback.view")
async def read_figures(wanted: Annotated[FiguresQuery, Query()], actor: CurrentActor, now: Now) -> FiguresRead:
    """Say how promises of callbacks are kept, by when they were made; provisional while one may still be kept."""
    until = wanted.until or now
    since = wanted.since or until - min(DAY, until - EARLIEST)
    found = await db.run(actor, lambda tx: figures.of(tx, since, until, queue=wanted.queue, now=now))
    return FiguresRead.model_validate(found)


@router.get("/{callback_id}", response_model=CallbackRead)
@permission("callback.view")
async def read_callback(callback_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Return one callback."""
    return pages.of_json(await db.run(actor, lambda tx: queries.one(tx, callback_id, now=now)))


@router.get("/{callback_id}/attempts")
@permission("callback.view")
async def list_attempts(callback_id: UUID, actor: CurrentActor) -> Listing[AttemptRead]:
    """List the calls made for a callback, in their order."""
    found = await db.run(actor, lambda tx: queries.attempts(tx, callback_id))
    return Listing(items=[AttemptRead.model_validate(dict(row)) for row in found])


@router.post("/{callback_id}/take", response_model=CallbackRead)
@permission("callback.work")
async def take_callback(callback_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Make a callback oneself, at once: one's own telephone rings first."""

    async def work(tx: Tx) -> str:
        await operations.take(tx, callback_id, now=now)
        return await queries.one(tx, callback_id, now=now)

    return pages.of_json(await db.run(actor, work))


@router.post("/{callback_id}/reschedule", response_model=CallbackRead)
@permission("callback.work")
async def reschedule_callback(callback_id: UUID, body: RescheduleBody, actor: CurrentActor, now: Now) -> Response:
    """Agree with the customer on another time."""

    async def work(tx: Tx) -> str:
        await operations.reschedule(
            tx, callback_id, body.promised_from, body.promised_until, reason=body.reason, now=now
        )
        return await queries.one(tx, callback_id, now=now)

    return pages.of_json(await db.run(actor, work))


@router.post("/{callback_id}/cancel", response_model=CallbackRead)
@permission("callback.work")
async def cancel_callback(callback_id: UUID, body: CancelBody, actor: CurrentActor, now: Now) -> Response:
    """Cancel a callback for a reason; not while the customer is being called."""

    async def work(tx: Tx) -> str:
        await operations.cancel(tx, callback_id, reason=body.reason, now=now)
        return await queries.one(tx, callback_id, now=now)

    return pages.of_json(await db.run(actor, work))
