"""Which process is the bridge of a tenant: whoever holds the database's lock; the next one takes over when it dies."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog

from crm import db
from crm.settings import APP_ROLE, settings

log = structlog.get_logger("dialer.ownership")

TRY_EVERY_S = 1.0
WATCH_EVERY_S = 1.0
ANSWER_S = 3.0
"""Seconds without an answer after which the lock counts as lost: the server may have given it to another."""


async def while_owner(tenant_id: UUID, stop: asyncio.Event, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Do `work` whenever this process is the tenant's bridge, until told to stop; `work` stops when its event is set.

    The lock belongs to a database session: it is free as soon as the server notices that its holder is gone.
    """
    while not stop.is_set():
        try:
            connection = await _connect()
        except db.GONE as error:
            log.warning("bridge_put_off", error=type(error).__name__)
            await _unless(stop, TRY_EVERY_S)
            continue
        try:
            if await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", f"dialer {tenant_id}"):
                log.info("bridge_begins", tenant_id=str(tenant_id))
                await _own(connection, stop, work)
        except Exception as error:
            if db.is_gone(error):
                log.warning("bridge_ends", error=type(error).__name__)
            else:  # a defect: another process may be luckier with it, and so may we
                log.error("bridge_defect", exc_info=error)
        finally:
            connection.terminate()
        await _unless(stop, TRY_EVERY_S)


async def _own(
    connection: asyncpg.Connection, stop: asyncio.Event, work: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    over = asyncio.Event()
    working = asyncio.create_task(_run(work, over))
    try:
        while not stop.is_set() and not working.done():
            async with asyncio.timeout(ANSWER_S):
                await connection.fetchval("select 1")
            await _unless(stop, WATCH_EVERY_S)
    finally:
        over.set()
        await working


async def _run(work: Callable[[asyncio.Event], Awaitable[None]], over: asyncio.Event) -> None:
    await work(over)


async def _connect() -> asyncpg.Connection:
    url = settings().role_url(APP_ROLE).set(drivername="postgresql")
    return await asyncpg.connect(url.render_as_string(hide_password=False), timeout=10)


async def _unless(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
