"""Steering a call: by whom, and how often."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from crm import db
from crm.actor import Actor
from crm.agents import endpoints
from crm.calls import wishes
from crm.calls.rows import CallNotFound
from crm.calls.wishes import MOST_WISHES, WITHIN, Target, TooManyWishes, UnknownTarget
from crm.users import teams
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.calls import factory


async def talking(tenant: Tenant, now: datetime) -> UUID:
    """Store a conversation of the firm's agent that is going on."""
    call_id = await factory.make_call(tenant, now, agent=tenant.sales_agent, status="connected", ended_at=None)
    async with db.transaction(tenant.system) as tx:
        for party in ("agent", "customer"):
            await tx.execute(
                "insert into crm.call_leg (tenant_id, call_id, leg_id, party, agent_user_id, stage, started_at)"
                " values ($1::uuid, $2::uuid, $3::text, $3::text, $4::uuid, 'answered', $5::timestamptz)",
                tenant.id, call_id, party, tenant.sales_agent.user_id if party == "agent" else None, now,
            )  # fmt: skip
    return call_id


async def mute(who: Actor, call_id: UUID, now: datetime) -> bool:
    """Ask for silence; return whether it was taken."""
    try:
        await db.run(who, lambda tx: wishes.mute(tx, call_id, is_muted=True, now=now))
    except TooManyWishes:
        return False
    return True


class TestWish:
    async def test_is_taken_so_often_and_not_more_however_many_come_at_once(self, tenant: Tenant, now: datetime):
        call_id = await talking(tenant, now)

        taken = await asyncio.gather(*(mute(tenant.sales_agent, call_id, now) for _ in range(MOST_WISHES + 10)))
        later = await mute(tenant.sales_agent, call_id, now + WITHIN + timedelta(seconds=1))

        assert (sum(taken), later) == (MOST_WISHES, True)

    async def test_to_end_the_call_is_taken_all_the_same(self, tenant: Tenant, now: datetime):
        call_id = await talking(tenant, now)
        for _ in range(MOST_WISHES):
            await mute(tenant.sales_agent, call_id, now)

        for _ in range(MOST_WISHES):
            await db.run(tenant.sales_agent, lambda tx: wishes.hang_up(tx, call_id, now=now))
        with pytest.raises(TooManyWishes):
            await db.run(tenant.sales_agent, lambda tx: wishes.hang_up(tx, call_id, now=now))

    async def test_is_for_whose_call_it_is_and_their_supervisor(self, tenant: Tenant, other_tenant: Tenant, now):
        call_id = await talking(tenant, now)
        [colleague] = await floor.hire(tenant, 1, now)
        team_id = await db.run(tenant.admin, lambda tx: teams.create(tx, name="Other", now=now))
        elsewhere = Actor(
            tenant.id, tenant.sales_manager.user_id, team_id, tenant.sales_manager.roles,
            tenant.sales_manager.permissions,
        )  # fmt: skip

        for stranger in (colleague, elsewhere, other_tenant.admin):
            with pytest.raises(CallNotFound):
                await mute(stranger, call_id, now)
        assert await mute(tenant.sales_manager, call_id, now)


class TestTransfer:
    @pytest.mark.parametrize("queue", ["+905321234567", "905321234567", "sales&support", "h", "${EXTEN}", "x\r\ny", ""])
    async def test_leads_to_queues_there_are_and_to_nobody_outside(self, tenant: Tenant, now: datetime, queue: str):
        call_id = await talking(tenant, now)

        with pytest.raises(UnknownTarget):
            await db.run(
                tenant.sales_agent,
                lambda tx: wishes.transfer(tx, call_id, Target(queue), is_attended=False, now=now),
            )

    async def test_leads_to_colleagues_by_the_number_of_their_telephone(self, tenant: Tenant, now: datetime):
        call_id = await talking(tenant, now)
        [colleague] = await floor.hire(tenant, 1, now)
        await db.run(tenant.admin, lambda tx: endpoints.give(tx, colleague.user_id, "PJSIP/agent-0900.1", now=now))
        target = Target(agent_user_id=colleague.user_id)

        with pytest.raises(UnknownTarget):
            await db.run(tenant.sales_agent, lambda tx: wishes.transfer(tx, call_id, target, is_attended=True, now=now))
