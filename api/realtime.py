"""The hub: one reader of the event log per process feeds every open WebSocket of it.

It reads only while somebody listens. A listener first gets what it missed since its cursor, then what the reader finds;
both are cut by snapshots, so nothing is told twice and nothing is left out. A listener that cannot keep up is told to
start again (`reset`) instead of filling memory.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from api import metrics
from crm import clock, db, errors, feed
from crm.actor import Actor
from crm.events import Event, LiveReader, bell

log = structlog.get_logger("api.realtime")

LOOK_EVERY = 0.3
"""Seconds after which the log is looked at although no bell was heard."""
AGAIN = 1.0
"""Seconds after which a database that does not answer is asked again."""
HELD_AT_MOST = 1000
"""Events held for one slow listener."""
LISTENERS_AT_MOST = 2000
ENDS_ACCESS = frozenset({"user.deactivated", "session.revoked"})


class TooManyListeners(errors.TooMany):
    """This process has all the listeners it can hold; try again, or poll."""

    code = "realtime.full"


@dataclass(eq=False)
class Listener:
    """One open WebSocket: who, the position they were told up to, and what waits to be sent."""

    actor: Actor
    position: feed.Position | None = None
    waiting: deque[Event] = field(default_factory=deque)
    must_reset: bool = False
    has_lost_access: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    joined: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def tell(self, events: Sequence[Event], position: feed.Position, *, reset: bool = False) -> None:
        """Hold events until they are sent; too many of them become a reset."""
        if reset or len(self.waiting) + len(events) > HELD_AT_MOST:
            self.waiting.clear()
            self.must_reset = True
        elif not self.must_reset:
            self.waiting.extend(events)
        self.position = position
        if events or self.must_reset:
            self.wake.set()

    def take(self) -> tuple[list[Event], bool]:
        """Return what waits, and whether the listener must start again; nothing waits afterwards."""
        events, reset = list(self.waiting), self.must_reset
        self.waiting.clear()
        self.must_reset = False
        self.wake.clear()
        return events, reset

    def cursor(self) -> str:
        """Return the cursor of somebody who was sent everything that does not wait any more."""
        assert self.position is not None, "a listener has a position once it has joined"
        return feed.sign(self.actor.tenant_id, self.position, now=clock.utc_now())


class Hub:
    """All listeners of a process. Joining, looking back and reading are one task's work: none overtakes another."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._joining: list[tuple[Listener, str | None]] = []
        self._ear = bell.Ear()
        self._reader = LiveReader()

    async def join(self, actor: Actor, cursor: str | None) -> Listener:
        """Add a listener, with what it missed since `cursor` already waiting.

        :raises crm.cursors.BadCursor: when the cursor is not one of this feed.
        :raises TooManyListeners: when the process holds as many as it can.
        """
        if len(self._listeners) + len(self._joining) >= LISTENERS_AT_MOST:
            raise TooManyListeners
        listener = Listener(actor)
        self._joining.append((listener, cursor))
        self._ear.hear()
        try:
            await listener.joined
        except asyncio.CancelledError:
            self.leave(listener)
            raise
        metrics.LISTENERS.set(len(self._listeners))
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._joining = [(each, cursor) for each, cursor in self._joining if each is not listener]
        self._listeners.discard(listener)
        metrics.LISTENERS.set(len(self._listeners))

    async def run(self) -> None:
        """Feed the listeners until cancelled."""
        async with bell.listening(self._ear):
            try:
                while True:
                    await self._ear.wait(LOOK_EVERY)
                    try:
                        await self._look()
                    except db.GONE as error:
                        log.warning("feed_interrupted", error=type(error).__name__)
                        self._look_back_again()
                        await asyncio.sleep(AGAIN)
            finally:
                await self._reader.close()

    async def _look(self) -> None:
        """Read what is new and tell it; then let in those who wait, each with what it missed."""
        if not self._listeners and not self._joining:
            await self._reader.close()
            return
        events = await self._reader.read()
        await self._tell(events, feed.Snapshot.of(self._reader.seen))
        await self._let_in()

    async def _tell(self, events: Sequence[Event], snapshot: feed.Snapshot) -> None:
        """Give each listener what is theirs of the events that a look found."""
        told = self._audiences(events, await self._owners(events))
        lost = {event.aggregate_id for event in events if event.event_type in ENDS_ACCESS}
        for listener in self._listeners:
            assert listener.position is not None, "listeners have joined"
            here, actor = listener.position, listener.actor
            theirs = [
                event
                for event, whom in told.get(actor.tenant_id, ())
                if not here.snapshot.sees(event.tx_id) and feed.concerns(actor, whom)
            ]
            listener.tell(theirs, feed.Position(snapshot, here.server))
            if listener.actor.user_id in lost:
                listener.has_lost_access = True
                listener.wake.set()

    @staticmethod
    def _audiences(events: Sequence[Event], owners: feed.Owners) -> dict[UUID, list[tuple[Event, feed.Audience]]]:
        """Return the events of each tenant, each with whom it concerns: worked out once, whoever listens."""
        told: dict[UUID, list[tuple[Event, feed.Audience]]] = {}
        for event in events:
            if whom := feed.audience(event, owners):
                told.setdefault(event.tenant_id, []).append((event, whom))
        return told

    async def _owners(self, events: Sequence[Event]) -> feed.Owners:
        """Return the owners of the leads in the events, of the tenants that somebody listens to."""
        owners: dict[UUID, tuple[UUID | None, UUID | None]] = {}
        for tenant_id in {listener.actor.tenant_id for listener in self._listeners}:
            of_tenant = [event for event in events if event.tenant_id == tenant_id]
            if of_tenant:
                async with db.transaction(Actor.system(tenant_id)) as tx:
                    owners.update(await feed.owners_of(tx, of_tenant))
        return owners

    async def _let_in(self) -> None:
        """Let those in who wait. One whose look back fails for want of a database goes on waiting."""
        while self._joining:
            listener, cursor = self._joining[0]
            try:
                async with db.transaction(listener.actor) as tx:
                    page = await feed.read(tx, cursor, now=clock.utc_now())
            except errors.CrmError as refusal:
                if not listener.joined.done():
                    listener.joined.set_exception(refusal)
            else:
                listener.tell(page.events, page.position, reset=page.reset)
                if any(each is listener for each, _ in self._joining):  # still here after the look back
                    self._listeners.add(listener)
                if not listener.joined.done():
                    listener.joined.set_result(None)
            self._joining = [pair for pair in self._joining if pair[0] is not listener]

    def _look_back_again(self) -> None:
        """Let every listener join anew from where they stand: what happened meanwhile was not read."""
        self._joining += [(listener, listener.cursor()) for listener in self._listeners]
        self._listeners.clear()
