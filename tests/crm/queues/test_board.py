"""The live board, and actions that end by themselves."""

import asyncio
from datetime import datetime, timedelta

from crm import clock, db
from crm.queues import actions, board, statistics, visits
from crm.queues.chore import Endings
from crm.queues.visits import Stay
from tests.conftest import Tenant
from tests.crm.queues.factory import after, make_call, make_queue
from tests.crm.queues.test_statistics import put
from tests.crm.queues.test_steering import hear, sign_on, steer, wait
from tests.crm.test_chores import running, until


class TestOf:
    async def test_shows_who_waits_who_answers_and_how_it_went(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now - timedelta(days=1), sl_target=0.9)
            await make_queue(tx, "support", since=now)
            for seconds, outcome in ((10, "answered"), (30, "answered"), (40, "abandoned")):
                await put(
                    tx, now - timedelta(minutes=5), outcome, seconds, talk_s=100 if outcome == "answered" else None
                )
            first, _ = [await wait(tx, after(now, -seconds)) for seconds in (50, 20)]
        await sign_on(tenant, now)
        await steer(tenant, now)
        await hear(tenant, now)

        async with db.transaction(tenant.system) as tx:
            sales, support = await board.of(tx, now=now)

        assert (sales.code, sales.depth, sales.longest_wait_s, sales.waits_since) == ("sales", 2, 50.0, after(now, -50))
        assert (sales.service_level, sales.n, sales.sl_target) == (1 / 3, 3, 0.9)
        assert sales.agents == {"available": 1}
        assert (sales.callers[0].call_id, sales.callers[0].estimated_wait_s) == (first, 0.0)
        assert sales.callers[1].estimated_wait_s == 1 / (1 / 100)
        assert (support.depth, support.longest_wait_s, support.service_level, support.n) == (0, None, None, 0)

    async def test_shows_the_service_level_of_statistics(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now - timedelta(days=1))
            for n, outcome in enumerate(["answered", "abandoned", "overflow", "timeout", "callback", "system"] * 3):
                await put(tx, now - timedelta(minutes=n + 1), outcome, 7.0 * n)

            [line] = await board.of(tx, now=now)
            [day] = await statistics.of_days(tx, now.date(), now.date())

        assert (line.service_level, line.n) == (day.counts.service_level, day.counts.judged)

    async def test_shows_what_supervisors_do(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now)
        end = after(now, 60)
        await db.run(tenant.admin, lambda tx: actions.pause(tx, queue_id, reason="drill", until=end, now=now))

        async with db.transaction(tenant.system) as tx:
            [during], [past] = await board.of(tx, now=after(now, 59)), await board.of(tx, now=end)

        assert (during.is_paused, past.is_paused) == (True, False)

    async def test_is_of_one_firm(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        async with db.transaction(other_tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)
            await visits.keep(tx, call_id, [Stay(1, "sales", now)], now=now)

        async with db.transaction(tenant.system) as tx:
            assert await board.of(tx, now=now) == []


class TestEndings:
    async def test_ends_what_is_over_also_when_the_end_passed_while_nobody_looked(self, tenant: Tenant) -> None:
        began = clock.utc_now()
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=began)
            other_id = await make_queue(tx, "support", since=began)
        missed, coming = began + timedelta(milliseconds=1), began + timedelta(seconds=1.5)
        await db.run(tenant.admin, lambda tx: actions.pause(tx, queue_id, reason="drill", until=missed, now=began))
        await db.run(tenant.admin, lambda tx: actions.pause(tx, other_id, reason="drill", until=coming, now=began))
        await asyncio.sleep(0.01)

        async def ended() -> int:
            async with db.transaction(tenant.system) as tx:
                return await tx.fetchval("select count(*) from crm.queue_action where end_reason = 'expired'")

        async def both() -> bool:
            return await ended() == 2

        async with running(Endings(clock.utc_now)):
            await until(both)

        async with db.transaction(tenant.system) as tx:
            late = await tx.fetchval("select bool_and(ended_at >= until) from crm.queue_action")
        assert late is True
