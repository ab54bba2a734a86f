"""What lead sources send: taken when it carries their signature, stored before it is read, answered at once."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Query
from fastapi.responses import PlainTextResponse
from starlette.requests import Request

from api.deps import Context, Router, public
from api.problems import Problem
from api.schemas.inbox import Received
from crm import db, errors
from crm.actor import Actor
from crm.db import Tx
from crm.inbox import connections, signatures
from crm.inbox import operations as inbox
from crm.inbox.connections import Connection, Source

router = Router("/webhooks")

SIGNED = "senders prove themselves by a signature over the body"
VERIFIED = "Meta proves itself by the verify token"
REFUSED = {403: {"model": Problem, "description": "The signature or token is not the one agreed on."}}


class WrongSignature(errors.NotAllowed):
    """The message does not carry the signature of its source."""

    code = "webhook.signature"


class WrongToken(errors.NotAllowed):
    """This is not the verify token."""

    code = "webhook.token"


@router.post("/{source}")
@public(SIGNED)
async def receive(source: str, request: Request, context: Context) -> Received:
    """Take a message for the only connection of its source."""
    return await _receive(request, context, source, None)


@router.post("/{source}/{connection_id}")
@public(SIGNED)
async def receive_for(source: str, connection_id: UUID, request: Request, context: Context) -> Received:
    """Take a message for one connection."""
    return await _receive(request, context, source, connection_id)


Mode = Annotated[str, Query(alias="hub.mode", max_length=50)]
Token = Annotated[str, Query(alias="hub.verify_token", max_length=1000)]
Challenge = Annotated[str, Query(alias="hub.challenge", max_length=200)]


@router.get("/{source}", response_class=PlainTextResponse, responses=REFUSED)
@public(VERIFIED)
async def verify(source: str, context: Context, mode: Mode, token: Token, challenge: Challenge) -> PlainTextResponse:
    """Answer Meta's question whether this address wants its messages."""
    return await _verify(context, source, None, mode=mode, token=token, challenge=challenge)


@router.get("/{source}/{connection_id}", response_class=PlainTextResponse, responses=REFUSED)
@public(VERIFIED)
async def verify_for(
    source: str, connection_id: UUID, context: Context, mode: Mode, token: Token, challenge: Challenge
) -> PlainTextResponse:
    """Answer Meta's question whether this address wants the messages of one connection."""
    return await _verify(context, source, connection_id, mode=mode, token=token, challenge=challenge)


async def _in_its_tenant(
    context: Context, source: str, connection_id: UUID | None, work: Callable[[Tx, Connection], Awaitable[None]]
) -> None:
    """Find the connection and do something in a transaction of its tenant, as the system."""
    tenant_id, found = await connections.find(source, connection_id)
    context.tenant_id = tenant_id

    async def job(tx: Tx) -> None:
        await work(tx, await connections.load(tx, found))

    await db.run(Actor.system(tenant_id, trace_id=context.trace_id), job)


async def _receive(request: Request, context: Context, source: str, connection_id: UUID | None) -> Received:
    body = await request.body()

    async def keep(tx: Tx, connection: Connection) -> None:
        if not _is_genuine(connection, body, request.headers.get("X-Hub-Signature-256")):
            raise WrongSignature
        await inbox.receive(tx, connection, body, now=context.now)

    await _in_its_tenant(context, source, connection_id, keep)
    return Received()


def _is_genuine(connection: Connection, body: bytes, signature: str | None) -> bool:
    if connection.source is Source.meta:
        return signatures.is_from_meta(body, signature, connection.secrets["app_secret"])
    return signatures.is_from_google(body, connection.secrets["google_key"])


async def _verify(
    context: Context, source: str, connection_id: UUID | None, *, mode: str, token: str, challenge: str
) -> PlainTextResponse:
    async def check(tx: Tx, connection: Connection) -> None:
        agreed = connection.secrets.get("verify_token")
        if mode != "subscribe" or agreed is None or not signatures.same(token, agreed):
            raise WrongToken

    await _in_its_tenant(context, source, connection_id, check)
    return PlainTextResponse(challenge)
