"""What is seen of agents: their day in seconds, and whom one may watch."""

from datetime import datetime, timedelta

import pytest

from crm import dashboard, db, ids
from crm.agents import operations, queries
from crm.agents.rules import State, occupancy
from crm.users import profiles
from crm.users.queries import UnknownUser
from tests.conftest import Tenant
from tests.crm.agents import floor

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def work(tenant: Tenant, now: datetime) -> floor.Actor:
    """Let the agent be free for 40 s, ring 10, talk 30, write 20, pause for 50, and be free since."""
    agent, call_id = await floor.signed_on(tenant, now), ids.new()
    await floor.move(tenant, agent, State.ringing, now + 40 * SECOND, call_id=call_id)
    await floor.move(tenant, agent, State.on_call, now + 50 * SECOND, call_id=call_id)
    await floor.move(tenant, agent, State.wrap_up, now + 80 * SECOND, call_id=call_id)
    await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + 100 * SECOND))
    await db.run(agent, lambda tx: operations.make_ready(tx, now=now + 150 * SECOND))
    return agent


class TestFloor:
    async def test_counts_the_seconds_of_each_state(self, tenant: Tenant, now: datetime) -> None:
        await work(tenant, now)

        [row] = await db.run(tenant.sales_manager, lambda tx: queries.floor(tx, since=now, now=now + 160 * SECOND))

        seconds = (row["available_s"], row["ringing_s"], row["busy_s"], row["paused_s"])
        assert seconds == (50, 10, 50, 50)
        assert row["occupancy"] == 0.5
        assert row["skills"] == {}
        assert (row["state"], row["since"]) == ("available", now + 150 * SECOND)

    async def test_cuts_states_where_the_time_asked_for_begins_and_ends(self, tenant: Tenant, now: datetime) -> None:
        await work(tenant, now)

        [row] = await db.run(
            tenant.sales_manager, lambda tx: queries.floor(tx, since=now + 60 * SECOND, now=now + 90 * SECOND)
        )

        assert (row["available_s"], row["busy_s"], row["paused_s"], row["occupancy"]) == (0, 30, 0, 1.0)

    async def test_begins_the_day_at_midnight_of_the_firm(self, tenant: Tenant, now: datetime) -> None:
        before_midnight = now.replace(hour=20, minute=59, second=0)  # 23:59 in Istanbul
        await floor.signed_on(tenant, before_midnight)

        [row] = await db.run(
            tenant.sales_manager, lambda tx: dashboard.floor(tx, now=before_midnight + 90 * SECOND)
        )  # fmt: skip

        assert row["available_s"] == 30

    async def test_shows_the_skills_of_now(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.telephone(tenant, now)
        for level, at in ((2, now), (4, now + HOUR)):
            await db.run(
                tenant.admin,
                lambda tx, level=level, at=at: profiles.change(
                    tx, agent.user_id, {"skills": {"hair": level}}, valid_from=at, now=now
                ),
            )

        [row] = await db.run(tenant.admin, lambda tx: queries.floor(tx, since=now, now=now + MINUTE))

        assert row["skills"] == {"hair": 2}

    async def test_has_no_occupancy_without_work(self, tenant: Tenant, now: datetime) -> None:
        await floor.telephone(tenant, now)

        [row] = await db.run(tenant.admin, lambda tx: queries.floor(tx, since=now, now=now + HOUR))

        assert (row["state"], row["since"], row["occupancy"]) == ("offline", None, None)

    def test_of_several_is_that_of_their_seconds(self) -> None:
        assert occupancy(30 + 0, 10 + 60) == 0.3
        assert occupancy(0, 0) is None


class TestHistory:
    async def test_is_every_state_that_touches_the_time(self, tenant: Tenant, now: datetime) -> None:
        agent = await work(tenant, now)

        rows = await db.run(
            tenant.sales_manager,
            lambda tx: queries.history(tx, agent.user_id, since=now + 80 * SECOND, until=now + 100 * SECOND),
        )

        assert [(row["state"], row["started_at"], row["ended_at"]) for row in rows] == [
            ("wrap_up", now + 80 * SECOND, now + 100 * SECOND),
        ]  # fmt: skip

    async def test_is_for_oneself_ones_supervisor_and_who_sees_all(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        [stranger] = await floor.hire(tenant, 1, now)

        async def seen(actor: floor.Actor) -> int:
            span = {"since": now - HOUR, "until": now + HOUR}
            return len(await db.run(actor, lambda tx: queries.history(tx, agent.user_id, **span)))

        assert [await seen(each) for each in (agent, tenant.sales_manager, tenant.compliance_auditor)] == [1, 1, 1]
        with pytest.raises(UnknownUser):
            await seen(stranger)
