"""The watch over agents as it runs: it sleeps until something may be due."""

import asyncio
from datetime import datetime
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.agents import watching
from crm.chores import Chore, Clock
from crm.events.log import Event


class Watch(Chore):
    """Has wrap-ups run out and ends the sessions of agents who have gone, on the second."""

    name = "agents"
    every = 5.0

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._alarms: dict[UUID, tuple[datetime, asyncio.TimerHandle]] = {}

    def hear(self, event: Event) -> None:
        """Take note of a state that ends by itself, and of accounts that are closed."""
        if event.event_type == "agent.state_changed" and (until := event.payload.get("until")):
            self._set_alarm(event.tenant_id, datetime.fromisoformat(until))
        elif event.event_type == "user.deactivated":
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Do all that is due, and wake up when the next may be."""
        system = Actor.system(tenant_id)
        while await db.run(system, lambda tx: watching.sweep(tx, now=self.clock())) == watching.BATCH:
            pass
        at = await db.run(system, lambda tx: watching.next_moment(tx, self.clock()))
        if alarm := self._alarms.pop(tenant_id, None):
            alarm[1].cancel()
        if at is not None:
            self._set_alarm(tenant_id, at)

    def _set_alarm(self, tenant_id: UUID, at: datetime) -> None:
        """Wake up at an instant, unless an earlier one is set already."""
        known = self._alarms.get(tenant_id)
        if known is not None and known[0] <= at:
            return
        if known is not None:
            known[1].cancel()
        left = max(0.05, (at - self.clock()).total_seconds())
        self._alarms[tenant_id] = at, asyncio.get_running_loop().call_later(left, self._ring, tenant_id)

    def _ring(self, tenant_id: UUID) -> None:
        self._alarms.pop(tenant_id, None)
        self.want(tenant_id)
