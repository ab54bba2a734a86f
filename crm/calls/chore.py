"""What comes by itself after calls: the end of wrap-ups, on the second, and of supervisions whose call is over."""

from datetime import datetime
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.calls import dispositions, supervision
from crm.chores import Chore, Clock, Punctual
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


class Supervisions(Chore):
    """Ends supervisions whose call is over, or whose telephone was never answered."""

    name = "supervisions"
    every = 5.0

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._begun: set[UUID] = set()

    def hear(self, event: Event) -> None:
        """Take note of firms where somebody listens, and there of calls that end."""
        if event.event_type == "call_supervision.began":
            self._begun.add(event.tenant_id)
        elif event.event_type == "call.ended" and event.tenant_id in self._begun:
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """End what is over."""
        system = Actor.system(tenant_id)
        while await db.run(system, lambda tx: supervision.settle(tx, now=self.clock())) == supervision.BATCH:
            pass
