"""The end of wrap-ups as it runs: it sleeps until the next one is due."""

from datetime import datetime
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.calls import dispositions
from crm.chores import Punctual
from crm.events.log import Event

BEGINS = frozenset({"call.wrap_up", "call.wrap_extended"})


class WrapUps(Punctual):
    """Disposes of calls of which nobody said anything in time."""

    name = "wrap_ups"
    every = 5.0

    def hear(self, event: Event) -> None:
        """Take note of when a wrap-up ends by itself."""
        if event.event_type in BEGINS and (until := event.payload.get("wrap_until")):
            self.wake_at(event.tenant_id, datetime.fromisoformat(until))

    async def work(self, tenant_id: UUID) -> None:
        """Dispose of all that is due, and wake up when the next is."""
        system = Actor.system(tenant_id)
        while await db.run(system, lambda tx: dispositions.force_due(tx, now=self.clock())) == dispositions.BATCH:
            pass
        at = await db.run(system, dispositions.next_moment)
        self.forget_alarm(tenant_id)
        if at is not None:
            self.wake_at(tenant_id, at)
