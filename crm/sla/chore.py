"""Clocks as they run: worked out anew when something happens to a lead, told of when their moment comes.

Between moments there is nothing to do: the worker knows the next one of each firm and sleeps until then, however many
clocks are open. What no event reader told of (the worker was down, the reader lost its place) is found by reading the
log in batches from a durable position.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm import db
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.db import Tx
from crm.events import BatchReader
from crm.events.log import Event
from crm.sla import clocks, operations
from crm.sla.fold import READS

BATCH = 100
"""Leads settled in one transaction."""
TURN = 500
"""Leads heard of, or events read, after which others have their turn."""
BATCHES = 4
READER = "sla"
REMEMBERED = 100_000
"""Events settled when they were heard that the reading in batches has not come to yet."""
MOVES_CALENDARS = frozenset({"calendar.hours_set", "calendar.day_set", "calendar.holidays_seeded", "team.updated"})
"""Events after which clocks of business time may be due at another instant."""

NEXT = "select min(next_at) from crm.sla_clock where tenant_id = $1::uuid and next_at is not null"
COME = """
select lead_id from (select lead_id, next_at from crm.sla_clock
                      where tenant_id = $1::uuid and next_at <= $2::timestamptz order by next_at limit $3::int) c
 group by lead_id
"""
OPEN = """
select distinct lead_id from crm.sla_clock
 where tenant_id = $1::uuid and next_at is not null and ($2::uuid is null or lead_id > $2::uuid)
 order by lead_id limit $3::int
"""


class Clocks(Chore):
    """Keeps the clocks of every tenant."""

    name = "sla"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._heard: dict[UUID, dict[UUID, list[int]]] = {}
        self._settled: set[int] = set()
        self._begun: set[UUID] = set()
        self._is_behind = True
        self._alarms: dict[UUID, asyncio.TimerHandle] = {}

    def hear(self, event: Event) -> None:
        """Take note of leads to which something happened."""
        if lead_id := _lead_of(event):
            self._heard.setdefault(event.tenant_id, {}).setdefault(lead_id, []).append(event.id)
            self.want(event.tenant_id)
        elif event.event_type in MOVES_CALENDARS or event.event_type == "tenant.created":
            self._is_behind = True
            self.want(event.tenant_id)

    def look_everywhere(self, tenant_id: UUID) -> None:
        """Read on in the log from where the last one stopped."""
        self._is_behind = True

    async def work(self, tenant_id: UUID) -> None:
        """Settle what was heard of, tell what has come, and sleep until the next moment.

        However much there is to settle, what comes is told between.
        """
        await self._begin(tenant_id)
        await self._tell(tenant_id)
        heard = self._heard.get(tenant_id, {})
        some = {lead_id: heard.pop(lead_id) for lead_id in list(heard)[:TURN]}
        if heard:
            self.want(tenant_id)
        await self._settle(tenant_id, some)
        self._settled.update(event_id for event_ids in some.values() for event_id in event_ids)
        if self._is_behind:
            await self._catch_up(tenant_id)
        await self._tell(tenant_id)
        await self._set_alarm(tenant_id)

    async def _tell(self, tenant_id: UUID) -> None:
        """Settle the leads of which the next moment has come."""
        while come := await self._read(tenant_id, COME, self.clock(), BATCH):
            await self._settle(tenant_id, [row["lead_id"] for row in come])

    async def _begin(self, tenant_id: UUID) -> None:
        """See, once in the life of this process, that a firm has rules."""
        if tenant_id in self._begun:
            return
        rows = await self._read(tenant_id, "select created_at from crm.tenant where tenant_id = $1::uuid")
        since = rows[0]["created_at"]
        await db.run(Actor.system(tenant_id), lambda tx: operations.begin(tx, since=since, now=self.clock()))
        self._begun.add(tenant_id)

    async def _catch_up(self, turn_of: UUID) -> None:
        """Read the log on from the durable position, for all firms, and settle what was not heard of.

        After some batches whose turn it is goes on later, so that nothing that comes meanwhile waits for long.
        """
        self._is_behind, read = False, 0
        async for batch in BatchReader(READER, limit=TURN).batches():
            if (read := read + 1) > BATCHES:
                self._is_behind = True
                self.want(turn_of)
                return
            wanted: dict[UUID, set[UUID]] = {}
            for event in batch:
                lead_id = _lead_of(event)
                if lead_id and event.id not in self._settled:
                    wanted.setdefault(event.tenant_id, set()).add(lead_id)
                self._settled.discard(event.id)
            for tenant_id, leads in wanted.items():
                await self._begin(tenant_id)
                await self._settle(tenant_id, leads)
                self.want(tenant_id)
            for tenant_id in {each.tenant_id for each in batch if each.event_type in MOVES_CALENDARS}:
                await self._settle_all(tenant_id)
                self.want(tenant_id)
        if len(self._settled) > REMEMBERED:  # other workers read them; settling again does no harm
            self._settled.clear()

    async def _settle(self, tenant_id: UUID, leads: Iterable[UUID]) -> None:
        wanted = list(leads)
        for start in range(0, len(wanted), BATCH):
            await self._settle_some(tenant_id, wanted[start : start + BATCH])

    async def _settle_some(self, tenant_id: UUID, leads: list[UUID]) -> None:
        await db.run(Actor.system(tenant_id), lambda tx: clocks.settle(tx, leads, now=self.clock()))

    async def _settle_all(self, tenant_id: UUID) -> None:
        """Work out anew whatever is open, in the order of the leads' ids."""
        last: UUID | None = None
        while rows := await self._read(tenant_id, OPEN, last, BATCH):
            await self._settle(tenant_id, [row["lead_id"] for row in rows])
            last = rows[-1]["lead_id"]

    async def _set_alarm(self, tenant_id: UUID) -> None:
        """Have the tenant's turn come at the next moment; it also comes every few seconds without."""
        if alarm := self._alarms.pop(tenant_id, None):
            alarm.cancel()
        rows = await self._read(tenant_id, NEXT)
        if moment := rows[0]["min"]:
            wait = _until(moment, self.clock())
            if wait < self.every:
                loop = asyncio.get_running_loop()
                self._alarms[tenant_id] = loop.call_later(wait, self.want, tenant_id)

    async def _read(self, tenant_id: UUID, sql: str, *args: object) -> list[asyncpg.Record]:
        async def work(tx: Tx) -> list[asyncpg.Record]:
            return await tx.fetch(sql, tenant_id, *args)

        return await db.run(Actor.system(tenant_id), work)


def _until(moment: datetime, now: datetime) -> float:
    return max(0.0, (moment - now) / timedelta(seconds=1))


def _lead_of(event: Event) -> UUID | None:
    """Return the lead whose clocks follow from an event, or None."""
    return event.aggregate_id if event.event_type in READS and event.aggregate_type == "lead" else None
