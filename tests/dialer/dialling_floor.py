"""A dialling floor at work: a loopback exchange on its own clock, a bridge, campaigns, agents who answer and write up.

Everything goes by the exchange's clock, which runs `speed` times as fast as the machine's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import db, ids, tenant_settings
from crm.actor import Actor
from crm.agents import operations as agents
from crm.agents.chore import Watch
from crm.agents.states import NotSignedOn
from crm.dialling import campaigns as designs
from crm.dialling import loading
from crm.dialling.chore import Dialling
from crm.settings import settings
from dialer.ami.connection import Connection
from dialer.bridge import Bridge
from dialer.campaigns import Campaigns
from dialer.exchange.people import Answer, Party
from dialer.exchange.server import Exchange
from dialer.runner import POLICIES, Clock, Policies
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.dialling.floor import do, make_campaign, make_leads, make_queue
from tests.crm.dialling.floor import rows as ask
from tests.dialer.floor import LIMITS, SECRET, address_of, may_call_always

SPEED = 2.0
WRAP_S = 1
TALKS = Party(rings_s=0.5, stays_s=2, patience_s=60)
"""Answers soon, does not talk for long."""
SILENT = Party(Answer.silent, rings_s=2)
MACHINE = Party(Answer.machine, rings_s=1, stays_s=20)
PICKS_UP = Party(rings_s=0.2, stays_s=10_000)
"""How agents answer: at once."""


@dataclass
class DiallingFloor:
    """All of it. `people`: who behaves otherwise than `others`, by the digits of their number."""

    tenant: Tenant
    exchange: Exchange
    bridge: Bridge
    campaigns: Campaigns
    clock: Clock
    agents: list[Actor]
    people: dict[str, Party] = field(default_factory=dict)
    others: Party = TALKS
    running: "asyncio.Task[None]" = field(init=False)

    def who(self, dial_string: str) -> Party:
        """Return who is behind a dial string."""
        if "@" not in dial_string:
            return PICKS_UP
        return self.people.get(dial_string.partition("/")[2].partition("@")[0], self.others)

    @property
    def now(self) -> datetime:
        """The instant by the exchange's clock."""
        return self.clock.now()

    async def rows(self, sql: str, *args: Any) -> list[Any]:
        """Ask the database as the system."""
        return await ask(self.tenant, sql, *args)

    async def until(self, question: Callable[[], Any], *, seconds: float = 60) -> Any:
        """Wait until something is so, and return it."""
        async with asyncio.timeout(seconds):
            while not (found := await question()):
                await asyncio.sleep(0.05)
        return found

    async def attempts(self, where: str = "true") -> list[Any]:
        """Return attempts, the earliest first."""
        return await self.rows(f"select * from crm.dial_attempt where {where} order by dialed_at, id")

    async def ended(self, count: int) -> list[Any]:
        """Wait until so many attempts have their result, and return them."""

        async def enough() -> list[Any]:
            found = await self.attempts("resolved_at is not null")
            return found if len(found) >= count else []

        return await self.until(enough)

    async def campaign(self, leads: int = 10, *, code: str = "spring", **of: Any) -> UUID:
        """Start a campaign with so many leads."""
        campaign = await make_campaign(self.tenant, code=code, now=self.now, **of)
        await self.load(campaign, leads)
        await do(self.tenant.admin, lambda tx: designs.start(tx, campaign, override="trial", now=self.now))
        return campaign

    async def load(self, campaign: UUID, leads: int) -> None:
        """Put so many new leads into a campaign."""
        if leads:
            loaded = await make_leads(self.tenant, leads, now=self.now)
            await do(self.tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=loaded, now=self.now))

    async def as_owner(self, sql: str) -> None:
        """Run a statement past row-level security."""
        owner = await asyncpg.connect(settings().owner_url().set(drivername="postgresql").render_as_string(False))
        await owner.execute(sql)
        await owner.close()

    def kill_campaigns(self) -> None:
        """Stop running campaigns wherever they are, without a word, as by SIGKILL."""
        self.running.cancel()
        for runner in self.campaigns.runners.values():
            runner.holder = ids.new()  # so that it gives no lease back
        for task in self.campaigns.tasks.values():
            task.cancel()


async def _serve_agents(floor: DiallingFloor, stop: asyncio.Event) -> None:
    """Be the worker and the agents' screens: chores take their turns, agents are heard of."""
    chores = [Dialling(floor.clock.now), Watch(floor.clock.now)]
    while not stop.is_set():
        with suppress(*db.GONE, NotSignedOn):  # who is still to sign on
            for chore in chores:
                await chore.work(floor.tenant.id)
            for agent in floor.agents:
                await db.run(agent, lambda tx: agents.beat(tx, now=floor.now))
        await asyncio.sleep(0.1)


@asynccontextmanager
async def dialling(
    tenant: Tenant, *, agents: int = 2, speed: float = SPEED, others: Party = TALKS, policies: Policies = POLICIES
) -> AsyncIterator[DiallingFloor]:
    """Open the floor: agents are signed on and in the queue `sales`."""
    found: list[DiallingFloor] = []
    async with Exchange(
        username="bridge", secret=SECRET, people=lambda who: found[0].who(who), speed=speed
    ) as exchange:
        clock = Clock(lambda: datetime.fromtimestamp(exchange.board.now(), UTC), speed)
        now = clock.now()
        await may_call_always(tenant, now - timedelta(days=1))
        await make_queue(tenant, now=now)
        await do(tenant.admin, lambda tx: tenant_settings.change(tx, "call.wrap_s", WRAP_S, now=now))
        bridge = Bridge(Connection(address_of(exchange), limits=LIMITS), tenant.id, now=clock.now)
        campaigns = Campaigns(tenant.id, clock=clock, policies=policies)
        bridge.listeners.append(campaigns.hear)
        people = [tenant.sales_agent, *await hire(tenant, agents - 1, now)]
        floor = DiallingFloor(tenant, exchange, bridge, campaigns, clock, people, others=others)
        found.append(floor)
        stop = asyncio.Event()
        works = [asyncio.create_task(work) for work in (bridge.run(stop), _serve_agents(floor, stop))]
        for n, agent in enumerate(people, 1):
            await signed_on(tenant, clock.now(), actor=agent, endpoint=f"PJSIP/agent-{n}")
        members = "select from crm.queue_member where queue = 'sales' and is_member and not is_paused"
        await floor.until(lambda: _at_least(floor, members, agents))
        floor.running = asyncio.create_task(campaigns.run(stop))
        try:
            yield floor
        finally:
            stop.set()
            await asyncio.gather(*works)
            await asyncio.gather(floor.running, return_exceptions=True)


async def _at_least(floor: DiallingFloor, sql: str, count: int) -> bool:
    return len(await floor.rows(sql)) >= count
