"""What a change of status by another door than the sale's leaves to do: check-ins come and go with the sale."""

from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore
from crm.events.log import Event
from crm.followups import sweep


class FollowUps(Chore):
    """Schedules the check-ins of what was sold, and cancels those of sales that were undone."""

    name = "followups"
    every = 60.0

    def hear(self, event: Event) -> None:
        """Take note that a lead is won, or is won no more."""
        if event.event_type == "lead.status_changed" and "won" in (event.payload.get("from"), event.payload.get("to")):
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Schedule what is missing and cancel what is left over."""
        actor = Actor.system(tenant_id)
        await db.run(actor, lambda tx: sweep.schedule_missing(tx, now=self.clock()))
        await db.run(actor, lambda tx: sweep.cancel_undone(tx, now=self.clock()))
