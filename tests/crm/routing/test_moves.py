"""Automatic moves to the administrators' queue, cooling off, leads that come back."""

import asyncio
from datetime import timedelta

import pytest

from crm import db, tenant_settings
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.routing import moves, queries
from crm.routing import operations as routing
from crm.routing.chore import Router
from tests.crm.routing import firm

HOUR = timedelta(hours=1)


async def status(tenant, lead, to, at, **more):
    await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead, to, now=at, **more))


async def take_back(tenant, at, among=None):
    return await db.run(tenant.system, lambda tx: moves.take_back(tx, among, now=at))


async def hand_on(tenant, lead, team_id, at):
    await db.run(tenant.admin, lambda tx: leads.assign(tx, lead, None, team_id=team_id, reason="manual", now=at))


async def setting(tenant, key, value, at):
    await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, key, value, now=at))


@pytest.fixture
def agent(tenant):
    return tenant.sales_agent.user_id


@pytest.fixture
async def given(tenant, agent, now):
    """A lead in the agent's hands."""
    [lead] = await firm.arrive(tenant, 1, now)
    await firm.route(tenant, [lead], now)
    return lead


class TestTakeBack:
    @pytest.mark.parametrize("to", [Status.wrong_number, Status.blocked])
    async def test_takes_the_lead_from_its_owner_to_the_queue(self, tenant, agent, given, now, to):
        queue = await firm.team(tenant, "Queue", now)
        await setting(tenant, "routing.queue_team", str(queue), now)
        await status(tenant, given, to, now + HOUR)

        moved = await take_back(tenant, now + HOUR)

        async with db.transaction(tenant.system) as tx:
            row = await tx.fetchrow("select status, owner_id, team_id from crm.lead")
            last = await tx.fetchrow("select reason, user_id, team_id from crm.lead_assignment where ended_at is null")
            told = await tx.fetchval("select payload_json from crm.event_log where event_type = 'lead.queued'")
        assert moved == [given]
        assert tuple(row) == (to, None, queue)
        assert tuple(last) == (f"auto.{to}", None, queue)
        assert told == {"reason": f"auto.{to}", "from_user_id": str(agent), "team_id": str(queue)}

    async def test_happens_once_however_often_it_is_asked(self, tenant, given, now):
        await status(tenant, given, Status.wrong_number, now)

        done = await asyncio.gather(*(take_back(tenant, now) for _ in range(6)))

        assert sorted(map(len, done)) == [0, 0, 0, 0, 0, 1]
        assert await firm.ask(tenant, "select count(*) from crm.event_log where event_type = 'lead.queued'") == 1

    async def test_what_an_administrator_gave_out_stays_given(self, tenant, agent, given, now):
        await status(tenant, given, Status.wrong_number, now)
        await take_back(tenant, now)
        await db.run(tenant.admin, lambda tx: leads.assign(tx, given, agent, reason="manual", now=now))

        assert await take_back(tenant, now) == []
        assert (await firm.owners(tenant))[given] == agent

    async def test_each_new_wrong_number_moves_it_again(self, tenant, agent, given, now):
        await status(tenant, given, Status.wrong_number, now)
        await take_back(tenant, now)
        await db.run(tenant.admin, lambda tx: leads.assign(tx, given, agent, reason="manual", now=now + HOUR))
        await status(tenant, given, Status.contacted, now + HOUR)
        await status(tenant, given, Status.wrong_number, now + 2 * HOUR)

        assert await take_back(tenant, now + 2 * HOUR) == [given]

    async def test_other_statuses_and_a_firm_that_wants_none_move_nothing(self, tenant, given, now):
        await status(tenant, given, Status.no_answer, now)
        assert await take_back(tenant, now) == []
        await setting(tenant, "routing.queued_statuses", [], now)
        await status(tenant, given, Status.wrong_number, now)

        assert await take_back(tenant, now) == []

    async def test_the_queue_is_not_given_out_by_itself(self, tenant, given, now):
        await firm.hire(tenant, now)
        await status(tenant, given, Status.wrong_number, now)
        moved = await take_back(tenant, now)

        done = await firm.route(tenant, moved, now)

        assert (done.assigned, done.kept_waiting) == ([], [given])
        async with db.transaction(tenant.admin) as tx:
            told = await queries.why(tx, given)
        assert told["decisions"][0]["reasons"] == [{"code": "in_queue"}]
        assert told["waits"]["queue"] == "wrong_number"
        assert [move["status"] for move in told["moves"]] == ["wrong_number"]

    async def test_an_administrator_hands_it_on_to_a_team(self, tenant, agent, given, now):
        other = await firm.team(tenant, "Other", now)
        helper = await firm.hire(tenant, now, team_id=other)
        await status(tenant, given, Status.wrong_number, now)
        await take_back(tenant, now)
        await firm.route(tenant, [given], now)

        await hand_on(tenant, given, other, now + HOUR)
        done = await firm.route(tenant, [given], now + HOUR)

        assert done.assigned == [given]
        assert (await firm.owners(tenant))[given] == helper
        assert await take_back(tenant, now + HOUR) == []

    async def test_leaves_the_queue_with_its_status(self, tenant, agent, given, now):
        await status(tenant, given, Status.wrong_number, now)
        await firm.route(tenant, await take_back(tenant, now), now)

        await status(tenant, given, Status.contacted, now + HOUR)
        done = await firm.sweep(tenant, now + HOUR)

        assert done.assigned == []
        assert await firm.ask(tenant, "select count(*) from crm.routing_hold") == 0

    async def test_more_than_one_batch_goes_in_one_turn(self, tenant, agent, now, monkeypatch):
        monkeypatch.setattr(moves, "BATCH", 2)
        monkeypatch.setattr(moves, "DUE", moves.DUE.replace("limit 200", "limit 2"))
        arrived = await firm.arrive(tenant, 5, now)
        await firm.route(tenant, arrived, now)
        for lead in arrived:
            await status(tenant, lead, Status.wrong_number, now)
        router = Router(lambda: now)

        router.look_everywhere(tenant.id)
        await router.work(tenant.id)

        assert await firm.ask(tenant, "select count(*) from crm.routing_move") == 5

    async def test_a_rule_that_names_the_queue_gives_it_to_somebody_else(self, tenant, agent, given, now):
        other = await firm.hire(tenant, now)
        target = {"kind": "team", "team_id": str(tenant.team_id)}
        await firm.publish(
            tenant, {"rules": [{"name": "again", "when": {"queue": ["wrong_number"]}, "target": target}]}, now
        )
        await status(tenant, given, Status.wrong_number, now)

        done = await firm.route(tenant, await take_back(tenant, now), now)

        assert done.assigned == [given]
        assert (await firm.owners(tenant))[given] == other


class TestCoolingOff:
    async def test_does_not_return_to_the_same_agent_in_time(self, tenant, agent, given, now):
        await setting(tenant, "routing.cooling_off_hours", {"no_answer": 48}, now)
        await status(tenant, given, Status.no_answer, now + HOUR)
        await status(tenant, given, Status.lost, now + 2 * HOUR, reason="other")
        await status(tenant, given, Status.recycled, now + 3 * HOUR)
        await db.run(
            tenant.admin,
            lambda tx: leads.assign(tx, given, None, team_id=tenant.team_id, reason="manual", now=now + 3 * HOUR),
        )

        early = await firm.route(tenant, [given], now + 4 * HOUR)
        async with db.transaction(tenant.admin) as tx:
            why = await queries.why(tx, given)
        late = await firm.sweep(tenant, now + 49 * HOUR)

        assert (early.assigned, early.kept_waiting) == ([], [given])
        assert why["decisions"][0]["reasons"][1] == {"code": "cooling_off", "count": 1}
        assert why["waits"]["next_at"] == now + 49 * HOUR
        assert late.assigned == [given]

    async def test_goes_to_somebody_who_did_not_have_it(self, tenant, agent, given, now):
        other = await firm.hire(tenant, now)
        await setting(tenant, "routing.cooling_off_hours", {"busy": 5}, now)
        await db.run(
            tenant.sales_agent,
            lambda tx: leads.record_activity(tx, given, leads.Channel.call, leads.Direction.outbound, "busy", now=now),
        )
        for at in (now, now + 10 * HOUR):
            await db.run(
                tenant.admin,
                lambda tx, at=at: leads.assign(tx, given, None, team_id=tenant.team_id, reason="manual", now=at),
            )
            await firm.route(tenant, [given], at)
            if at == now:
                assert (await firm.owners(tenant))[given] == other


class TestComesBack:
    async def test_a_reopened_lead_of_nobody_is_given_out_again(self, tenant, agent, now):
        [lead] = await firm.arrive(tenant, 1, now, status=Status.lost, loss_reason="other")
        await status(tenant, lead, Status.recycled, now)

        done = await firm.route(tenant, [lead], now)

        assert done.assigned == [lead]

    async def test_a_look_finds_it_without_being_told(self, tenant, now):
        [lead] = await firm.arrive(tenant, 1, now, status=Status.lost, loss_reason="other")
        await status(tenant, lead, Status.recycled, now)

        assert (await firm.sweep(tenant, now)).assigned == [lead]


class TestHandedOn:
    async def test_a_lead_under_way_is_given_out_in_the_team_it_was_handed_to(self, tenant, agent, given, now):
        other = await firm.team(tenant, "Other", now)
        helper = await firm.hire(tenant, now, team_id=other)
        await status(tenant, given, Status.contacted, now)
        await hand_on(tenant, given, other, now + HOUR)

        done = await firm.sweep(tenant, now + HOUR)

        assert done.assigned == [given]
        assert (await firm.owners(tenant))[given] == helper

    async def test_a_waiting_lead_that_turns_out_a_wrong_number_is_given_to_nobody(self, tenant, agent, now):
        await firm.seat(tenant, agent, now, capacity=0)
        [lead] = await firm.arrive(tenant, 1, now)
        await firm.route(tenant, [lead], now)
        await status(tenant, lead, Status.wrong_number, now)
        await firm.seat(tenant, agent, now, capacity=5)

        done = await firm.route(tenant, [lead], now + HOUR)

        assert (done.assigned, done.kept_waiting) == ([], [])

    async def test_those_handed_on_are_found_by_their_own_index(self, tenant, now):
        async with db.transaction(tenant.system) as tx:
            await tx.execute("set local enable_seqscan = off")
            plan = await tx.fetch(f"explain {routing.CANDIDATES}", tenant.id, [], now, None)

        assert "lead_assignment_handed" in "\n".join(row[0] for row in plan)


class TestRouter:
    async def test_moves_and_gives_out_by_what_it_hears_and_by_looking(self, tenant, given, now):
        router = Router(lambda: now)
        await status(tenant, given, Status.blocked, now)

        router.look_everywhere(tenant.id)
        await router.work(tenant.id)
        await router.work(tenant.id)

        assert await firm.ask(tenant, "select count(*) from crm.routing_move") == 1
        assert (await firm.owners(tenant))[given] is None
