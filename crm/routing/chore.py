"""Distribution as it happens: new leads at once, waiting ones as soon as somebody has room again."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.events.log import Event
from crm.leads.rules import TERMINAL
from crm.routing import operations as routing

REST = 0.5
"""Seconds between two searches for room in one tenant; new leads do not wait for them."""
ROOM = frozenset(
    {"agent.availability_changed", "routing.member_changed", "user.activated", "team.created", "team.updated"}
)
"""Events after which somebody may have room who had none."""


def makes_room(event: Event) -> bool:
    """Tell whether somebody may have room after an event: a lead left their hands, or they take leads again."""
    if event.event_type == "lead.status_changed":
        return event.payload.get("to") in TERMINAL
    if event.event_type == "lead.assigned":
        return event.payload.get("previous_user_id") is not None or event.payload.get("user_id") is None
    return event.event_type in ROOM


class Router(Chore):
    """Gives out the leads of each tenant, at most `routing.BATCH` in a transaction."""

    name = "router"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._arrived: dict[UUID, list[UUID]] = {}
        self._room: set[UUID] = set()
        self._searched: dict[UUID, float] = {}

    def hear(self, event: Event) -> None:
        """Take note of leads that arrived and of room that came."""
        if event.event_type == "lead.created":
            self._arrived.setdefault(event.tenant_id, []).append(event.aggregate_id)
            self.want(event.tenant_id)
        elif makes_room(event):
            self._room.add(event.tenant_id)
            self.want(event.tenant_id)

    def look_everywhere(self, tenant_id: UUID) -> None:
        """Search for waiting leads and room, whatever was heard."""
        self._room.add(tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Give out what arrived, then what waits."""
        arrived = self._arrived.pop(tenant_id, [])
        for start in range(0, len(arrived), routing.BATCH):
            batch = arrived[start : start + routing.BATCH]
            done = await self._route(tenant_id, batch)
            if done.is_full:
                self._room.add(tenant_id)
        if tenant_id in self._room:
            await self._search(tenant_id)

    async def _route(self, tenant_id: UUID, arrived: Sequence[UUID]) -> routing.Routed:
        return await db.run(Actor.system(tenant_id), lambda tx: routing.route(tx, arrived, now=self.clock()))

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
