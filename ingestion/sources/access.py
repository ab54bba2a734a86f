"""Access to the sources beyond their webhooks: tokens, looked after before they end, and renewed where that can be."""

import asyncio
from datetime import UTC, datetime

import structlog

from crm import db, jobs, tenancy
from crm.actor import Actor
from crm.inbox import connections, health, tokens
from crm.inbox.connections import Connection, Source
from crm.inbox.reading import NotNow, Unusable
from ingestion.sources import ads
from ingestion.sources.graph import GraphClient

log = structlog.get_logger("ingestion.sources")


async def ads_client(actor: Actor, connection: Connection, *, now: datetime) -> ads.AdsClient:
    """Return a client of the Ads API; its token is the one kept, or a fresh one when that ends soon.

    :raises Unusable: when the connection has no access to the Ads API.
    :raises NotNow: when Google does not give a token now.
    """
    if not connection.has_access:
        raise Unusable("google.no_access")
    token = await db.run(actor, lambda tx: tokens.cached(tx, connection, now=now))
    return ads.AdsClient(connection, token or await _renew_google(actor, connection, now))


async def _renew_google(actor: Actor, connection: Connection, now: datetime) -> str:
    try:
        token, expires_at = await asyncio.to_thread(ads.access_token, connection)
    except NotNow as error:
        if error.reason == "google.token":
            await db.run(actor, lambda tx: tokens.refused(tx, connection, "google.token", now=now))
        raise
    await db.run(actor, lambda tx: tokens.renewed(tx, connection, token, expires_at=expires_at, now=now))
    return token


async def _look_after_meta(actor: Actor, connection: Connection, now: datetime) -> None:
    """Ask how long the token is good for; renew one that ends soon. A renewal that fails is told by the warning."""
    client = GraphClient(connection, as_app=True)
    known = await asyncio.to_thread(client.debug_token, connection.secrets["access_token"])
    if not known.get("is_valid"):
        await db.run(actor, lambda tx: tokens.refused(tx, connection, "meta.token", now=now))
        return
    expires_at = _instant(known.get("expires_at"))
    if expires_at is not None and expires_at - now <= tokens.RENEW_BEFORE[Source.meta]:
        try:
            given = await asyncio.to_thread(client.exchange, connection)
            token = str(given["access_token"])
            lasts = _instant((await asyncio.to_thread(client.debug_token, token)).get("expires_at"))
        except (NotNow, Unusable, KeyError) as error:
            log.warning("token_not_renewed", connection_id=str(connection.id), error=type(error).__name__)
        else:
            await db.run(actor, lambda tx: tokens.renewed(tx, connection, token, expires_at=lasts, now=now))
            expires_at = lasts
    await db.run(actor, lambda tx: tokens.checked(tx, connection, expires_at=expires_at, now=now))


def _instant(seconds: object) -> datetime | None:
    """Return Meta's expiry as an instant; 0 means it has none."""
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds > 0 else None


async def look_after(actor: Actor, task: tokens.Task, *, now: datetime) -> None:
    """Ask a source about one connection's token and renew it where it is time; failures count against the source."""
    connection = await db.run(actor, lambda tx: connections.load(tx, task.connection_id))
    if not connection.has_access:
        return
    try:
        if connection.source is Source.meta:
            await _look_after_meta(actor, connection, now)
        else:
            await _renew_google(actor, connection, now)
    except (NotNow, Unusable) as error:
        reason = error.reason
        await db.run(actor, lambda tx: health.failed(tx, connection.id, reason, now=now))


@jobs.periodic("inbox.tokens", "*/5 * * * *")
async def look_after_all(now: datetime) -> None:
    """Look after every tenant's tokens: each is asked about in its time and renewed before it ends."""
    for tenant_id in await tenancy.tenants():
        actor = Actor.system(tenant_id)
        for task in await db.run(actor, lambda tx: tokens.tasks(tx, now=now)):
            await look_after(actor, task, now=now)
