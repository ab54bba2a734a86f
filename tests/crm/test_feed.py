"""Whom an event of the feed concerns: agents their own calls and leads, managers their team's, nobody else's firm."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from crm import db, events, feed, ids
from crm.actor import Actor
from crm.events.log import Event
from crm.leads import intake
from crm.users import rules, teams
from tests.conftest import Tenant
from tests.crm.agents import floor


def of_call(tenant: Tenant, at: datetime, **payload: Any) -> Event:
    """Return an event of a call as a reader gets it."""
    told = {name: str(value) for name, value in payload.items()}
    return Event(tenant.id, 1, 1, "call", ids.new(), "call.ringing", told, at, at, None, None)


class TestCalls:
    async def test_are_told_to_agent_owner_and_their_managers(
        self, tenant: Tenant, other_tenant: Tenant, now: datetime
    ) -> None:
        elsewhere = await db.run(
            tenant.admin, lambda tx: teams.create(tx, name="B", timezone="Europe/Istanbul", now=now)
        )  # fmt: skip
        [agent] = await floor.hire(tenant, 1, now, team_id=elsewhere)
        [beside] = await floor.hire(tenant, 1, now)
        lead = intake.NewLead("api", name="Ada", email="ada@mail.example")
        lead_id = (await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=now))).lead_id
        owner = tenant.sales_agent
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.lead set owner_id = $1::uuid, team_id = $2::uuid where id = $3::uuid",
                owner.user_id, tenant.team_id, lead_id,
            )  # fmt: skip
        event = of_call(tenant, now, lead_id=lead_id, agent_user_id=agent.user_id)
        manager_there = _manager(tenant, elsewhere)

        async with db.transaction(tenant.system) as tx:
            owners = await feed.owners_of(tx, [event])

        def seen(who: Actor) -> bool:
            return feed.may_see(who, event, owners)

        assert all(map(seen, (agent, owner, tenant.sales_manager, manager_there, tenant.admin)))
        assert not any(map(seen, (beside, tenant.analyst, other_tenant.admin, _manager(tenant, ids.new()))))

    @pytest.mark.parametrize("kind", ["call_supervision", "tenant", "queue"])
    async def test_are_told_by_their_own_events_only(self, tenant: Tenant, now: datetime, kind: str) -> None:
        event = replace(of_call(tenant, now, agent_user_id=tenant.sales_agent.user_id), aggregate_type=kind)

        assert feed.audience(event, {}) is None
        assert not feed.may_see(tenant.admin, event, {})

    async def test_of_nobody_are_for_who_sees_all(self, tenant: Tenant, now: datetime) -> None:
        event = of_call(tenant, now)

        assert feed.may_see(tenant.admin, event, {})
        assert not feed.may_see(tenant.sales_manager, event, {})
        assert not feed.may_see(tenant.sales_agent, event, {})

    async def test_are_read_after_a_cursor(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.sales_agent) as tx:
            begun = await feed.read(tx, None, now=now)
        cursor = feed.sign(tenant.id, begun.position, now=now)
        mine, other = ids.new(), ids.new()
        async with db.transaction(tenant.system) as tx:
            for call_id, who in ((mine, tenant.sales_agent), (other, tenant.sales_manager)):
                await events.record(tx, "call", call_id, "call.ringing", {"agent_user_id": who.user_id}, at=now)

        async with db.transaction(tenant.sales_agent) as tx:
            page = await feed.read(tx, cursor, now=now)

        assert [event.aggregate_id for event in page.events] == [mine]

    async def test_of_others_do_not_bury_ones_own(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.sales_agent) as tx:
            begun = await feed.read(tx, None, now=now)
        cursor = feed.sign(tenant.id, begun.position, now=now)
        mine = ids.new()
        many: list[tuple[str, UUID, str, dict[str, Any]]] = [
            ("call", ids.new(), "call.ringing", {"agent_user_id": None, "lead_id": ids.new()})
            for _ in range(feed.AT_MOST + 5)
        ]
        own = ("call", mine, "call.ringing", {"agent_user_id": tenant.sales_agent.user_id, "lead_id": None})
        async with db.transaction(tenant.system) as tx:
            await events.record_many(tx, [*many, own], at=now)

        async def told(who: Actor) -> feed.Page:
            async with db.transaction(who) as tx:
                return await feed.read(tx, cursor, now=now)

        for who in (tenant.sales_agent, tenant.sales_manager):
            page = await told(who)
            assert (page.reset, [event.aggregate_id for event in page.events]) == (False, [mine])
        assert (await told(tenant.admin)).reset


def _manager(tenant: Tenant, team_id: UUID) -> Actor:
    role = frozenset({"sales_manager"})
    return Actor(tenant.id, ids.new(), team_id, role, rules.permissions_of(role))
