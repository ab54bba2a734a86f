"""The bell: one low-rate NOTIFY that says "something was recorded", rung after commits, never inside them.

NOTIFY holds a lock of the whole server through its commit, so it is no part of a busy transaction: whoever commits
events wakes a task with a connection of its own, which turns any number of wakes into at most twenty NOTIFYs a second
for each process. Whoever misses one looks by itself a little later.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import structlog

from crm import db
from crm.settings import APP_ROLE, settings

log = structlog.get_logger("crm.bell")

CHANNEL = "santral"
REST = 0.05
"""Seconds between two rings of one process."""
AGAIN = 1.0
"""Seconds before a lost connection is tried again."""


async def _connect() -> asyncpg.Connection:
    url = settings().role_url(APP_ROLE).set(drivername="postgresql")
    return await asyncpg.connect(url.render_as_string(hide_password=False), timeout=10)


@asynccontextmanager
async def ringing() -> AsyncIterator[None]:
    """Ring the bell after every commit of this process that recorded events, while the block runs."""
    wake = asyncio.Event()
    task = asyncio.create_task(_ring(wake))
    db.after_events.add(wake.set)
    try:
        yield
    finally:
        db.after_events.discard(wake.set)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _ring(wake: asyncio.Event) -> None:
    """Turn wakes into notifications for ever; a lost connection is opened again at the next wake."""
    connection: asyncpg.Connection | None = None
    try:
        while True:
            await wake.wait()
            wake.clear()
            try:
                connection = connection or await _connect()
                await connection.execute(f"notify {CHANNEL}")
            except db.GONE as error:
                log.warning("bell_silent", error=type(error).__name__)
                connection = None
                await asyncio.sleep(AGAIN)
            await asyncio.sleep(REST)
    finally:
        if connection is not None:
            connection.terminate()


class Ear:
    """Hears the bell. `await ear.wait(0.5)` returns at the next ring, or after half a second without one."""

    def __init__(self) -> None:
        self._heard = asyncio.Event()

    def hear(self, *_: object) -> None:
        """Take note of a ring."""
        self._heard.set()

    async def wait(self, at_most: float) -> None:
        """Wait for a ring since the last wait, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await self._heard.wait()
        self._heard.clear()


@asynccontextmanager
async def listening(ear: Ear) -> AsyncIterator[None]:
    """Let an ear hear the bell while the block runs; while the database is away, nothing is heard and waits run out."""
    task = asyncio.create_task(_listen(ear))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(ear: Ear) -> None:
    """Keep a listening connection open for ever."""
    while True:
        connection: asyncpg.Connection | None = None
        try:
            connection = await _connect()
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _, lost=lost: lost.set())
            await connection.add_listener(CHANNEL, ear.hear)
            ear.hear()
            await lost.wait()
        except db.GONE as error:
            log.warning("bell_not_heard", error=type(error).__name__)
        finally:
            if connection is not None:
                connection.terminate()
        await asyncio.sleep(AGAIN)
