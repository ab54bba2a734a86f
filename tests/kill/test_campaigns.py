"""`kill -9` of the dialer that runs a campaign: the one beside it goes on in seconds, and nobody is dialled twice."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from crm import clock, db, tenant_settings
from crm.agents import operations as agents
from crm.agents.chore import Watch
from crm.dialling import campaigns, loading
from crm.dialling.chore import Dialling
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.dialling.floor import do, make_campaign, make_leads, make_queue, rows
from tests.dialer.floor import SECRET, may_call_always
from tests.kill.test_dialer import dialers, until_connected

pytestmark = pytest.mark.xdist_group("kill")

LEADS = 24
AGENTS = 4
TALKS = Party(rings_s=0.5, stays_s=1, patience_s=30)
PICKS_UP = Party(rings_s=0.1, stays_s=1000)


async def _be_the_worker(tenant: Tenant, people: list, stop: asyncio.Event) -> None:
    """Settle what has ended, end wrap-ups, and be heard of as every agent."""
    chores = [Dialling(clock.utc_now), Watch(clock.utc_now)]
    while not stop.is_set():
        for chore in chores:
            await chore.work(tenant.id)
        for agent in people:
            await db.run(agent, lambda tx: agents.beat(tx, now=clock.utc_now()))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.2)


async def _attempts(tenant: Tenant, *, beyond: int, seconds: float = 60) -> int:
    """Wait until more than so many leads were dialled; return how many were."""
    async with asyncio.timeout(seconds):
        while True:
            [found] = await rows(tenant, "select count(*)::int as n from crm.dial_attempt")
            if found["n"] > beyond:
                return found["n"]
            await asyncio.sleep(0.05)


async def test_the_dialer_beside_it_goes_on_and_dials_nobody_twice(tenant: Tenant) -> None:
    now = clock.utc_now()
    await may_call_always(tenant, now)
    await make_queue(tenant, now=now)
    await do(tenant.admin, lambda tx: tenant_settings.change(tx, "call.wrap_s", 0, now=now))
    people = [tenant.sales_agent, *await hire(tenant, AGENTS - 1, now)]
    async with Exchange(
        username="bridge", secret=SECRET, people=lambda who: TALKS if "@" in who else PICKS_UP
    ) as exchange:
        with dialers(exchange, "acme") as those:
            those.start()
            await until_connected(exchange)
            for n, agent in enumerate(people, 1):
                await signed_on(tenant, clock.utc_now(), actor=agent, endpoint=f"PJSIP/agent-{n}")
            stop = asyncio.Event()
            working = asyncio.create_task(_be_the_worker(tenant, people, stop))
            campaign = await make_campaign(tenant, now=clock.utc_now())
            loaded = await make_leads(tenant, LEADS, now=clock.utc_now())
            await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=loaded, now=clock.utc_now()))
            await do(tenant.admin, lambda tx: campaigns.start(tx, campaign, now=clock.utc_now()))

            seen = 0
            for _ in range(2):
                those.start()
                seen = await _attempts(tenant, beyond=seen + 3)
                those.kill_first()
                seen = await _attempts(tenant, beyond=seen)
            await _attempts(tenant, beyond=LEADS - 1)
            async with asyncio.timeout(60):
                while await rows(tenant, "select from crm.dial_entry where state = 'dialling'"):
                    await asyncio.sleep(0.1)
            stop.set()
            await working

            calls = await rows(tenant, "select id, lead_id, outcome from crm.call")
            [lease] = await rows(tenant, "select term from crm.dial_lease")
            rung = Counter(str(each["uniqueid"]) for each in exchange.board.book)
            asked = Counter(row["lead_id"] for row in calls)
            assert lease["term"] == 3
            # A call that was asked for as its dialer died may never have left; it is tried again as another attempt.
            unsent = [row for row in calls if row["outcome"] == "failed"]
            assert len(asked) == LEADS
            assert all(n == 1 for lead, n in asked.items() if lead not in {row["lead_id"] for row in unsent})
            assert all(rung[str(row["id"])] <= 1 for row in calls)
            assert all(rung[str(row["id"])] == 0 for row in unsent)
    await db.close()
