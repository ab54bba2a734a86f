"""What comes by itself: deadlines, silence, and the end of sessions nobody signs off from."""

import asyncio
from datetime import datetime, timedelta

from crm import clock, db, ids
from crm.agents import operations, watching
from crm.agents.chore import Watch
from crm.agents.rules import State
from crm.users import operations as users
from tests.conftest import Tenant
from tests.crm.agents import floor

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def sweep(tenant: Tenant, at: datetime) -> int:
    return await db.run(tenant.system, lambda tx: watching.sweep(tx, now=at))


class TestSweep:
    async def test_notices_silence_and_then_ends_the_session(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        before = await sweep(tenant, now + 29 * SECOND)
        await sweep(tenant, now + 31 * SECOND)
        silent = await floor.standing(tenant, agent)
        await sweep(tenant, now + 61 * SECOND)

        assert (before, silent[0]) == (0, "not_responding")
        [session] = await floor.sessions(tenant, agent)
        assert (session["ended_at"], session["end_reason"]) == (now + 60 * SECOND, "lost")
        await floor.require_tiled(tenant, agent)

    async def test_comes_to_the_same_however_late(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)
        await floor.move(tenant, agent, State.wrap_up, now + 10 * SECOND, call_id=call_id, until=now + 25 * SECOND)

        await sweep(tenant, now + 10 * MINUTE)
        again = await sweep(tenant, now + 10 * MINUTE)

        rows = await floor.intervals(tenant, agent)
        assert [(row["state"], (row["started_at"] - now).total_seconds()) for row in rows] == [
            ("available", 0), ("on_call", 1), ("wrap_up", 10), ("available", 25), ("not_responding", 40),
        ]  # fmt: skip
        assert (rows[-1]["ended_at"], again) == (now + 70 * SECOND, 0)

    async def test_leaves_a_conversation_alone_however_silent(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)

        changed = await sweep(tenant, now + 60 * MINUTE)
        await floor.move(tenant, agent, State.wrap_up, now + 60 * MINUTE, call_id=call_id, until=now + 70 * MINUTE)
        await sweep(tenant, now + 62 * MINUTE)

        assert changed == 0
        [session] = await floor.sessions(tenant, agent)
        assert session["ended_at"] == now + 61 * MINUTE
        await floor.require_tiled(tenant, agent)

    async def test_takes_ringing_for_no_sign_of_life(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.ringing, now + 25 * SECOND, call_id=call_id)
        await floor.move(tenant, agent, State.available, now + 40 * SECOND, call_id=call_id)

        await sweep(tenant, now + 41 * SECOND)
        silent = await floor.standing(tenant, agent)
        await sweep(tenant, now + 61 * SECOND)

        assert silent[0] == "not_responding"
        [session] = await floor.sessions(tenant, agent)
        assert session["ended_at"] == now + 60 * SECOND

    async def test_brings_back_who_is_heard_again_where_they_were(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await db.run(agent, lambda tx: operations.pause(tx, "lunch", now=now + SECOND))
        await sweep(tenant, now + 40 * SECOND)

        await db.run(agent, lambda tx: operations.beat(tx, now=now + 45 * SECOND))

        assert await floor.standing(tenant, agent) == ("paused", "lunch")
        assert [row["state"] for row in await floor.intervals(tenant, agent)] == [
            "available", "paused", "not_responding", "paused",
        ]  # fmt: skip

    async def test_hears_beats(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        for n in range(1, 7):
            await db.run(agent, lambda tx, n=n: operations.beat(tx, now=now + n * 20 * SECOND))
            await sweep(tenant, now + n * 20 * SECOND)

        assert len(await floor.intervals(tenant, agent)) == 1

    async def test_frees_an_agent_whose_call_never_came(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await floor.move(tenant, agent, State.reserved, now + SECOND, call_id=ids.new(), until=now + 20 * SECOND)

        await sweep(tenant, now + 21 * SECOND)

        assert await floor.standing(tenant, agent) == ("available", None)

    async def test_makes_the_wished_pause_true_at_the_deadline(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + 2 * SECOND))
        await floor.move(tenant, agent, State.wrap_up, now + 3 * SECOND, call_id=call_id, until=now + 9 * SECOND)

        await sweep(tenant, now + 10 * SECOND)

        [*_, last] = await floor.intervals(tenant, agent)
        assert (last["state"], last["reason"], last["started_at"]) == ("paused", "break", now + 9 * SECOND)

    async def test_signs_off_whose_account_is_closed(self, tenant: Tenant, now: datetime) -> None:
        [agent, talking] = await floor.hire(tenant, 2, now)
        await floor.signed_on(tenant, now, actor=agent, endpoint="PJSIP/a")
        await floor.signed_on(tenant, now, actor=talking, endpoint="PJSIP/b")
        call_id, gone = ids.new(), users.Change(is_active=False)
        await floor.move(tenant, talking, State.on_call, now + SECOND, call_id=call_id)
        for each in (agent, talking):
            await db.run(tenant.admin, lambda tx, each=each: users.update(tx, each.user_id, gone, now=now + SECOND))

        first, second = await sweep(tenant, now + 2 * SECOND), await sweep(tenant, now + 3 * SECOND)
        during = await floor.standing(tenant, talking)
        await floor.move(tenant, talking, State.available, now + 4 * SECOND, call_id=call_id)

        assert (first, second, during[0]) == (2, 0, "on_call")
        for each in (agent, talking):
            [session] = await floor.sessions(tenant, each)
            assert session["end_reason"] == "deactivated"

    async def test_frees_who_was_to_be_signed_off_from_a_call_that_never_came(
        self, tenant: Tenant, now: datetime
    ) -> None:
        [agent] = await floor.hire(tenant, 1, now)
        await floor.signed_on(tenant, now, actor=agent)
        await floor.move(tenant, agent, State.reserved, now + SECOND, call_id=ids.new(), until=now + 20 * SECOND)
        gone = users.Change(is_active=False)
        await db.run(tenant.admin, lambda tx: users.update(tx, agent.user_id, gone, now=now + SECOND))
        await sweep(tenant, now + 2 * SECOND)

        done = [await sweep(tenant, now + 21 * SECOND) for _ in range(2)]

        [session] = await floor.sessions(tenant, agent)
        assert (done, session["ended_at"]) == ([1, 0], now + 20 * SECOND)

    async def test_lets_no_deadline_end_a_conversation(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=ids.new(), until=now + 2 * SECOND)

        assert await sweep(tenant, now + MINUTE) == 0
        assert await db.run(tenant.system, lambda tx: watching.next_moment(tx, now)) is None

    async def test_runs_beside_itself(self, tenant: Tenant, now: datetime) -> None:
        agents = await floor.hire(tenant, 12, now)
        for n, agent in enumerate(agents):
            await floor.signed_on(tenant, now, actor=agent, endpoint=f"PJSIP/a-{n}")

        done = await asyncio.gather(*(sweep(tenant, now + 35 * SECOND) for _ in range(4)))

        assert sum(done) == 12
        assert (
            len([each for each in await floor.told(tenant, "agent.state_changed") if each["to"] == "not_responding"])
            == 12
        )


class TestNextMoment:
    async def test_is_the_earliest_of_all(self, tenant: Tenant, now: datetime) -> None:
        async def moment() -> datetime | None:
            return await db.run(tenant.system, lambda tx: watching.next_moment(tx, now))

        nobody = await moment()
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        free = await moment()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)
        talking = await moment()
        await floor.move(tenant, agent, State.wrap_up, now + 2 * SECOND, call_id=call_id, until=now + 7 * SECOND)

        assert (nobody, free, talking) == (None, now + 30 * SECOND, None)
        assert await moment() == now + 7 * SECOND


class TestWatch:
    async def test_does_what_is_due_when_it_is_due(self, tenant: Tenant) -> None:
        began = clock.utc_now()
        agent = await floor.signed_on(tenant, began)
        call_id = ids.new()
        await floor.move(tenant, agent, State.on_call, began, call_id=call_id)
        await floor.move(tenant, agent, State.wrap_up, began, call_id=call_id, until=began + 0.4 * SECOND)
        stop, watch = asyncio.Event(), Watch(clock.utc_now)
        running = asyncio.create_task(watch.run(stop))

        async with asyncio.timeout(60):
            while await floor.standing(tenant, agent) != ("available", None):
                await asyncio.sleep(0.05)

        stop.set()
        await running
        [*_, last] = await floor.intervals(tenant, agent)
        assert last["started_at"] == began + 0.4 * SECOND
