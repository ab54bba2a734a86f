"""Supervisors' actions end at their time, whether or not anybody steers the firm's queues just then."""

import asyncio
from datetime import datetime
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.events.log import Event
from crm.queues import actions


class Endings(Chore):
    """Writes down which actions are over, and brings back who was moved; wakes up at the next end."""

    name = "queue_actions"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._alarms: dict[UUID, asyncio.TimerHandle] = {}

    def hear(self, event: Event) -> None:
        """Take note of an action that began, whose end is to come."""
        if event.event_type == "queue.action_began":
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """End what is over, and set the alarm for what comes next."""
        now = self.clock()

        async def end(tx: db.Tx) -> datetime | None:
            await actions.end_due(tx, now=now)
            return await actions.next_end(tx)

        at = await db.run(Actor.system(tenant_id), end)
        if alarm := self._alarms.pop(tenant_id, None):
            alarm.cancel()
        if at is not None:
            wait = max(0.0, (at - now).total_seconds())
            self._alarms[tenant_id] = asyncio.get_running_loop().call_later(wait, self.want, tenant_id)
