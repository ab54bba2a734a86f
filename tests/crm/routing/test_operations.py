"""Distribution on a real database: who gets what, who waits, and what is kept about it."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from crm import db, ids
from crm.actor import Actor, Forbidden
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.routing import operations as routing
from crm.routing import queries
from crm.users import availability
from tests.crm.routing.firm import arrive, hire, route, seat, sweep

OPEN_BY_OWNER = """
select owner_id, count(*)::int from crm.lead
 where owner_id is not null and status not in ('won', 'lost') and not is_test group by owner_id
"""


async def owners(tenant):
    async with db.transaction(tenant.system) as tx:
        return dict(await tx.fetch("select id, owner_id from crm.lead"))


async def count(tenant, sql):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetchval(sql)


@pytest.fixture
def agent(tenant):
    return tenant.sales_agent.user_id


class TestRoute:
    async def test_shares_follow_weights(self, tenant, agent, now):
        other = await hire(tenant, now, weight=3)

        await route(tenant, await arrive(tenant, 40, now), now)

        assert Counter((await owners(tenant)).values()) == {agent: 10, other: 30}

    async def test_leaves_decision_event_and_status(self, tenant, agent, now):
        [lead] = await arrive(tenant, 1, now)

        done = await route(tenant, [lead], now)

        async with db.transaction(tenant.system) as tx:
            row = await tx.fetchrow("select status, owner_id, team_id from crm.lead")
            given = await tx.fetchrow("select payload_json from crm.event_log where event_type = 'lead.assigned'")
            [decision] = await queries.decisions(tx, lead)
        assert done.assigned == [lead]
        assert tuple(row) == ("assigned", agent, tenant.team_id)
        assert given["payload_json"]["decision_id"] == str(decision["id"])
        assert decision["reasons"][0] | {"draws": []} == {
            "code": "chosen", "user_id": str(agent), "rule": "default_team", "stage": "target", "draws": [],
        }  # fmt: skip
        assert decision["user_id"] == agent

    async def test_asked_again_changes_nothing(self, tenant, agent, now):
        arrived = await arrive(tenant, 3, now)
        await route(tenant, arrived, now)
        before = await count(tenant, "select count(*) from crm.event_log")

        again = await route(tenant, arrived, now)

        assert (again.assigned, again.kept_waiting) == ([], [])
        assert await count(tenant, "select count(*) from crm.event_log") == before

    async def test_leaves_test_leads_and_finished_ones_alone(self, tenant, now):
        arrived = await arrive(tenant, 1, now, is_test=True)
        arrived += await arrive(tenant, 1, now, status=Status.lost, loss_reason="price")
        arrived += await arrive(tenant, 1, now, status=Status.contacted)

        done = await route(tenant, arrived, now)

        assert (done.assigned, done.kept_waiting) == ([], [])
        assert set((await owners(tenant)).values()) == {None}

    async def test_the_longest_waiting_goes_first(self, tenant, agent, now):
        await seat(tenant, agent, now, capacity=2)
        early = await arrive(tenant, 2, now - timedelta(hours=1))

        await route(tenant, await arrive(tenant, 2, now), now)

        assert {lead for lead, owner in (await owners(tenant)).items() if owner} == set(early)

    async def test_a_lead_of_a_team_stays_in_it(self, tenant, agent, now):
        team = ids.new()
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "insert into crm.team (tenant_id, id, name, created_at, updated_at)"
                " values ($1::uuid, $2::uuid, 'Other', $3::timestamptz, $3::timestamptz)",
                tenant.id, team, now,
            )  # fmt: skip
        other = await hire(tenant, now, team_id=team)
        [of_team] = await arrive(tenant, 1, now, team_id=team)
        [of_nobody] = await arrive(tenant, 1, now)

        await route(tenant, [of_team, of_nobody], now)

        assert await owners(tenant) == {of_team: other, of_nobody: agent}

    async def test_gives_a_lead_that_was_handed_to_a_team(self, tenant, agent, now):
        [lead] = await arrive(tenant, 1, now)
        await db.run(
            tenant.admin,
            lambda tx: leads.assign(tx, lead, None, team_id=tenant.team_id, reason="manual", now=now),
        )

        await route(tenant, [lead], now)

        assert (await owners(tenant))[lead] == agent

    async def test_gives_nothing_to_who_has_left(self, tenant, agent, now):
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.user_account set is_active = false where id = $1::uuid", agent)

        done = await route(tenant, await arrive(tenant, 1, now), now)

        assert len(done.kept_waiting) == 1

    async def test_is_the_systems_own(self, tenant, now):
        with pytest.raises(Forbidden):
            await db.run(tenant.admin, lambda tx: routing.route(tx, [], now=now))


class TestCapacity:
    async def test_routers_in_a_race_never_exceed_it(self, tenant, agent, now):
        for capacity in (7, 11, 0):
            await hire(tenant, now, capacity=capacity)
        await seat(tenant, agent, now, capacity=5)
        arrived = await arrive(tenant, 40, now)

        async def one(part):
            for _ in range(3):
                await route(tenant, part, now)

        await asyncio.gather(*(one(arrived[n::6]) for n in range(6)))

        async with db.transaction(tenant.system) as tx:
            held = dict(await tx.fetch(OPEN_BY_OWNER))
        assert sorted(held.values()) == [5, 7, 11]
        assert await count(tenant, "select count(*) from crm.lead_assignment") == 23
        assert await count(tenant, "select count(*) from crm.routing_decision where user_id is null") == 17

    async def test_what_waits_is_said_once(self, tenant, agent, now):
        await seat(tenant, agent, now, capacity=1)
        arrived = await arrive(tenant, 3, now)

        for _ in range(3):
            await route(tenant, arrived, now)
            await sweep(tenant, now)

        async with db.transaction(tenant.system) as tx:
            waits = await tx.fetch("select reasons from crm.routing_decision where user_id is null")
            happened = await tx.fetchval("select count(*) from crm.event_log where event_type = 'lead.kept_waiting'")
        assert [row["reasons"][0]["code"] for row in waits] == ["nobody_free"] * 2
        assert [row["reasons"][1]["code"] for row in waits] == ["full"] * 2
        assert happened == 2

    async def test_what_waits_is_given_when_room_comes(self, tenant, agent, now):
        await seat(tenant, agent, now, capacity=1)
        first, second = await arrive(tenant, 2, now)
        await route(tenant, [first, second], now)
        done = next(lead for lead, owner in (await owners(tenant)).items() if owner)

        await db.run(tenant.admin, lambda tx: leads.change_status(tx, done, Status.lost, reason="price", now=now))
        swept = await sweep(tenant, now)

        assert swept.assigned == [({first, second} - {done}).pop()]

    async def test_counts_what_was_assigned_by_hand(self, tenant, agent, now):
        await seat(tenant, agent, now, capacity=1)
        [by_hand] = await arrive(tenant, 1, now)
        await db.run(tenant.admin, lambda tx: leads.assign(tx, by_hand, agent, reason="manual", now=now))

        done = await route(tenant, await arrive(tenant, 1, now), now)

        assert done.assigned == []

    async def test_a_person_of_two_teams_has_one_pair_of_hands(self, tenant, agent, now):
        team = ids.new()
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "insert into crm.team (tenant_id, id, name, created_at, updated_at)"
                " values ($1::uuid, $2::uuid, 'Other', $3::timestamptz, $3::timestamptz)",
                tenant.id, team, now,
            )  # fmt: skip
        await seat(tenant, agent, now, capacity=3)
        await seat(tenant, agent, now, capacity=3, team_id=team)
        arrived = await arrive(tenant, 3, now) + await arrive(tenant, 3, now, team_id=team)

        done = await route(tenant, arrived, now)

        assert len(done.assigned) == 3

    async def test_the_count_walks_its_own_index(self, tenant, agent, now):
        async with db.transaction(tenant.system) as tx:
            await tx.execute("set local enable_seqscan = off")
            plan = await tx.fetch(
                "explain select owner_id, count(*)::int from crm.lead where tenant_id = $1::uuid"
                f" and owner_id = any($2::uuid[]) and {routing.OPEN} group by owner_id",
                tenant.id, [agent],
            )  # fmt: skip
        assert "lead_open" in "\n".join(row[0] for row in plan)


class TestSweep:
    async def test_finds_what_nobody_told_it_of(self, tenant, agent, now):
        arrived = await arrive(tenant, 5, now)

        done = await sweep(tenant, now)

        assert sorted(done.assigned) == sorted(arrived)
        assert (await sweep(tenant, now)).assigned == []

    async def test_gives_a_batch_at_a_time(self, tenant, agent, now):
        await seat(tenant, agent, now, capacity=1000)
        await arrive(tenant, routing.BATCH + 1, now)

        first, second = await sweep(tenant, now), await sweep(tenant, now)

        assert (len(first.assigned), first.is_full) == (routing.BATCH, True)
        assert (len(second.assigned), second.is_full) == (1, False)

    async def test_stays_inside_its_tenant(self, tenant, other_tenant, now):
        await arrive(other_tenant, 1, now)

        assert (await sweep(tenant, now)).assigned == []
        assert len((await sweep(other_tenant, now)).assigned) == 1


class TestMembers:
    async def test_setting_the_same_changes_nothing(self, tenant, agent, now):
        await seat(tenant, agent, now, weight=2)
        before = await count(tenant, "select count(*) from crm.event_log")

        await seat(tenant, agent, now, weight=2)

        assert await count(tenant, "select count(*) from crm.event_log") == before

    async def test_refuses_who_is_not_here(self, tenant, now):
        with pytest.raises(routing.UnknownMember):
            await seat(tenant, ids.new(), now)
        with pytest.raises(routing.UnknownMember):
            await db.run(tenant.admin, lambda tx: routing.remove_member(tx, tenant.team_id, ids.new(), now=now))

    async def test_a_removed_member_gets_nothing_more(self, tenant, agent, now):
        await db.run(tenant.admin, lambda tx: routing.remove_member(tx, tenant.team_id, agent, now=now))

        done = await route(tenant, await arrive(tenant, 1, now), now)

        assert len(done.kept_waiting) == 1

    async def test_shows_what_each_has_in_hand(self, tenant, agent, now):
        await route(tenant, await arrive(tenant, 2, now), now)

        async with db.transaction(tenant.admin) as tx:
            [only] = await queries.members(tx)
        assert (only["user_id"], only["open_leads"]) == (agent, 2)


class TestAvailability:
    async def test_a_pause_stops_new_leads_and_leaves_a_trace(self, tenant, agent, now):
        await db.run(tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=False, now=now))

        done = await route(tenant, await arrive(tenant, 1, now), now)

        assert len(done.kept_waiting) == 1
        assert (
            await count(tenant, "select count(*) from crm.audit_log where action = 'agent.availability_changed'") == 1
        )

    async def test_refuses_who_takes_no_leads(self, tenant, now):
        with pytest.raises(availability.InNoTeam):
            await db.run(tenant.sales_manager, lambda tx: availability.set_availability(tx, accepting=True, now=now))


class TestDecisions:
    async def test_are_shown_only_with_their_lead(self, tenant, agent, now):
        [lead] = await arrive(tenant, 1, now)
        await route(tenant, [lead], now)
        stranger = Actor(tenant.id, ids.new(), ids.new(), permissions=frozenset({"lead.view.own", "lead.view.team"}))

        async with db.transaction(stranger) as tx:
            assert await queries.decisions(tx, lead) == []
        async with db.transaction(tenant.sales_manager) as tx:
            assert len(await queries.decisions(tx, lead)) == 1
