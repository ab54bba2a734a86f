"""Chores: told of what happens, finding by themselves what they were not told of, each tenant for itself."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest

from crm import chores, db, events, ids
from crm.chores import Chore, follow
from crm.leads import intake
from crm.leads import operations as leads
from crm.leads.intake import NewLead
from crm.leads.rules import Status
from crm.routing import operations as routing
from crm.routing.chore import Router


class Counting(Chore):
    """Counts its turns; fails for one tenant as often as it is told to."""

    every = 3600.0

    def __init__(self, now, *, fails_for=None, times=0):
        super().__init__(lambda: now)
        self.turns = []
        self.fails_for, self.times = fails_for, times

    def hear(self, event):
        if event.event_type == "test.happened":
            self.want(event.tenant_id)

    async def work(self, tenant_id):
        self.turns.append(tenant_id)
        if tenant_id == self.fails_for and self.times:
            self.times -= 1
            raise RuntimeError("a defect")


@asynccontextmanager
async def running(*parts):
    """Follow the log and let chores work while the block runs."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(follow(parts, stop)), *(asyncio.create_task(each.run(stop)) for each in parts)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def until(condition, *, within=60):
    async with asyncio.timeout(within):
        while not (await condition() if asyncio.iscoroutinefunction(condition) else condition()):
            await asyncio.sleep(0.01)


async def happen(tenant, now):
    async with db.transaction(tenant.system) as tx:
        await events.record(tx, "test", ids.new(), "test.happened", at=now)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(chores, "AGAIN", 0.1)


class TestChore:
    async def test_every_tenant_has_a_turn_at_the_start_and_when_something_happens(self, tenant, other_tenant, now):
        chore = Counting(now)

        async with running(chore):
            await until(lambda: {tenant.id, other_tenant.id} <= set(chore.turns))
            await asyncio.sleep(0.3)
            chore.turns.clear()
            await happen(tenant, now)
            await until(lambda: chore.turns == [tenant.id])

    async def test_a_defect_of_one_tenant_holds_up_no_other_and_is_tried_again(self, tenant, other_tenant, now):
        chore = Counting(now, fails_for=tenant.id, times=2)

        async with running(chore):
            await until(lambda: chore.turns.count(tenant.id) >= 3)

        assert chore.times == 0
        assert other_tenant.id in chore.turns

    async def test_everyone_has_a_turn_after_the_reader_was_cut_off(self, database, tenant, now):
        chore = Counting(now)
        admin = await asyncpg.connect(database)

        async with running(chore):
            await until(lambda: chore.turns)
            await asyncio.sleep(0.3)
            chore.turns.clear()
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename = 'santral_app' and datname = current_database()"
            )
            await until(lambda: tenant.id in chore.turns)
        await admin.close()


class TestRouter:
    async def owned(self, tenant):
        async with db.transaction(tenant.system) as tx:
            return await tx.fetchval("select count(*) from crm.lead where owner_id is not null")

    async def arrive(self, tenant, now):
        return (await db.run(tenant.system, lambda tx: intake.create(tx, NewLead(source="api"), now=now))).lead_id

    async def test_gives_leads_as_they_come_and_when_room_comes(self, tenant, now):
        agent = tenant.sales_agent.user_id
        await db.run(
            tenant.admin, lambda tx: routing.set_member(tx, tenant.team_id, agent, weight=1, capacity=1, now=now)
        )
        router = Router(lambda: now)
        router.every = 3600.0

        async def has(how_many):
            async def check():
                return await self.owned(tenant) == how_many

            await until(check)

        async with running(router):
            first = await self.arrive(tenant, now)
            await has(1)
            await self.arrive(tenant, now)
            await self.arrive(tenant, now)
            await db.run(tenant.admin, lambda tx: leads.change_status(tx, first, Status.lost, reason="price", now=now))
            await has(2)
            await db.run(
                tenant.admin, lambda tx: routing.set_member(tx, tenant.team_id, agent, weight=1, capacity=9, now=now)
            )
            await has(3)

        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.routing_decision where user_id is not null") == 3

    async def test_many_tenants_at_once_each_get_their_own(self, tenant, other_tenant, now):
        router = Router(lambda: now)

        async with running(router):
            for each in (tenant, other_tenant) * 20:
                await self.arrive(each, now)

            async def all_given():
                return await self.owned(tenant) == await self.owned(other_tenant) == 20

            await until(all_given)
