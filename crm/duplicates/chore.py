"""Gathering what reached a contact in the very instant in which it was merged into another one."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore
from crm.duplicates import operations
from crm.duplicates.tables import MOVED
from crm.events.log import Event

RECENT = timedelta(hours=1)
"""How long after a merge something may still reach its loser: longer than any transaction that began before it."""

LEFT = f"""
select m.id from crm.contact_merge m
 where m.tenant_id = $1::uuid and m.undone_at is null and m.merged_at > $2::timestamptz
   and ({" or ".join(table.any_left for table in MOVED)})
 order by m.seq
"""


class Gatherer(Chore):
    """Moves to the winner what an enquiry, stored while two contacts were being merged, left with the loser."""

    name = "gatherer"

    def hear(self, event: Event) -> None:
        """Take note of merges."""
        if event.event_type == "contact.merged":
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Gather after each recent merge that left something."""
        system, now = Actor.system(tenant_id), self.clock()
        async with db.transaction(system) as tx:
            left = await tx.fetch(LEFT, tenant_id, now - RECENT)
        for row in left:
            await db.run(system, partial(operations.gather, merge_id=row["id"], now=now))
