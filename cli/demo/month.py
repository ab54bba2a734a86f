"""A month of the demo through the real operations, each told its own instant; nothing here writes a table.

Time goes in slices of two hours: the slice's leads are stored and distributed, each at its own instant; then every desk
works through the slice, one transaction an agent. What agents do in one slice runs beside the storing of the next.
The ids of people and leads come from the seed (`ids.repeated`): from them distribution draws whose turn it is, and an
experiment who is on which side, so that the same month comes out every time.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID

from cli.demo import enquiries, hours, people, reports, staff, world
from cli.demo.acts import Act
from cli.demo.agenda import Agent, Case
from cli.demo.batch import transaction
from cli.demo.desk import Desk
from cli.demo.doing import Doing
from cli.demo.market import Arrival, Market
from cli.demo.people import Clinic
from crm import campaigns, db, events, ids, tenancy
from crm.actor import Actor
from crm.campaigns import CampaignStatus
from crm.db import Tx
from crm.experiments import operations as experiments
from crm.leads import intake, operations
from crm.leads.operations import Assignment
from crm.routing import operations as routing
from ingestion import landing

SLICE = timedelta(hours=2)
AT_ONCE = 4
"""Desks at work at the same time, each on a connection of its own."""

OWNERS = (
    "select l.id, l.owner_id from unnest($2::uuid[]) as i(id) join crm.lead l on l.tenant_id = $1::uuid and l.id = i.id"
)

Progress = Callable[[int], None]


@dataclass
class Loaded:
    """What a month came to."""

    leads: int = 0
    acts: int = 0
    sales: int = 0
    days_of_spend: int = 0


@dataclass
class Month:
    """One month being lived through."""

    market: Market
    agents: Sequence[Agent]
    seed: int
    progress: Progress = lambda done: None
    done: Loaded = field(default_factory=Loaded)
    clinic: Clinic = field(init=False)
    desks: dict[UUID, Desk] = field(init=False)
    arrivals: dict[UUID, Arrival] = field(default_factory=dict)
    doing: Doing = field(default_factory=Doing)
    fresh: Iterator[bytes] = field(init=False)
    queue: deque[Arrival] = field(init=False)

    async def live(self) -> Loaded:
        """Live through the month and return what it came to."""
        since, until = self.market.since, self.market.until
        self.fresh = ids.sequence(f"demo {self.seed}", since)
        with ids.repeated(self.fresh):
            self.clinic = await people.open_clinic(self.agents, now=since)
        self.desks = {self.clinic.agents[agent.email].user_id: Desk(agent, since, until) for agent in self.agents}
        self.queue = deque(sorted(self.market.arrivals, key=lambda arrival: arrival.received_at))
        chores = self._chores()
        working: list[asyncio.Task[None]] = []
        at = since
        while at < until:
            end = min(at + SLICE, until)
            while chores and chores[0][0] < end:
                # Leads change hands while nobody works on them.
                await asyncio.gather(*working)
                when, _, chore = heapq.heappop(chores)
                await chore(when)
            with ids.repeated(self.fresh):
                await self._receive(end)
            await asyncio.gather(*working)
            working = self._work_all(end)
            at = end
            self.progress(self.done.leads)
        await asyncio.gather(*working)
        await self._finish(until)
        self.done.acts, self.done.sales = self.doing.acts, self.doing.sales
        return self.done

    async def _receive(self, end: datetime) -> None:
        """Store a slice's leads, give each out right after it came, and look once more at its end for who waits."""
        given: list[tuple[UUID, datetime]] = []
        fresh: list[UUID] = []
        async with transaction(self.clinic.system) as tx:
            while self.queue and self.queue[0].received_at < end:
                arrival = self.queue.popleft()
                lead_id = await self._store(tx, arrival)
                fresh.append(lead_id)
                if not arrival.is_test:
                    at = _distributed_at(arrival)
                    given += [(lead, at) for lead in (await routing.route(tx, [lead_id], now=at)).assigned]
            given += [(lead, end) for lead in (await routing.sweep(tx, now=end)).assigned]
            if fresh:
                await experiments.expose_many(tx, staff.OPENING, fresh, now=end)
            owners = dict(await tx.fetch(OWNERS, tx.actor.tenant_id, [lead for lead, _ in given]))
        for lead_id, at in given:
            arrival = self.arrivals[lead_id]
            self.desks[owners[lead_id]].take(Case(arrival, Random(f"lead {self.seed} {arrival.number}")), at)
        self.done.leads += len(fresh)

    async def _store(self, tx: Tx, arrival: Arrival) -> UUID:
        wanted = enquiries.lead(
            arrival,
            team_id=self.clinic.team_of(arrival.person.country),
            external_id=enquiries.outside_id(self.seed, arrival.number),
        )
        stored = await intake.create(tx, wanted, now=arrival.received_at)
        self.doing.ids[arrival.number] = stored.lead_id
        self.arrivals[stored.lead_id] = arrival
        return stored.lead_id

    def _work_all(self, end: datetime) -> list[asyncio.Task[None]]:
        """Set every desk to work up to an instant."""
        gate = asyncio.Semaphore(AT_ONCE)
        return [
            asyncio.create_task(self._work(gate, user_id, acts))
            for user_id, desk in self.desks.items()
            if (acts := desk.work(end))
        ]

    async def _work(self, gate: asyncio.Semaphore, user_id: UUID, acts: Iterable[Act]) -> None:
        async with gate, transaction(self.clinic.actors[user_id]) as tx:
            await self.doing.do_all(tx, acts)

    def _chores(self) -> list[tuple[datetime, int, Callable[[datetime], object]]]:
        """Return what happens beside the leads, by time: campaigns, reports on them, and days of illness."""
        since, until = self.market.since, self.market.until
        span = until - since
        chores: list[tuple[datetime, Callable]] = []
        for campaign in world.campaigns():
            if campaign.adsets:
                chores.append((since + span * campaign.begins, _later(self._begin_campaign, campaign)))
                if campaign.ends < 1:
                    chores.append((since + span * campaign.ends, _later(self._end_campaign, campaign)))
        for day, rows in reports.by_day(self.market.ad_days()).items():
            # Platforms have a day's figures the next morning; the running day as it stands now.
            morning = datetime(day.year, day.month, day.day, 6, tzinfo=hours.ZONE) + timedelta(days=1)
            chores.append((min(morning, until - timedelta(seconds=1)), _later(self._land, day, rows)))
        for agent in self.agents:
            if agent.off:
                first, last = min(agent.off), max(agent.off)
                chores.append((_morning(first), _later(self._fall_ill, agent)))
                chores.append((_morning(last + timedelta(days=1)), _later(self._recover, agent)))
        queue = [(max(at, since), place, chore) for place, (at, chore) in enumerate(chores) if at < until]
        heapq.heapify(queue)
        return queue

    async def _begin_campaign(self, campaign: world.Campaign, now: datetime) -> None:
        async with transaction(self.clinic.manager("International")) as tx:
            self.clinic.campaigns[campaign.id] = await campaigns.create(
                tx, platform=campaign.platform, external_id=campaign.id, name=campaign.name, now=now
            )

    async def _end_campaign(self, campaign: world.Campaign, now: datetime) -> None:
        async with transaction(self.clinic.manager("International")) as tx:
            ended = self.clinic.campaigns[campaign.id]
            await campaigns.update(tx, ended, status=CampaignStatus.ended, now=now)

    async def _land(self, day: date, rows: Sequence, now: datetime) -> None:
        async with transaction(self.clinic.system) as tx:
            for report in reports.payloads(day, rows):
                await landing.land(
                    tx, report.source, report.endpoint, report.key, report.payload, window=(day, day), now=now
                )
        self.done.days_of_spend += 1

    async def _fall_ill(self, agent: Agent, now: datetime) -> None:
        """Take no more leads; the manager gives what is due to colleagues."""
        away = self.clinic.agents[agent.email]
        others = [
            user for user, desk in self.desks.items() if desk.agent.team == agent.team and desk.agent is not agent
        ]
        moved = [
            (case, others[place % len(others)])
            for place, case in enumerate(self.desks[away.user_id].agenda.hand_over(now))
        ]
        async with transaction(self.clinic.manager(agent.team)) as tx:
            await routing.set_member(
                tx, away.team_id, away.user_id, weight=agent.weight, capacity=agent.capacity, accepting=False, now=now
            )
            if moved:
                given = [Assignment(self.doing.ids[case.number], user, "absence") for case, user in moved]
                await operations.assign_many(tx, given, now=now)
        for case, user in moved:
            self.desks[user].take(case, now)

    async def _recover(self, agent: Agent, now: datetime) -> None:
        back = self.clinic.agents[agent.email]
        async with transaction(self.clinic.manager(agent.team)) as tx:
            await routing.set_member(
                tx, back.team_id, back.user_id, weight=agent.weight, capacity=agent.capacity, accepting=True, now=now
            )

    async def _finish(self, now: datetime) -> None:
        """Leave word that the month is whole."""
        async with transaction(self.clinic.system) as tx:
            await events.record(tx, "tenant", tx.actor.tenant_id, "demo.loaded", {"seed": self.seed}, at=now)


def _later(work: Callable, *args: object) -> Callable:
    return lambda now: work(*args, now)


def _morning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 8, 50, tzinfo=hours.ZONE)


def _distributed_at(arrival: Arrival) -> datetime:
    """A moment after it was stored, as the event reader does it."""
    return arrival.received_at + timedelta(milliseconds=180 + 40 * (arrival.number % 11))


async def load(
    leads: int, *, days: int = 30, seed: int = 1, until: datetime, progress: Progress | None = None
) -> Loaded | None:
    """Fill the demo tenant with a month that ends at `until`; return None, doing nothing, when the tenant is there."""
    if await tenancy.by_slug(staff.SLUG):
        return None
    since = until - timedelta(days=days)
    market = Market(leads=leads, since=since, until=until, seed=seed)
    agents = staff.floor(leads=leads, since=since, until=until, seed=seed)
    return await Month(market, agents, seed, progress or (lambda done: None)).live()


async def is_whole() -> bool:
    """Whether the demo's month was lived to its end; one that was killed on the way stays shorter."""
    tenant_id = await tenancy.by_slug(staff.SLUG)
    if tenant_id is None:
        return False
    async with db.transaction(Actor.system(tenant_id)) as tx:
        return bool(
            await tx.fetchval(
                "select exists (select from crm.event_log where tenant_id = $1::uuid and aggregate_type = 'tenant'"
                " and aggregate_id = $1::uuid and event_type = 'demo.loaded')",
                tenant_id,
            )
        )
