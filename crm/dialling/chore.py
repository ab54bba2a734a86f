"""What follows from calls and from people's words, for dialling campaigns: results, withdrawals, drained campaigns."""

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.db import Tx
from crm.dialling import campaigns, hopper, learning, results, withdrawals
from crm.dialling.loading import CLOSED
from crm.dialling.rules import BY_AGENTS, Status
from crm.dialling.timing import Learned
from crm.events.log import Event

LEARN_EVERY = timedelta(minutes=15)
OF_CALLS = frozenset({"call.connected", "call.ended", "call.denied"})
OF_PEOPLE = frozenset({"contact.consent_denied", "contact.consent_withdrawn", "contact.erased", "contact.archived"})
"""Events after which a person may not be called any more."""
OF_CAMPAIGNS = frozenset(
    {"dial_campaign.started", "dial_campaign.loaded", "dial_campaign.draining", "dial_entry.offered"}
)


class Dialling(Chore):
    """Settles attempts whose calls have ended, takes people who withdrew out of hoppers, ends drained campaigns.

    It also keeps leads ready for agents who dial by themselves; campaigns that dial are filled by their dialer.
    """

    name = "dialling"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._people: dict[UUID, set[UUID]] = defaultdict(set)
        self._leads: dict[UUID, set[UUID]] = defaultdict(set)
        self._listed: dict[UUID, set[UUID]] = defaultdict(set)
        self._disposed: dict[UUID, set[UUID]] = defaultdict(set)
        self._look: set[UUID] = set()
        self._learned: dict[UUID, tuple[datetime, Learned]] = {}

    def hear(self, event: Event) -> None:
        """Take note of calls of campaigns, of people who withdrew, and of leads that were closed."""
        kind, about = event.event_type, event.aggregate_id
        if kind in OF_PEOPLE:
            self._people[event.tenant_id].add(about)
        elif kind == "dnc.added":
            self._listed[event.tenant_id].add(about)
        elif kind == "lead.status_changed" and event.payload.get("to") in CLOSED:
            self._leads[event.tenant_id].add(about)
        elif kind == "call.dispositioned" and event.payload.get("campaign_id"):
            self._disposed[event.tenant_id].add(about)
        elif not (kind in OF_CALLS and event.payload.get("campaign_id")) and kind not in OF_CAMPAIGNS:
            return
        self.want(event.tenant_id)

    def look_everywhere(self, tenant_id: UUID) -> None:
        """Look for what no event told of, too."""
        self._look.add(tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Take out who withdrew, settle what has ended, take over dispositions, end what is drained."""
        system = Actor.system(tenant_id)
        people, leads = self._people.pop(tenant_id, set()), self._leads.pop(tenant_id, set())
        if listed := self._listed.pop(tenant_id, None):
            people |= await db.run(system, lambda tx: withdrawals.holders_of(tx, listed))
        if people or leads:
            await db.run(system, lambda tx: withdrawals.exclude(tx, people, leads, now=self.clock()))
        learned = await self._learn(system)
        while await db.run(system, lambda tx: results.settle(tx, learned, now=self.clock())) == results.BATCH:
            pass
        calls = None if tenant_id in self._look else self._disposed.pop(tenant_id, set())
        if calls is None or calls:
            await db.run(system, lambda tx: results.confirm(tx, calls, now=self.clock()))
        self._look.discard(tenant_id)
        for campaign_id, status in await db.run(system, _campaigns):
            if status == Status.draining:
                await db.run(system, partial(self._end_draining, campaign_id))
            else:
                await db.run(system, partial(self._fill, campaign_id, learned))

    async def _learn(self, system: Actor) -> Learned:
        """Return when the firm's people answer, learned anew now and then."""
        known = self._learned.get(system.tenant_id)
        if known is None or known[0] < self.clock() - LEARN_EVERY:
            learned = await db.run(system, lambda tx: learning.of_firm(tx, now=self.clock()))
            known = self._learned[system.tenant_id] = (self.clock(), learned)
        return known[1]

    async def _end_draining(self, campaign_id: UUID, tx: Tx) -> None:
        await campaigns.end_draining(tx, campaign_id, now=self.clock())

    async def _fill(self, campaign_id: UUID, learned: Learned, tx: Tx) -> None:
        await hopper.fill(tx, campaign_id, learned, now=self.clock())


async def _campaigns(tx: Tx) -> list[tuple[UUID, Status]]:
    """Return the campaigns that are draining, and those that run and whose agents dial by themselves."""
    rows = await tx.fetch(
        "select id, status from crm.dial_campaign where tenant_id = $1::uuid and deleted_at is null"
        " and (status = 'draining' or status = 'running' and mode in (select unnest($2::text[])))",
        tx.actor.tenant_id, sorted(BY_AGENTS),
    )  # fmt: skip
    return [(row["id"], Status(row["status"])) for row in rows]
