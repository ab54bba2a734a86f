"""A month of the demo through the real operations, each told its own instant; nothing here writes a table.

Time goes in slices of two hours: the slice's leads are stored and distributed, each at its own instant; then every desk
works through the slice, one transaction an agent. What agents do in one slice runs beside the storing of the next.
The ids of people are made in one fixed order, so that distribution gives the same lead to the same agent every time.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from cli.demo import hours, people, reports, staff, world
from cli.demo.desk import Act, Agent, Cancel, Case, Desk, LookAfter, Move, Offer, Refusal, Reopen, Sale, Talk
from cli.demo.market import Arrival, Market
from cli.demo.people import Clinic
from crm import campaigns, db, events, tenancy
from crm.actor import Actor
from crm.campaigns import CampaignStatus
from crm.db import Tx
from crm.experiments import operations as experiments
from crm.followups import operations as followups
from crm.followups import queries as looks
from crm.followups.operations import CheckInStatus
from crm.leads import intake, operations, quotes
from crm.leads.intake import Consent, NewLead
from crm.leads.operations import Assignment
from crm.leads.quotes import Answer
from crm.routing import operations as routing
from ingestion import landing

SLICE = timedelta(hours=2)
AT_ONCE = 4
"""Desks at work at the same time, each on a connection of its own."""

Progress = Callable[[int], None]


@dataclass
class Loaded:
    """What a month came to."""

    leads: int = 0
    acts: int = 0
    sales: int = 0
    days_of_spend: int = 0


HELD = ("insert into crm.event_log", "insert into crm.audit_log", "insert into crm.activity")


class _Batch(Tx):
    """A transaction of many operations whose traces (appended only, read by none of them) are sent together."""

    __slots__ = ("_held",)

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx.connection, tx.driver, tx.actor)
        self._held: dict[str, list[tuple[Any, ...]]] = {}

    async def execute(self, sql: str, *args: Any) -> str:
        if not sql.lstrip().startswith(HELD):
            return await super().execute(sql, *args)
        self._held.setdefault(sql, []).append(args)
        return "INSERT 0 1"

    async def executemany(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        if not sql.lstrip().startswith(HELD):
            await super().executemany(sql, rows)
        else:
            self._held.setdefault(sql, []).extend(rows)

    async def send(self) -> None:
        """Send what was held back."""
        for sql, rows in self._held.items():
            await super().executemany(sql, rows)


@asynccontextmanager
async def _transaction(actor: Actor) -> AsyncIterator[Tx]:
    """Open a transaction for many operations. It does not wait for the disk: a demo that is lost is made again."""
    async with db.transaction(actor) as tx:
        await tx.execute("set local synchronous_commit to off")
        batch = _Batch(tx)
        yield batch
        await batch.send()


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
    ids: dict[int, UUID] = field(default_factory=dict)
    quotes: dict[int, UUID] = field(default_factory=dict)

    async def live(self) -> Loaded:
        """Live through the month and return what it came to."""
        since, until = self.market.since, self.market.until
        self.clinic = await people.open_clinic(self.agents, now=since)
        self.desks = {self.clinic.agents[agent.email].user_id: Desk(agent, since, until) for agent in self.agents}
        arrivals = sorted(self.market.arrivals, key=lambda arrival: arrival.received_at)
        chores = self._chores()
        working: list[asyncio.Task[None]] = []
        at, place = since, 0
        while at < until:
            end = min(at + SLICE, until)
            while chores and chores[0][0] < end:
                # Leads change hands while nobody works on them.
                await asyncio.gather(*working)
                when, _, chore = heapq.heappop(chores)
                await chore(when)
            first = place
            while place < len(arrivals) and arrivals[place].received_at < end:
                place += 1
            if first < place:
                await self._receive(arrivals[first:place])
            await asyncio.gather(*working)
            gate = asyncio.Semaphore(AT_ONCE)
            working = [
                asyncio.create_task(self._work(gate, user_id, acts))
                for user_id, desk in self.desks.items()
                if (acts := desk.work(end))
            ]
            at = end
            self.progress(place)
        await asyncio.gather(*working)
        await self._finish(until)
        return self.done

    async def _receive(self, arrivals: Sequence[Arrival]) -> None:
        """Store a slice's leads, give each out right after it came, and put it on its agent's desk."""
        for team in self.clinic.teams.values():  # distribution takes a firm's leads one run after another anyway
            await self._receive_for([a for a in arrivals if self._team(a) == team])
        self.done.leads += len(arrivals)

    async def _receive_for(self, arrivals: Sequence[Arrival]) -> None:
        if not arrivals:
            return
        async with _transaction(self.clinic.system) as tx:
            for arrival in arrivals:
                stored = await intake.create(tx, self._lead(arrival), now=arrival.received_at)
                self.ids[arrival.number] = stored.lead_id
                if not arrival.is_test:
                    await routing.route(tx, [stored.lead_id], now=_distributed_at(arrival))
            fresh = [self.ids[each.number] for each in arrivals]
            await experiments.expose_many(tx, staff.OPENING, fresh, now=arrivals[-1].received_at)
            rows = await tx.fetch(
                "select id, owner_id from crm.lead where tenant_id = $1::uuid and id = any($2::uuid[])",
                tx.actor.tenant_id, [self.ids[each.number] for each in arrivals],
            )  # fmt: skip
        owners = dict(rows)
        for arrival in arrivals:
            if owner := owners[self.ids[arrival.number]]:
                case = Case(arrival, Random(f"lead {self.seed} {arrival.number}"))
                self.desks[owner].take(case, _distributed_at(arrival))

    async def _work(self, gate: asyncio.Semaphore, user_id: UUID, acts: Iterable[Act]) -> None:
        async with gate, _transaction(self.clinic.actors[user_id]) as tx:
            for act in acts:
                await self._do(tx, act)
                self.done.acts += 1

    async def _do(self, tx: Tx, act: Act) -> None:
        lead = self.ids[act.lead]
        match act:
            case Talk():
                await operations.record_activity(
                    tx, lead, act.channel, act.direction, act.outcome,
                    note=act.note, occurred_at=act.happened, now=act.at,
                )  # fmt: skip
            case Move():
                await operations.change_status(tx, lead, act.to, reason=act.reason, now=act.at)
            case Offer():
                self.quotes[act.lead] = await quotes.make(
                    tx, lead, act.money, procedure_type=act.treatment,
                    valid_until=act.at + timedelta(days=act.valid_days), now=act.at,
                )  # fmt: skip
            case Refusal():
                if quote := self.quotes.pop(act.lead, None):
                    await quotes.answer(tx, lead, quote, Answer.declined, reason=act.reason, now=act.at)
            case Sale():
                quote = self.quotes.pop(act.lead, None)
                await followups.sell(
                    tx, lead, act.money, quote_id=quote, takes_place_on=act.takes_place_on, now=act.at
                )  # fmt: skip
                self.done.sales += 1
            case Cancel():
                await followups.cancel_sale(tx, lead, reason=act.reason, now=act.at)
            case Reopen():
                await operations.reopen(tx, lead, reason=act.reason, now=act.at)
            case LookAfter():
                await self._look_after(tx, lead, act)

    async def _look_after(self, tx: Tx, lead: UUID, act: LookAfter) -> None:
        how = CheckInStatus.skipped if act.skipped else CheckInStatus.done
        for check_in in await looks.check_ins(tx, lead):
            if check_in["day"] == act.day and check_in["status"] == CheckInStatus.pending:
                await followups.close(tx, check_in["id"], how, reason=act.skipped, now=act.at)

    def _team(self, arrival: Arrival) -> UUID:
        return self.clinic.team_of(arrival.person.country)

    def _lead(self, arrival: Arrival) -> NewLead:
        return lead(arrival, team_id=self._team(arrival), external_id=outside_id(self.seed, arrival.number))

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
        async with _transaction(self.clinic.manager("International")) as tx:
            self.clinic.campaigns[campaign.id] = await campaigns.create(
                tx, platform=campaign.platform, external_id=campaign.id, name=campaign.name, now=now
            )

    async def _end_campaign(self, campaign: world.Campaign, now: datetime) -> None:
        async with _transaction(self.clinic.manager("International")) as tx:
            ended = self.clinic.campaigns[campaign.id]
            await campaigns.update(tx, ended, status=CampaignStatus.ended, now=now)

    async def _land(self, day: date, rows: Sequence, now: datetime) -> None:
        async with _transaction(self.clinic.system) as tx:
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
            (case, others[place % len(others)]) for place, case in enumerate(self.desks[away.user_id].hand_over(now))
        ]
        async with _transaction(self.clinic.manager(agent.team)) as tx:
            await routing.set_member(
                tx, away.team_id, away.user_id, weight=agent.weight, capacity=agent.capacity, accepting=False, now=now
            )
            if moved:
                given = [Assignment(self.ids[case.number], user, "absence") for case, user in moved]
                await operations.assign_many(tx, given, now=now)
        for case, user in moved:
            self.desks[user].take(case, now)

    async def _recover(self, agent: Agent, now: datetime) -> None:
        back = self.clinic.agents[agent.email]
        async with _transaction(self.clinic.manager(agent.team)) as tx:
            await routing.set_member(
                tx, back.team_id, back.user_id, weight=agent.weight, capacity=agent.capacity, accepting=True, now=now
            )

    async def _finish(self, now: datetime) -> None:
        """Leave word that the month is whole."""
        async with _transaction(self.clinic.system) as tx:
            await events.record(tx, "tenant", tx.actor.tenant_id, "demo.loaded", {"seed": self.seed}, at=now)


def _later(work: Callable, *args: object) -> Callable:
    return lambda now: work(*args, now)


def _morning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 8, 50, tzinfo=hours.ZONE)


def _distributed_at(arrival: Arrival) -> datetime:
    """A moment after it was stored, as the event reader does it."""
    return arrival.received_at + timedelta(milliseconds=180 + 40 * (arrival.number % 11))


def outside_id(seed: int, number: int) -> str:
    """Return the platform's own id of a lead: sixteen digits, the same every time."""
    return str(Random(f"outside {seed} {number}").randrange(10**15, 10**16))


def lead(arrival: Arrival, *, team_id: UUID | None, external_id: str) -> NewLead:
    """Return an arrival as a door would hand it in."""
    campaign, person = arrival.campaign, arrival.person
    is_paid = bool(campaign.adsets)
    said = [Consent(channel, status, {"form": campaign.form}) for channel, status in arrival.consents]
    return NewLead(
        source=campaign.platform if is_paid else campaign.form,
        name=person.name,
        phone=person.phone,
        email=person.email,
        country=person.country,
        language=person.language,
        external_id=external_id,
        team_id=team_id,
        platform=campaign.platform,
        campaign=campaign.id if is_paid else None,
        adset=arrival.adset.id if arrival.adset else None,
        ad=arrival.ad.id if arrival.ad else None,
        form=campaign.form,
        keyword=arrival.keyword,
        geography=person.country,
        attributes={**arrival.answers, "city": person.city, "treatment_group": campaign.treatment},
        tags=[campaign.treatment],
        consents=said,
        acquired_at=arrival.acquired_at,
        is_test=arrival.is_test,
    )


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
