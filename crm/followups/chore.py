"""What a change of status by any other door leaves to follow-ups: check-ins of a sale that is no more are cancelled."""

from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore
from crm.events.log import Event
from crm.followups import operations


class FollowUps(Chore):
    """Cancels the check-ins of sales that were undone."""

    name = "followups"
    every = 60.0

    def hear(self, event: Event) -> None:
        """Take note that a lead is won no more."""
        if event.event_type == "lead.status_changed" and event.payload.get("from") == "won":
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Cancel what is left over."""
        await db.run(Actor.system(tenant_id), lambda tx: operations.cancel_undone(tx, now=self.clock()))
