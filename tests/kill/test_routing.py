"""`kill -9` of workers that give out leads: between claim and decision, and anywhere, two of them at work."""

import asyncio
import os
import random
from collections import Counter
from datetime import timedelta

import asyncpg
import pytest

from crm import clock, db
from crm.routing import history
from crm.routing import operations as routing
from tests.conftest import Tenant
from tests.crm.routing import firm
from tests.kill.firm import Processes

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

DAY = timedelta(days=1)


@pytest.fixture
def workers():
    """Two workers that can be started and killed; none is left behind."""
    found = Processes()
    found.commands["other"] = found.commands["worker"]
    yield found
    for name in list(found.running):
        found.kill(name)


async def until(sql: str, tenant: Tenant, *args: object, within: float = 60) -> None:
    """Wait until a question is answered by yes."""
    async with asyncio.timeout(within):
        while not await firm.ask(tenant, sql, *args):
            await asyncio.sleep(0.05)


async def hold_to_account(tenant: Tenant, room: dict[object, int]) -> None:
    """Nobody holds more than they may, every lead was given once, and the record gives back what happened."""
    async with db.transaction(tenant.system) as tx:
        held = Counter(
            dict(await tx.fetch("select owner_id, count(*) from crm.lead where owner_id is not null group by 1"))
        )
        decided = await tx.fetch("select lead_id, user_id, id from crm.routing_decision where user_id is not null")
        hands = await tx.fetch("select lead_id, user_id, decision_id from crm.lead_assignment")
        told = await tx.fetch("select aggregate_id from crm.event_log where event_type = 'lead.assigned'")
        now = clock.utc_now()
        whole = await history.replay(tx, None, since=now - DAY, until=now + DAY)
    assert all(held[user] <= most for user, most in room.items())
    assert sorted(map(tuple, decided)) == sorted(map(tuple, hands))
    assert len({row["lead_id"] for row in hands}) == len(hands) == len(told) == sum(held.values())
    assert whole["unlike_record"] == 0
    assert whole["waiting_seconds"]["live"] == whole["waiting_seconds"]["replayed"]


async def test_between_claim_and_decision(tenant: Tenant, workers: Processes) -> None:
    now, agent = clock.utc_now(), tenant.sales_agent.user_id
    await firm.seat(tenant, agent, now, capacity=3)
    await firm.arrive(tenant, 5, now)
    owner = await asyncpg.connect(os.environ["DATABASE_URL"])
    waits = "select exists (select from pg_locks where not granted and relation = 'crm.routing_decision'::regclass)"

    async with owner.transaction():
        await owner.execute("lock table crm.routing_decision in share mode")
        workers.start("worker")
        await until(waits, tenant)  # it has claimed the leads, and cannot write what it decided
        workers.kill("worker")
    await owner.close()
    given = await firm.ask(tenant, "select count(*) from crm.lead where owner_id is not null")
    workers.start("worker")
    workers.start("other")
    await until("select count(*) = 2 from crm.routing_hold where said is not null", tenant)

    assert given == 0
    assert await firm.ask(tenant, "select count(*) from crm.lead where owner_id is not null") == 3
    await hold_to_account(tenant, {agent: 3})


async def test_two_workers_killed_anywhere(tenant: Tenant, workers: Processes) -> None:
    chance, now = random.Random(11), clock.utc_now()
    room = {tenant.sales_agent.user_id: 20}
    await firm.seat(tenant, tenant.sales_agent.user_id, now, capacity=20)
    for capacity in (30, 40, 25):
        room[await firm.hire(tenant, now, capacity=capacity, weight=capacity // 10)] = capacity

    async def arrivals() -> None:
        for _ in range(150):
            await firm.arrive(tenant, 1, clock.utc_now())
            await asyncio.sleep(0.02)

    async def trouble() -> None:
        for _ in range(4):
            await asyncio.sleep(1 + chance.random())
            name = chance.choice(["worker", "other"])
            workers.kill(name)
            workers.start(name)

    workers.start("worker")
    workers.start("other")
    await asyncio.gather(arrivals(), trouble())
    await until("select count(*) = $1::int from crm.lead where owner_id is not null", tenant, sum(room.values()))
    await db.run(tenant.system, lambda tx: routing.sweep(tx, now=clock.utc_now()))

    await hold_to_account(tenant, room)
