"""The inbox as it fills: each message is parsed by its source's parser and stored, a few at a time."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from crm import db
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.db import Tx
from crm.events.log import Event
from crm.inbox import connections, health, versions
from crm.inbox import operations as inbox
from crm.inbox.connections import ASKED, Connection, Source
from crm.inbox.operations import Claimed
from crm.inbox.reading import NotNow, Reading, Unusable

log = structlog.get_logger("crm.inbox")

AT_ONCE = 4
"""Messages worked off side by side; a source that is slow to answer holds up no more."""
BATCH = 8
"""Messages claimed together; a source that is slow to answer must not outlast the lease."""

Parser = Callable[[bytes, Connection], Awaitable[Reading]]
"""What a door gives for each source: from the bytes of a message to the leads in it, asking the source if need be.

It raises `Unusable` and `NotNow` where it can make nothing of a message."""


def _place(error: Exception) -> str:
    """Return where an error was raised, without its words: they may hold what the message says."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.name}:{last.lineno}"


class Inbox(Chore):
    """Works off every tenant's messages with the parsers of the doors."""

    name = "inbox"
    every = 5.0

    def __init__(self, clock: Clock, parsers: Mapping[Source, Parser]) -> None:
        super().__init__(clock)
        self.parsers = parsers

    def hear(self, event: Event) -> None:
        """Take note of messages that arrived or are to be worked off again."""
        if event.event_type in ("inbox.received", "inbox.replayed", "connection.updated", "connection.recovered"):
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Work off one batch of what is due; if it was full, the tenant's turn comes again."""
        system = Actor.system(tenant_id)
        claimed = await db.run(system, lambda tx: inbox.claim(tx, at_most=BATCH, now=self.clock()))
        if not claimed:
            return
        bodies = await inbox.bodies(tenant_id, claimed)
        places = asyncio.Semaphore(AT_ONCE)

        async def in_turn(message: Claimed) -> None:
            async with places:
                await self._work_off(tenant_id, message, bodies.get(message.id))

        for ended in await asyncio.gather(*(in_turn(message) for message in claimed), return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended
        if len(claimed) == BATCH:
            self.want(tenant_id)

    async def _work_off(self, tenant_id: UUID, message: Claimed, body: bytes | None) -> None:
        """Parse and store one message; whatever happens to it, the others go on."""
        actor = Actor.system(tenant_id, trace_id=message.trace_id)
        completed = None
        try:
            connection, until = await self._connection(actor, message)
            if until:
                await self._put_off(actor, message, "source.resting", wait=until - self.clock())
                return
            reading = await self._parse(message, body, connection)
            if reading.body is not None:
                completed = await versions.seal(tenant_id, message.key_id, reading.body)
            await db.run(
                actor, lambda tx: inbox.settle(tx, message, reading, completed=completed, now=self.clock())
            )  # fmt: skip
        except Unusable as error:
            if error.by_provider:
                await self._blame(actor, message, error.reason)
            await self._give_up(actor, message, error.reason, completed)
        except NotNow as error:
            await self._blame(actor, message, error.reason, wait=error.wait)
            await self._put_off(actor, message, error.reason, wait=error.wait)
        except Exception as error:  # no message may hold up others for ever; an outage fails the next line too
            log.error("inbox_defect", message_id=str(message.id), error=type(error).__name__, where=_place(error))
            await self._put_off(actor, message, "defect")

    async def _connection(self, actor: Actor, message: Claimed) -> tuple[Connection, datetime | None]:
        """Return a message's connection, and until when its source is to be left in peace if it has to be asked.

        Another message that was claimed with this one may have been told so meanwhile.
        """

        async def look(tx: Tx) -> tuple[Connection, datetime | None]:
            connection = await connections.load(tx, message.connection_id)
            is_asked = connection.source in ASKED
            return connection, await health.blocked_until(tx, connection.id, now=self.clock()) if is_asked else None

        return await db.run(actor, look)

    async def _parse(self, message: Claimed, body: bytes | None, connection: Connection) -> Reading:
        if body is None:
            raise Unusable("inbox.erased")
        return await self.parsers[message.source](body, connection)

    async def _blame(self, actor: Actor, message: Claimed, reason: str, *, wait: timedelta | None = None) -> None:
        await db.run(
            actor, lambda tx: health.failed(tx, message.connection_id, reason, wait=wait, now=self.clock())
        )  # fmt: skip

    async def _put_off(self, actor: Actor, message: Claimed, reason: str, *, wait: timedelta | None = None) -> None:
        await db.run(actor, lambda tx: inbox.put_off(tx, message, reason, wait=wait, now=self.clock()))

    async def _give_up(self, actor: Actor, message: Claimed, reason: str, completed: bytes | None) -> None:
        await db.run(actor, lambda tx: inbox.give_up(tx, message, reason, completed=completed, now=self.clock()))
