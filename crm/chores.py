"""Chores: work of a tenant that events ask for, done soon, and found again by itself when the asking was missed.

One reader of the event log tells every chore what happened; a chore remembers whose turn it is and works. At the start,
after a gap in reading, and every few seconds it looks at every tenant, so that what nobody asked for is done too.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog

from crm import errors, tenancy
from crm.db import GONE
from crm.events import LiveReader, bell
from crm.events.log import Event

log = structlog.get_logger("crm.chores")

AGAIN = 1.0
"""Seconds before something that failed is tried again."""
LOOK = 0.25
"""Seconds after which the log is read although no bell was heard."""

Clock = Callable[[], datetime]


class Chore:
    """One kind of work. A subclass says what it hears (`hear`) and what it does (`work`), both for one tenant."""

    name = "chore"
    every = 10.0
    """Seconds between two looks at every tenant."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._wanted: dict[UUID, None] = {}
        self._everyone = True
        self._wake = asyncio.Event()

    def hear(self, event: Event) -> None:
        """Take note of an event, without waiting; `want` its tenant when there is something to do."""

    async def work(self, tenant_id: UUID) -> None:
        """Do what there is to do for a tenant; safe to repeat."""

    def want(self, tenant_id: UUID) -> None:
        """Have a tenant's turn come soon."""
        self._wanted[tenant_id] = None
        self._wake.set()

    def want_everyone(self) -> None:
        """Have every tenant's turn come soon."""
        self._everyone = True
        self._wake.set()

    def look_everywhere(self, tenant_id: UUID) -> None:
        """Take note that a tenant's turn comes without an event: whatever waits there is to be found."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; the turn that has begun is finished."""
        loop = asyncio.get_running_loop()
        next_look = loop.time()
        while not stop.is_set():
            self._wake.clear()
            if self._everyone or loop.time() >= next_look:
                next_look = loop.time() + self.every
                await self._turn_to_everyone()
            await self._take_turns(stop)
            if not (self._wanted or self._everyone):
                await _either(self._wake, stop, at_most=max(0.0, next_look - loop.time()))

    async def _turn_to_everyone(self) -> None:
        try:
            tenants = await tenancy.tenants()
        except GONE as error:
            self._later(self.want_everyone, error)
            return
        finally:
            self._everyone = False
        for tenant_id in tenants:
            self.look_everywhere(tenant_id)
            self._wanted[tenant_id] = None

    async def _take_turns(self, stop: asyncio.Event) -> None:
        wanted, self._wanted = self._wanted, {}
        for tenant_id in wanted:
            if stop.is_set():
                return
            try:
                await self.work(tenant_id)
            except Exception as error:  # one tenant's trouble must not stop the others' work
                if not isinstance(error, (*GONE, errors.CrmError)):
                    log.error("chore_defect", chore=self.name, tenant_id=str(tenant_id), exc_info=error)
                self.look_everywhere(tenant_id)
                self._later(partial(self.want, tenant_id), error)

    def _later(self, again: Callable[[], None], error: Exception) -> None:
        log.warning("chore_put_off", chore=self.name, error=type(error).__name__)
        asyncio.get_running_loop().call_later(AGAIN, again)


class Punctual(Chore):
    """A chore whose next work comes at a known instant: a tenant's turn comes on the second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._alarms: dict[UUID, tuple[datetime, asyncio.TimerHandle]] = {}

    def forget_alarm(self, tenant_id: UUID) -> None:
        """Have no alarm any more: its turn has come."""
        if alarm := self._alarms.pop(tenant_id, None):
            alarm[1].cancel()

    def wake_at(self, tenant_id: UUID, at: datetime) -> None:
        """Have a tenant's turn come at an instant (UTC), unless it comes earlier anyway."""
        known = self._alarms.get(tenant_id)
        if known is not None and known[0] <= at:
            return
        self.forget_alarm(tenant_id)
        left = max(0.05, (at - self.clock()).total_seconds())
        self._alarms[tenant_id] = at, asyncio.get_running_loop().call_later(left, self._ring, tenant_id)

    def _ring(self, tenant_id: UUID) -> None:
        self._alarms.pop(tenant_id, None)
        self.want(tenant_id)


async def _either(one: asyncio.Event, other: asyncio.Event, *, at_most: float) -> None:
    """Wait for one of two events, at most so many seconds."""
    waiting = [asyncio.create_task(each.wait()) for each in (one, other)]
    await asyncio.wait(waiting, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()


async def follow(chores: Iterable[Chore], stop: asyncio.Event) -> None:
    """Read the event log as it grows and tell the chores, until told to stop.

    A reader that lost its connection begins anew, and every chore looks at every tenant: nothing is missed.
    """
    listeners = list(chores)
    reader = LiveReader()
    ear = bell.Ear()
    async with bell.listening(ear):
        while not stop.is_set():
            try:
                await reader.start()
                for chore in listeners:
                    chore.want_everyone()
                while not stop.is_set():
                    for event in await reader.read():
                        for chore in listeners:
                            chore.hear(event)
                    await ear.wait(LOOK)
            except GONE as error:
                log.warning("event_reader_lost", error=type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), AGAIN)
    await reader.close()
