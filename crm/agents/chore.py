"""The watch over agents as it runs: it sleeps until something may be due."""

from datetime import datetime
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.agents import watching
from crm.chores import Punctual
from crm.events.log import Event


class Watch(Punctual):
    """Has wrap-ups run out and ends the sessions of agents who have gone, on the second."""

    name = "agents"
    every = 5.0

    def hear(self, event: Event) -> None:
        """Take note of a state that ends by itself, and of accounts that are closed."""
        if event.event_type == "agent.state_changed" and (until := event.payload.get("until")):
            self.wake_at(event.tenant_id, datetime.fromisoformat(until))
        elif event.event_type == "user.deactivated":
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Do all that is due, and wake up when the next may be."""
        system = Actor.system(tenant_id)
        while await db.run(system, lambda tx: watching.sweep(tx, now=self.clock())) == watching.BATCH:
            pass
        at = await db.run(system, lambda tx: watching.next_moment(tx, self.clock()))
        self.forget_alarm(tenant_id)
        if at is not None:
            self.wake_at(tenant_id, at)
