"""`kill -9` in the middle of calling people back: the next worker goes on, and everybody is called once."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from crm import clock, db
from crm.consent import hours, own_hours
from tests.conftest import Tenant
from tests.crm.agents.floor import hire
from tests.crm.callbacks import floor
from tests.kill.firm import Processes

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

PROMISED = 150
AGENTS = 12
KILLS = 4
ALWAYS = [hours.Window(frozenset(range(1, 8)), 0, 1440)]


async def promise_all(tenant: Tenant) -> None:
    """Promise callbacks for now, from a queue with some agents, on a day on which people are called at any hour."""
    now = clock.utc_now()
    async with db.transaction(tenant.system) as tx:
        await own_hours.change(tx, "TR", ALWAYS, holidays=True, valid_from=now.date(), now=now - timedelta(days=1))
    await floor.open_queue(tenant, now - floor.HOUR)
    for n, agent in enumerate(await hire(tenant, AGENTS, now)):
        await floor.on_duty(tenant, now, agent, f"PJSIP/agent-{n}")
    for person in await floor.people(tenant, PROMISED, now):
        await floor.promise(tenant, person, now)


async def answer_busy(tenant: Tenant) -> None:
    """Have every customer's line be busy, a moment after it is called; agents give signs of life meanwhile."""
    while True:
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.agent_session set last_beat_at = $1::timestamptz", clock.utc_now())
        for call in await floor.calls(tenant, purpose="callback"):
            if call["ended_at"] is None:
                await floor.ends(tenant, call["id"], clock.utc_now() - timedelta(seconds=20), cause=floor.BUSY)
        await asyncio.sleep(0.05)


async def called(tenant: Tenant, *, beyond: int) -> int:
    """Wait until more than so many people were called; return how many."""
    async with asyncio.timeout(180):
        while (found := len(await floor.calls(tenant, purpose="callback"))) <= beyond:
            await asyncio.sleep(0.02)
    return found


async def test_everybody_is_called_once_however_often_the_worker_dies(tenant: Tenant) -> None:
    await promise_all(tenant)
    firm, seen = Processes(), [0]
    exchange = asyncio.create_task(answer_busy(tenant))

    try:
        for _ in range(KILLS):
            firm.start("worker")
            seen.append(await called(tenant, beyond=seen[-1] + 10))
            firm.kill("worker")
        assert seen[-1] < PROMISED, "the kills came into the middle"
        firm.start("worker")
        await called(tenant, beyond=PROMISED - 1)
        await asyncio.sleep(2)  # time enough to call somebody twice
    finally:
        exchange.cancel()
        for name in list(firm.running):
            firm.kill(name)
    await floor.turn(tenant, clock.utc_now())

    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select id, status, attempts, last_outcome from crm.callback")
        attempts = await tx.fetch("select callback_id, call_id from crm.callback_attempt")
        asks = await tx.fetch("select call_id from crm.exchange_ask where kind = 'originate'")
    calls = await floor.calls(tenant, purpose="callback")
    assert set(Counter(call["callback_id"] for call in calls).values()) == {1}
    assert {(call["callback_id"], call["id"]) for call in calls} == {tuple(each) for each in attempts}
    assert Counter(each["call_id"] for each in asks) == Counter(call["id"] for call in calls)
    assert {tuple(row)[1:] for row in rows} == {("scheduled", 1, "busy")}
    assert len(rows) == len(calls) == PROMISED
