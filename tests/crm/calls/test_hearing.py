"""Facts that come late, twice, after the end, or from a clock that is wrong."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from crm import db, exchange
from crm.agents import endpoints
from crm.calls import forgetting, hearing
from crm.calls.facts import (
    AgentCalled,
    BridgeEntered,
    DialEnded,
    Dialled,
    Fact,
    LegAnswered,
    LegEnded,
    LegRinging,
    LegStarted,
    Vanished,
)
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on, telephone
from tests.crm.calls import factory


async def going(tenant: Tenant, now: datetime, **changed: object) -> UUID:
    """Store a customer's call that has just come in."""
    nothing = dict.fromkeys(["answered_at", "connected_at", "ended_at", "started_at"])
    values = {"direction": "inbound", "purpose": "inbound", "status": "ringing", "outcome": "open", **nothing}
    return await factory.make_call(tenant, now, **values | changed)


async def hear(tenant: Tenant, now: datetime, call_id: UUID, *facts: Fact) -> list[str]:
    """Hear facts of a call; return what new steps they told."""
    heard = await db.run(tenant.system, lambda tx: hearing.hear(tx, facts, now=now))
    return [step.status.value for news in heard.news for step in news.steps]


async def events(tenant: Tenant, call_id: UUID) -> list[str]:
    return [name for name, _ in await factory.told(tenant, call_id) if name != "call.arrived"]


class TestHear:
    async def test_a_time_that_is_known_better_is_no_news(self, tenant: Tenant, now):
        call_id = await going(tenant, now)
        of = {"call_id": str(call_id), "leg_id": str(call_id)}
        gone = LegEnded(**of, at=now, cause=16, was_up=True)

        await hear(tenant, now, call_id, LegStarted(**of, at=now - timedelta(seconds=5)))
        first = await hear(tenant, now, call_id, Vanished(call_id=str(call_id), at=now + timedelta(seconds=1)))
        late = await hear(tenant, now, call_id, gone)

        assert (first, late) == (["ended"], [])
        assert (await events(tenant, call_id)).count("call.ended") == 1
        assert (await factory.call(tenant, call_id))["ended_at"] == now

    async def test_an_end_that_turns_out_otherwise_is_told(self, tenant: Tenant, now):
        call_id = await going(tenant, now, direction="customer_first", status="originating")
        of = {"call_id": str(call_id), "leg_id": str(call_id)}

        await hear(tenant, now, call_id, LegStarted(**of, at=now), LegEnded(**of, at=now, cause=0, was_up=False))
        await hear(tenant, now, call_id, DialEnded(**of, at=now, by_leg="", dialled=Dialled.busy))

        [corrected] = [told for name, told in await factory.told(tenant, call_id) if name == "call.corrected"]
        assert (corrected["was"], corrected["outcome"]) == ("failed", "busy")
        assert (await events(tenant, call_id)).count("call.ended") == 1

    @pytest.mark.parametrize("ahead", [timedelta(minutes=-5), timedelta(minutes=5)])
    async def test_an_attempt_is_dated_by_our_clock(self, tenant: Tenant, now, ahead):
        lead_id, contact_id = await factory.make_lead(tenant, now - timedelta(minutes=2))
        call_id = await going(
            tenant, now, direction="agent_first", status="originating", purpose="click", lead_id=lead_id,
            contact_id=contact_id, requested_at=now - timedelta(seconds=20),
        )  # fmt: skip
        at, of = now + ahead, {"call_id": str(call_id)}

        await hear(
            tenant, now, call_id, LegStarted(**of, leg_id=str(call_id), at=at),
            LegAnswered(**of, leg_id=str(call_id), at=at),
            DialEnded(**of, leg_id="c", at=at, by_leg=str(call_id), dialled=Dialled.answer),
            BridgeEntered(**of, leg_id="c", at=at, bridge_id="b"),
        )  # fmt: skip

        async with db.transaction(tenant.system) as tx:
            first = await tx.fetchval("select first_attempt_at from crm.lead where id = $1::uuid", lead_id)
        assert now - timedelta(seconds=20) <= first <= now

    async def test_a_telephone_given_to_another_does_not_take_its_call_along(self, tenant: Tenant, now):
        await telephone(tenant, now, endpoint="PJSIP/agent-1")
        [other] = await hire(tenant, 1, now)
        call_id = await going(tenant, now)
        of = {"call_id": str(call_id)}
        agent = {**of, "leg_id": "a"}
        await hear(
            tenant, now, call_id, LegStarted(**of, leg_id=str(call_id), at=now),
            AgentCalled(**of, leg_id=str(call_id), at=now, queue="sales", interface="PJSIP/agent-1", agent_leg="a"),
            LegRinging(**agent, at=now), LegAnswered(**agent, at=now),
        )  # fmt: skip
        await db.run(tenant.admin, lambda tx: endpoints.give(tx, tenant.sales_agent.user_id, "PJSIP/x-1", now=now))
        await db.run(tenant.admin, lambda tx: endpoints.give(tx, other.user_id, "PJSIP/agent-1", now=now))

        await hear(tenant, now, call_id, LegEnded(**agent, at=now, cause=16, was_up=True))

        assert (await factory.call(tenant, call_id))["agent_user_id"] == tenant.sales_agent.user_id

    async def test_of_a_call_long_over_or_imported_nothing_is_told(self, tenant: Tenant, now):
        old = await factory.make_call(tenant, now - timedelta(days=2))
        imported = await factory.make_call(tenant, now, source="historical")

        for call_id in (old, imported):
            before = await factory.call(tenant, call_id)
            name = str(call_id)
            await hear(tenant, now, call_id, LegEnded(call_id=name, leg_id=name, at=now, cause=17, was_up=False))

            assert await factory.call(tenant, call_id) == before


async def waits_for_a_lock(tenant: Tenant) -> bool:
    """Tell whether somebody in this database waits for somebody else."""
    sql = "select true from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with db.transaction(tenant.system) as tx:  # of its own: within one, the view stays as it was
        return bool(await tx.fetchval(sql))


class TestLocks:
    async def test_agents_come_last_as_for_those_who_place_calls(self, tenant: Tenant, now):
        agent = await signed_on(tenant, now, endpoint="PJSIP/agent-1")
        lead_id, contact_id = await factory.make_lead(tenant, now, agent)
        call_id = await going(tenant, now, agent_user_id=agent.user_id, lead_id=lead_id, contact_id=contact_id)
        of = {"call_id": str(call_id), "leg_id": str(call_id)}
        rings = AgentCalled(**of, at=now, queue="sales", interface="PJSIP/agent-1", agent_leg="a")
        facts = [LegStarted(**of, at=now), rings, LegEnded(**of, at=now, cause=16, was_up=False)]

        async with db.transaction(tenant.system) as tx:
            await tx.fetch("select from crm.lead where id = $1::uuid for update", lead_id)
            hearing = asyncio.create_task(hear(tenant, now, call_id, *facts))
            while not hearing.done() and not await waits_for_a_lock(tenant):
                await asyncio.sleep(0.02)
            free = await tx.fetch("select from crm.agent_session for update nowait")

        assert len(free) == 1
        assert "ended" in await hearing


class TestForget:
    async def test_deletes_what_was_told_and_asked_long_ago_and_nothing_else(self, tenant: Tenant, now, monkeypatch):
        call_id = await going(tenant, now)
        of = {"call_id": str(call_id), "leg_id": str(call_id)}
        await hear(tenant, now - timedelta(days=91), call_id, LegStarted(**of, at=now))
        await hear(tenant, now, call_id, LegRinging(**of, at=now))
        async with db.transaction(tenant.system) as tx:
            for days in (91, 92, 0):
                await exchange.ask(tx, exchange.Kind.hang_up, now=now - timedelta(days=days))
            await tx.execute("update crm.exchange_ask set status = 'done'")
        monkeypatch.setattr(forgetting, "AT_ONCE", 1)

        async with db.transaction(tenant.system) as tx:
            has_more = [await forgetting.forget(tx, now=now) for _ in range(3)]
            facts = await tx.fetch("select kind from crm.call_fact")
            asks = await tx.fetchval("select count(*) from crm.exchange_ask")

        assert (has_more, [row["kind"] for row in facts], asks) == ([True, True, False], ["LegRinging"], 1)
