"""The bridge between the product and a telephone exchange: what is wanted goes out once, what happens comes in.

One bridge per tenant is at work (`dialer.ownership`); others wait. Everything it knows is in the database or is asked
anew after each connection: it may be killed at any moment.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from crm import clock, db
from crm.actor import Actor
from crm.agents import mirror
from crm.calls import arriving, hearing, supervision
from crm.calls.facts import Fact, LegEnded, MemberChanged
from crm.calls.hearing import Memory, Told
from crm.events import bell
from crm.queues import members as queues
from crm.queues import steering
from dialer import resync, words
from dialer.ami.connection import Connection, Heard, Lost, Refused, Up
from dialer.ami.messages import Message
from dialer.aside import AGAIN_S, Aside
from dialer.asks import Asks, Turns
from dialer.figures import Figures
from dialer.hearing import Arrival, Ear, Early

log = structlog.get_logger("dialer.bridge")

MOST_TOGETHER = 2_000
"""Messages taken at once when we are behind: the more of a call are heard together, the less often it is told anew."""
LANES = 2
"""Transactions in which calls are heard side by side; what is told of one call stays in its order."""
CHECK_EVERY_S = 60.0
"""Seconds between two comparisons of our calls with the exchange's; one follows each connection, too."""
STEER_EVERY_S = 1.0
"""Seconds between two looks at the queues."""

Listener = Callable[[Told], None]
Clock = Callable[[], datetime]


def _name_of(fact: Fact) -> str:
    return type(fact).__name__


@dataclass(frozen=True, slots=True)
class Wiring:
    """How customers are dialled: the dial string, `{number}` in the place of the digits.

    `records`, `queue_log`: where the exchange writes its own records (CDR, `Master.csv`), and what happens in its
    queues; None where we cannot read them.
    `settles`: for how long after a change a call may have a channel that the exchange does not show yet.
    """

    trunk: str = words.TRUNK
    records: Path | None = None
    queue_log: Path | None = None
    settles: timedelta = timedelta(seconds=5)


class Bridge:
    """One tenant's bridge over a connection. `run` works until told to stop; `listeners` are told news of calls."""

    def __init__(
        self, connection: Connection, tenant_id: UUID, *, wiring: Wiring | None = None, now: Clock = clock.utc_now
    ) -> None:
        self.connection = connection
        self.actor = Actor.system(tenant_id)
        self.wiring = wiring or Wiring()
        self.now = now
        self.listeners: list[Listener] = []
        self.foreign = 0
        """Facts of calls that are none of ours, left out."""
        self.ear = Ear()
        self.aside = Aside()
        """What could not be taken, so that the rest could."""
        self.figures = Figures()
        self._telling = asyncio.Lock()  # what one telling learns of a call, the next one has to know
        self._memory = Memory()
        self._early = Early()
        self._items: asyncio.Queue[Heard] = asyncio.Queue(2 * MOST_TOGETHER)  # the line waits when we do not keep up
        self._check = asyncio.Event()
        self._is_up = asyncio.Event()
        self.asks = Asks(self, self._is_up, self._memory.begin)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what was asked meanwhile is then answered or left to the next bridge."""
        ear = bell.Ear()
        async with bell.listening(ear), bell.ringing(), asyncio.TaskGroup() as parts:
            works = [
                parts.create_task(self.connection.run(stop)), parts.create_task(self._gather()),
                parts.create_task(self._hear()), parts.create_task(self.asks.send(ear)),
                parts.create_task(self.asks.settle()),
                parts.create_task(self._compare()), parts.create_task(self._steer()),
            ]  # fmt: skip
            await stop.wait()
            await works[0]
            for work in works:
                work.cancel()

    async def _gather(self) -> None:
        async for item in self.connection.heard():
            await self._items.put(item)

    async def _hear(self) -> None:
        """Take what is heard, as much as comes within a moment, in one transaction; what fails is tried again."""
        turns = Turns()
        while True:
            batch = [await self._items.get()]
            await turns.next()
            while len(batch) < MOST_TOGETHER and not self._items.empty():
                batch.append(self._items.get_nowait())
            self._note_connection(batch)
            told = [item for item in batch if isinstance(item, Message)]
            await self.aside.until_done(partial(self._take, told))

    def _note_connection(self, batch: Sequence[Heard]) -> None:
        for item in batch:
            if isinstance(item, Up):
                self._is_up.set()
                self._check.set()
            elif isinstance(item, Lost):
                self._is_up.clear()

    async def _take(self, told: Sequence[Message]) -> None:
        now = self.now()
        facts: list[Fact] = []
        for each in told:
            try:
                if arrival := self.ear.arrival(each, now=now):
                    facts += await self.arrive(arrival)
                if fact := self.ear.fact(each, now=now):
                    facts.append(fact)
            except Exception as error:
                if db.is_gone(error):
                    raise
                self.aside.put("message", error, event=each.event)
        await self.tell(facts)
        self.figures.note(facts, now=self.now())

    async def arrive(self, arrival: Arrival) -> Sequence[Fact]:
        """Take note of a customer's call; return what was told of it before. Who cannot be looked up is unknown."""
        try:
            await self._note_arrival(arrival, arrival.number)
        except Exception as error:
            if db.is_gone(error):
                raise
            self.aside.put("caller", error)
            await self._note_arrival(arrival, "")
        return self._early.of(arrival.name)

    async def _note_arrival(self, arrival: Arrival, number: str) -> None:
        name, queue, at = arrival.name, arrival.queue, arrival.at
        await db.run(self.actor, lambda tx: arriving.arrive(tx, name, number, queue=queue, at=at, now=self.now()))

    async def tell(self, facts: Sequence[Fact]) -> None:
        """Store facts and what follows from them, then tell the listeners; what cannot be stored is set aside."""
        members = [fact for fact in facts if isinstance(fact, MemberChanged)]
        if members:
            await self.mirror(members)
        lanes: list[list[Fact]] = [[] for _ in range(LANES)]
        for fact in facts:
            if not isinstance(fact, MemberChanged):
                lanes[hash(fact.call_id) % LANES].append(fact)
        async with self._telling:
            works = [self.aside.each(lane, self._hear_lane, _name_of) for lane in lanes if lane]
            trouble = [each for each in await asyncio.gather(*works, return_exceptions=True) if each]
        if trouble:
            raise trouble[0]

    async def _hear_lane(self, facts: Sequence[Fact]) -> None:
        """Hear what is told of some calls, in their order, beside others."""
        heard = await db.run(self.actor, lambda tx: hearing.hear(tx, facts, memory=self._memory, now=self.now()))
        self._memory.learn(heard.known)
        self.foreign += len(heard.foreign)
        self._early.keep(heard.foreign)
        if gone := [fact.leg_id for fact in heard.foreign if isinstance(fact, LegEnded)]:
            await db.run(self.actor, lambda tx: supervision.hear_end(tx, gone, now=self.now()))
        for news in heard.news:
            for listener in self.listeners:
                try:
                    listener(news)
                except Exception as error:  # it is not the call's trouble, nor that of the other listeners
                    self.aside.put("listener", error)

    async def mirror(self, members: Sequence[MemberChanged], *, is_whole: bool = False) -> None:
        """Take over what the exchange says of its queues' members; `is_whole`: who is not told of is none."""
        if is_whole:
            try:
                await db.run(self.actor, lambda tx: self._mirror(tx, members, is_whole=True))
            except Exception as error:
                if db.is_gone(error):
                    raise
                self.aside.put("members", error)
            return
        await self.aside.each(
            members,
            lambda some: db.run(self.actor, lambda tx: self._mirror(tx, some, is_whole=False)),
            _name_of,
        )

    async def _mirror(self, tx: db.Tx, members: Sequence[MemberChanged], *, is_whole: bool) -> None:
        told = [queues.Told(each.queue, each.interface, each.is_member, each.is_paused) for each in members]
        await queues.hear(tx, told, is_whole=is_whole, now=self.now())
        if is_whole:
            await mirror.keep_only(tx, [(each.interface, each.queue) for each in members], now=self.now())
        for each in members:
            if each.is_member:
                await mirror.heard(tx, each.interface, each.is_paused, each.reason, queue=each.queue, now=self.now())
            else:
                await mirror.left(tx, each.interface, each.queue, now=self.now())

    async def _compare(self) -> None:
        """Compare our calls with the exchange's after each connection, and now and then."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await self._check.wait()
            self._check.clear()
            self._report()
            if not self._is_up.is_set():
                continue
            try:
                await self.asks.forget_sent(timedelta(seconds=CHECK_EVERY_S))
                if not await resync.resync(self):
                    asyncio.get_running_loop().call_later(self.wiring.settles.total_seconds(), self._check.set)
            except Exception as error:
                if not isinstance(error, Refused) and not db.is_gone(error):
                    self.aside.put("comparison", error)
                    continue
                log.warning("comparison_put_off", error=type(error).__name__)
                await asyncio.sleep(AGAIN_S)
                self._check.set()

    def _report(self) -> None:
        if self.figures.clock_off_s is not None:
            log.warning("exchange_clock_off", seconds=round(self.figures.clock_off_s, 1))
        log.info("bridge_stands", foreign=self.foreign, set_aside=dict(self.aside.counts), **self.figures.report())

    async def _steer(self) -> None:
        """Keep the exchange's queues as they are to be. Callers are served without it, so its trouble stops nothing."""
        while True:
            await asyncio.sleep(STEER_EVERY_S)
            if not self._is_up.is_set():
                continue
            try:
                await db.run(self.actor, lambda tx: steering.steer(tx, self.now()))
            except Exception as error:
                if db.is_gone(error):
                    log.warning("steering_put_off", error=type(error).__name__)
                else:
                    self.aside.put("steering", error)
