"""Distribution as it happens: new leads at once, waiting ones as soon as somebody has room again or time has come."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.events.log import Event
from crm.leads.rules import TERMINAL
from crm.routing import moves
from crm.routing import operations as routing

REST = 0.5
"""Seconds between two searches for room in one tenant; new leads do not wait for them."""
ROOM = frozenset(
    {
        "user.activated", "user.created", "user.updated", "user.profile_changed", "team.created", "team.updated",
        "settings.changed",
    }
)  # fmt: skip
"""Events after which somebody may have room who had none, or a lead may be asked for elsewhere."""
KINDS = ("agent.availability_", "agent.absence_", "calendar.", "routing.")
"""Beginnings of more such events: who takes leads, absences, working hours, members and rules."""
MISSED = timedelta(days=2)
"""How far back a look goes for leads to be moved that no event told of; the first look goes back to the beginning."""


def makes_room(event: Event) -> bool:
    """Tell whether somebody may have room after an event: a lead left their hands, or they take leads again."""
    if event.event_type == "lead.status_changed":
        return event.payload.get("to") in TERMINAL
    if event.event_type == "lead.assigned":
        return event.payload.get("previous_user_id") is not None
    return event.event_type in ROOM or event.event_type.startswith(KINDS)


def brings_a_lead(event: Event) -> bool:
    """Tell whether a lead may wait for somebody after an event: it came, came back, or was handed to a team."""
    if event.event_type == "lead.status_changed":
        return event.payload.get("to") == "recycled"
    return event.event_type == "lead.created" or (
        event.event_type == "lead.assigned" and event.payload.get("user_id") is None
    )


class Router(Chore):
    """Gives out the leads of each tenant, at most `routing.BATCH` in a transaction, and makes automatic moves."""

    name = "router"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._arrived: dict[UUID, list[UUID]] = {}
        self._changed: dict[UUID, set[UUID]] = {}
        self._room: set[UUID] = set()
        self._looked: set[UUID] = set()
        self._look: set[UUID] = set()
        self._searched: dict[UUID, float] = {}
        self._alarms: dict[UUID, asyncio.TimerHandle] = {}

    def hear(self, event: Event) -> None:
        """Take note of leads that arrived or may have to be moved, and of room that came."""
        tenant_id = event.tenant_id
        if brings_a_lead(event):
            self._arrived.setdefault(tenant_id, []).append(event.aggregate_id)
            self.want(tenant_id)
        if makes_room(event):
            self._room.add(tenant_id)
            self.want(tenant_id)
        if event.event_type == "lead.status_changed" and event.payload.get("to") != "assigned":
            self._changed.setdefault(tenant_id, set()).add(event.aggregate_id)
            self.want(tenant_id)

    def look_everywhere(self, tenant_id: UUID) -> None:
        """Search for waiting leads and room, whatever was heard."""
        self._room.add(tenant_id)
        self._look.add(tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Move what is to be moved, give out what arrived, then what waits."""
        arrived = self._arrived.pop(tenant_id, [])
        arrived += await self._move(tenant_id)
        for start in range(0, len(arrived), routing.BATCH):
            done = await self._route(tenant_id, arrived[start : start + routing.BATCH])
            if done.is_full:
                self._room.add(tenant_id)
        if tenant_id in self._room:
            await self._search(tenant_id)

    async def _move(self, tenant_id: UUID) -> list[UUID]:
        """Move leads to the administrators' queue; return which. A rule may give them to somebody at once."""
        moved = []
        if changed := self._changed.pop(tenant_id, set()):
            moved += await self._take_back(tenant_id, changed, None)
        if tenant_id in self._look:
            self._look.discard(tenant_id)
            since = self.clock() - MISSED if tenant_id in self._looked else None
            moved += await self._take_back(tenant_id, None, since)
            self._looked.add(tenant_id)
        return moved

    async def _take_back(self, tenant_id: UUID, among: set[UUID] | None, since: datetime | None) -> list[UUID]:
        """Take back all there are to be taken back, a batch at a time."""
        moved: list[UUID] = []
        while True:
            done = await db.run(
                Actor.system(tenant_id), lambda tx: moves.take_back(tx, among, since=since, now=self.clock())
            )
            moved += done
            if len(done) < moves.BATCH:
                return moved

    async def _route(self, tenant_id: UUID, arrived: Sequence[UUID]) -> routing.Routed:
        done = await db.run(Actor.system(tenant_id), lambda tx: routing.route(tx, arrived, now=self.clock()))
        if done.kept_waiting:
            self._room.add(tenant_id)
            self.want(tenant_id)
        return done

    async def _search(self, tenant_id: UUID) -> None:
        """Give out what waits, a batch at a time and new arrivals between; not again within `REST` when it is done."""
        loop = asyncio.get_running_loop()
        rest = self._searched.get(tenant_id, 0.0) + REST - loop.time()
        if rest > 0:
            loop.call_later(rest, self.want, tenant_id)
            return
        self._room.discard(tenant_id)
        done = await db.run(Actor.system(tenant_id), lambda tx: routing.sweep(tx, now=self.clock()))
        if done.is_full:
            self._room.add(tenant_id)
            self.want(tenant_id)
        else:
            self._searched[tenant_id] = loop.time()
            await self._set_alarm(tenant_id)

    async def _set_alarm(self, tenant_id: UUID) -> None:
        """Wake up when a ring opens, a deadline passes, or somebody's working day begins: not before."""
        now = self.clock()
        at = await db.run(Actor.system(tenant_id), lambda tx: routing.next_moment(tx, now))
        if alarm := self._alarms.pop(tenant_id, None):
            alarm.cancel()
        if at is not None and at - now < timedelta(days=1):
            loop = asyncio.get_running_loop()
            self._alarms[tenant_id] = loop.call_later((at - now).total_seconds(), self._ring, tenant_id)

    def _ring(self, tenant_id: UUID) -> None:
        self._room.add(tenant_id)
        self.want(tenant_id)
