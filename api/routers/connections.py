"""Connections to lead sources."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.inbox import BackfillCreate, ConnectionCreate, ConnectionRead, ConnectionUpdate, PullRead
from crm import db
from crm.db import Tx
from crm.inbox import connections, overview, pulls

router = Router("/connections")


async def _shown(tx: Tx, connection_id: UUID, now: datetime) -> dict[str, object]:
    [row] = await overview.listing(tx, connection_id=connection_id, now=now)
    return row


@router.get("")
@permission("connection.view")
async def list_connections(actor: CurrentActor, now: Now) -> Listing[ConnectionRead]:
    """List every connection, without secrets: what is foreseen of its token, how its source behaves."""
    rows = await db.run(actor, lambda tx: overview.listing(tx, now=now))
    return Listing(items=[ConnectionRead.model_validate(row) for row in rows])


@router.post("", status_code=201, response_model=ConnectionRead)
@permission("connection.manage")
async def create_connection(
    request: Request, body: ConnectionCreate, now: Now, key: IdempotencyKey = None
) -> Response:  # fmt: skip
    """Take webhooks of a source from now on; they come to `/webhooks/{source}/{id}`."""

    async def work(tx: Tx) -> dict[str, object]:
        connection_id = await connections.create(
            tx, source=body.source, name=body.name, secrets=body.secrets, consents=body.consents,
            team_id=body.team_id, now=now,
        )  # fmt: skip
        return await _shown(tx, connection_id, now)

    return await create(request, key, body, work, answer=ConnectionRead)


@router.get("/{connection_id}")
@permission("connection.view")
async def read_connection(connection_id: UUID, actor: CurrentActor, now: Now) -> ConnectionRead:
    """Return one connection, without secrets."""
    return ConnectionRead.model_validate(await db.run(actor, lambda tx: _shown(tx, connection_id, now)))


@router.patch("/{connection_id}")
@permission("connection.manage")
async def update_connection(
    connection_id: UUID, body: ConnectionUpdate, actor: CurrentActor, now: Now
) -> ConnectionRead:  # fmt: skip
    """Change a connection: name, whether it is active, its secrets, which questions ask consent."""

    async def work(tx: Tx) -> dict[str, object]:
        await connections.update(
            tx, connection_id, name=body.name, is_active=body.is_active, secrets=body.secrets, consents=body.consents,
            now=now,
        )  # fmt: skip
        return await _shown(tx, connection_id, now)

    return ConnectionRead.model_validate(await db.run(actor, work))


@router.post("/{connection_id}/backfill", status_code=202, response_model=PullRead)
@permission("connection.manage")
async def backfill_connection(
    connection_id: UUID, request: Request, body: BackfillCreate, now: Now, key: IdempotencyKey = None
) -> Response:
    """Have a window's leads asked for again; a worker does it, and what is known already changes nothing."""

    async def work(tx: Tx) -> dict[str, object]:
        pull_id = await pulls.backfill(tx, connection_id, form=body.form, since=body.since, until=body.until, now=now)
        return dict(await pulls.get(tx, pull_id))

    return await create(request, key, body, work, answer=PullRead, status=202)


@router.get("/{connection_id}/pulls")
@permission("connection.view")
async def list_pulls(
    connection_id: UUID, actor: CurrentActor, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Listing[PullRead]:
    """List what was asked for again of a connection, the latest first: backfills and regular reconciles."""
    rows = await db.run(actor, lambda tx: pulls.page(tx, connection_id, limit=limit))
    return Listing(items=[PullRead.model_validate(dict(row)) for row in rows])
