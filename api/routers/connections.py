"""Connections to lead sources."""

from uuid import UUID

from fastapi import Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.inbox import ConnectionCreate, ConnectionRead, ConnectionUpdate
from crm import db
from crm.db import Tx
from crm.inbox import connections

router = Router("/connections")


@router.get("")
@permission("connection.view")
async def list_connections(actor: CurrentActor) -> Listing[ConnectionRead]:
    """List every connection, without secrets."""
    rows = await db.run(actor, connections.listing)
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
        return await connections.get(tx, connection_id)

    return await create(request, key, body, work, answer=ConnectionRead)


@router.get("/{connection_id}")
@permission("connection.view")
async def read_connection(connection_id: UUID, actor: CurrentActor) -> ConnectionRead:
    """Return one connection, without secrets."""
    return ConnectionRead.model_validate(await db.run(actor, lambda tx: connections.get(tx, connection_id)))


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
        return await connections.get(tx, connection_id)

    return ConnectionRead.model_validate(await db.run(actor, work))
