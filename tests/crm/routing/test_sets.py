"""Rule sets in force: drafts, publishing, dates; holds, returns, working hours, caps; routers in a race."""

import asyncio
from datetime import date, timedelta

import asyncpg
import pytest

from crm import db, ids
from crm.calendars import operations as calendars
from crm.calendars.rules import Hours
from crm.experiments import counting
from crm.experiments import operations as experiments
from crm.experiments.rules import Design, Outcome, Split, Variant
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.routing import operations as routing
from crm.routing import queries, rulesets, sets
from crm.users import absences, availability
from tests.conftest import settled
from tests.crm.routing import firm

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def to_team(team_id, **more):
    return {"default": {"target": {"kind": "team", "team_id": str(team_id)}, **more}}


async def live(tenant, at):
    async with db.transaction(tenant.system) as tx:
        return await sets.live(tx, at)


@pytest.fixture
def agent(tenant):
    return tenant.sales_agent.user_id


class TestPublish:
    async def test_holds_from_its_date_on_and_rewrites_nothing(self, tenant, now):
        first = await firm.publish(tenant, to_team(tenant.team_id), now)
        second = await firm.draft(tenant, {"rules": []}, now)
        await db.run(tenant.admin, lambda tx: sets.publish(tx, second, valid_from=now + HOUR, now=now))

        assert await live(tenant, now - MINUTE) is None
        assert await live(tenant, now) == first
        assert await live(tenant, now + HOUR) == second

    async def test_again_changes_nothing(self, tenant, now):
        rule_set = await firm.publish(tenant, to_team(tenant.team_id), now)
        before = await firm.ask(tenant, "select count(*) from crm.event_log")

        version = await db.run(tenant.admin, lambda tx: sets.publish(tx, rule_set, now=now + HOUR))

        assert version == 1
        assert await firm.ask(tenant, "select count(*) from crm.event_log") == before

    async def test_two_at_once_get_two_versions(self, tenant, now):
        drafts = [await firm.draft(tenant, {}, now, f"n{n}") for n in range(4)]

        versions = await asyncio.gather(
            *(db.run(tenant.admin, lambda tx, one=one: sets.publish(tx, one, now=now)) for one in drafts)
        )

        assert sorted(versions) == [1, 2, 3, 4]

    async def test_refuses_the_past(self, tenant, now):
        draft = await firm.draft(tenant, {}, now)

        with pytest.raises(sets.BadDate):
            await db.run(tenant.admin, lambda tx: sets.publish(tx, draft, valid_from=now - MINUTE, now=now))

    async def test_what_is_published_cannot_be_changed_even_by_hand(self, tenant, now):
        rule_set = await firm.publish(tenant, {}, now)

        with pytest.raises(sets.Published):
            await db.run(tenant.admin, lambda tx: sets.change(tx, rule_set, name="x", definition={}, now=now))
        with pytest.raises(asyncpg.CheckViolationError):
            async with db.transaction(tenant.system) as tx:
                await tx.execute("update crm.routing_rule_set set name = 'x'")

    async def test_refuses_people_and_teams_who_are_not_here(self, tenant, other_tenant, now):
        with pytest.raises(rulesets.BadRules) as refused:
            await firm.draft(tenant, to_team(other_tenant.team_id), now)

        assert refused.value.fields == {"default.target.team_id": "there is no such team"}

    async def test_leads_that_wait_are_asked_for_by_the_new_rules(self, tenant, agent, now):
        other = await firm.team(tenant, "Other", now)
        free = await firm.hire(tenant, now, team_id=other)
        await firm.seat(tenant, agent, now, capacity=0)
        arrived = await firm.arrive(tenant, 3, now)
        await firm.route(tenant, arrived, now)

        await firm.publish(tenant, to_team(other), now)
        done = await firm.sweep(tenant, now + MINUTE)

        assert sorted(done.assigned) == sorted(arrived)
        assert set((await firm.owners(tenant)).values()) == {free}


class TestWaiting:
    async def test_drains_oldest_first_when_somebody_returns(self, tenant, agent, now):
        await db.run(tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=False, now=now))
        await firm.seat(tenant, agent, now, capacity=2, accepting=False)
        arrived = []
        for n in range(4):
            arrived += await firm.arrive(tenant, 1, now + n * MINUTE)
            await firm.route(tenant, arrived[-1:], now + n * MINUTE)

        await db.run(tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=True, now=now + HOUR))
        done = await firm.sweep(tenant, now + HOUR)

        assert sorted(done.assigned) == sorted(arrived[:2])

    async def test_overflows_at_the_deadline_which_is_known_before(self, tenant, agent, now):
        other = await firm.team(tenant, "Overflow", now)
        helper = await firm.hire(tenant, now, team_id=other)
        await firm.seat(tenant, agent, now, capacity=0)
        hold = {"minutes": 30, "overflow_team_id": str(other)}
        await firm.publish(tenant, to_team(tenant.team_id, hold=hold), now)
        [lead] = await firm.arrive(tenant, 1, now)
        await firm.route(tenant, [lead], now)

        async with db.transaction(tenant.system) as tx:
            moment = await routing.next_moment(tx, now)
        before = await firm.sweep(tenant, now + 30 * MINUTE - MINUTE)
        at = await firm.sweep(tenant, now + 30 * MINUTE)

        assert moment == now + 30 * MINUTE
        assert (before.assigned, at.assigned) == ([], [lead])
        assert (await firm.owners(tenant))[lead] == helper

    async def test_many_that_cannot_be_given_do_not_stand_before_one_that_can(self, tenant, agent, now):
        nobody, somebody = await firm.team(tenant, "Nobody", now), tenant.team_id
        await firm.route(tenant, await firm.arrive(tenant, 260, now, team_id=nobody), now)
        await firm.sweep(tenant, now)
        [lead] = await firm.arrive(tenant, 1, now + MINUTE, team_id=somebody)

        done = await firm.route(tenant, [lead], now + MINUTE)

        assert done.assigned == [lead]

    async def test_a_long_line_of_one_demand_is_given_in_its_order(self, tenant, agent, now):
        await firm.seat(tenant, agent, now, capacity=0)
        arrived = []
        for n in range(3):
            arrived += await firm.arrive(tenant, 60, now + n * MINUTE)
        while (await firm.sweep(tenant, now + HOUR)).is_full:
            pass
        await firm.seat(tenant, agent, now + HOUR, capacity=130)

        while (await firm.sweep(tenant, now + HOUR)).is_full:
            pass

        given = {lead for lead, owner in (await firm.owners(tenant)).items() if owner}
        assert len(given) == 130
        assert set(arrived[:120]) <= given


class TestPeople:
    async def test_works_in_their_own_hours(self, tenant, agent, now):
        hours = [Hours(1, 13 * 60, 18 * 60)]  # Tuesday from 13:00 in Istanbul: half an hour from now
        await db.run(
            tenant.admin,
            lambda tx: calendars.set_hours(
                tx, hours=hours, user_id=agent, valid_from=date(2026, 3, 3), now=now - 24 * HOUR
            ),
        )
        [lead] = await firm.arrive(tenant, 1, now)

        early = await firm.route(tenant, [lead], now)
        async with db.transaction(tenant.admin) as tx:
            why = await queries.why(tx, lead)
        opened = await firm.sweep(tenant, now + 30 * MINUTE)

        assert early.kept_waiting == [lead]
        assert why["decisions"][0]["reasons"][1] == {"code": "closed", "count": 1}
        assert why["waits"]["next_at"] == now + 30 * MINUTE
        assert opened.assigned == [lead]

    async def test_is_out_of_office_until_an_instant(self, tenant, agent, now):
        await db.run(
            tenant.admin, lambda tx: absences.plan(tx, agent, kind="vacation", ends_at=now + 5 * HOUR, now=now)
        )
        [lead] = await firm.arrive(tenant, 1, now)

        early = await firm.route(tenant, [lead], now)
        back = await firm.sweep(tenant, now + 5 * HOUR)

        assert (early.kept_waiting, back.assigned) == ([lead], [lead])

    async def test_takes_no_more_than_a_days_cap_until_midnight_of_the_firm(self, tenant, agent, now):
        await firm.profile(tenant, agent, now, daily_cap=2)
        arrived = await firm.arrive(tenant, 3, now)

        today = await firm.route(tenant, arrived, now)
        evening = await firm.sweep(tenant, now + 11 * HOUR)  # 23:30 in Istanbul
        tomorrow = await firm.sweep(tenant, now + 12 * HOUR)

        assert (len(today.assigned), len(evening.assigned), len(tomorrow.assigned)) == (2, 0, 1)

    async def test_speaks_the_language_and_serves_the_region(self, tenant, agent, now):
        await firm.profile(tenant, agent, now, languages=["tr"], regions=["tr"])
        german = await firm.hire(tenant, now)
        await firm.profile(tenant, german, now, languages=["de"], regions=["de", "at"])

        [one] = await firm.arrive(tenant, 1, now, country="AT", language="de")
        [two] = await firm.arrive(tenant, 1, now, country="TR", language="tr")
        await firm.route(tenant, [one, two], now)

        assert await firm.owners(tenant) == {one: german, two: agent}


class TestExperiment:
    async def test_is_exposed_once(self, tenant, agent, now):
        await firm.seat(tenant, agent, now, capacity=1)
        target = {"kind": "team", "team_id": str(tenant.team_id)}
        sides = [{"name": name, "share": 1, "target": target} for name in ("a", "b")]
        await firm.publish(
            tenant, {"default": {"target": {"kind": "split", "experiment": "x", "variants": sides}}}, now
        )
        arrived = await firm.arrive(tenant, 3, now)
        for _ in range(3):
            await firm.route(tenant, arrived, now)
            await firm.sweep(tenant, now)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch(
                "select aggregate_id, payload_json from crm.event_log where event_type = 'experiment.exposed'"
            )

        assert {row["aggregate_id"] for row in rows} == set(arrived)
        assert len(rows) == 3
        assert {row["payload_json"]["experiment"] for row in rows} == {"x"}

    async def test_who_was_exposed_is_counted_where_the_experiment_runs(self, tenant, agent, now):
        team, split = tenant.team_id, {"kind": "split", "experiment": "teams", "variants": []}
        for name in ("a", "b"):
            target = {"kind": "team", "team_id": str(team)}
            split["variants"].append({"name": name, "share": 1, "target": target})
        await firm.publish(tenant, {"default": {"target": split}}, now)
        sides = tuple(Variant(key, 1, team_id=team) for key in ("a", "b"))
        outcome = Outcome("lead.status_changed", {"to": "won"})
        design = Design("The other team sells more", Split.team, sides, metric="event", event=outcome, window_days=30)
        experiment_id = await db.run(
            tenant.admin, lambda tx: experiments.create(tx, key="teams", design=design, now=now)
        )
        await db.run(tenant.admin, lambda tx: experiments.start(tx, experiment_id, now=now))
        arrived = await firm.arrive(tenant, 30, now)
        await firm.route(tenant, arrived, now + MINUTE)
        await settled()

        await counting.catch_up(now + HOUR)

        async with db.transaction(tenant.system) as tx:
            counted = await tx.fetch("select lead_id, position from crm.experiment_exposure")
            decided = await tx.fetch("select lead_id, reasons -> 0 ->> 'variant' as side from crm.routing_decision")
        assert {row["lead_id"]: "ab"[row["position"]] for row in counted} == dict(map(tuple, decided))
        assert {row["lead_id"] for row in counted} == set(arrived)


class TestRace:
    async def test_fifty_intakes_and_several_routers_exceed_no_capacity(self, tenant, agent, now):
        people = {agent: 3}
        await firm.seat(tenant, agent, now, capacity=3)
        for n in range(5):
            people[await firm.hire(tenant, now, capacity=2 + n, weight=1 + n)] = 2 + n
        capped = list(people)[-1]
        await firm.profile(tenant, capped, now, daily_cap=4)

        async def intake():
            [lead] = await firm.arrive(tenant, 1, now)
            await firm.route(tenant, [lead], now)

        async def router():
            for _ in range(8):
                await firm.sweep(tenant, now)

        async with asyncio.timeout(60):
            await asyncio.gather(*(intake() for _ in range(50)), *(router() for _ in range(4)))

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select owner_id, count(*) from crm.lead where owner_id is not null group by 1")
            twice = await tx.fetchval(
                "select count(*) from (select lead_id from crm.routing_decision where user_id is not null"
                " group by lead_id having count(*) > 1) t"
            )
        assert dict(rows) == people | {capped: 4}
        assert twice == 0
        assert (
            await firm.ask(tenant, "select count(*) from crm.lead where owner_id is null") == 50 - 3 - 2 - 3 - 4 - 5 - 4
        )

    async def test_routers_and_people_at_the_same_leads_do_not_lock_each_other(self, tenant, agent, now):
        await firm.hire(tenant, now, capacity=500)
        arrived = await firm.arrive(tenant, 60, now)

        async def hand(lead):
            await db.run(tenant.admin, lambda tx: leads.assign(tx, lead, agent, reason="manual", now=now))
            await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead, Status.lost, reason="other", now=now))

        async with asyncio.timeout(60):
            await asyncio.gather(
                *(firm.route(tenant, arrived[n::5], now) for n in range(5)), *(hand(lead) for lead in arrived[::3])
            )
            await firm.sweep(tenant, now)

        left = await firm.ask(tenant, "select count(*) from crm.lead where owner_id is null")
        open_twice = await firm.ask(
            tenant,
            "select count(*) from (select 1 from crm.lead_assignment where ended_at is null"
            " group by lead_id having count(*) > 1) t",
        )
        assert (left, open_twice) == (0, 0)


class TestRuns:
    async def test_what_a_run_keeps_of_three_hundred_people_is_small(self, tenant, now):
        users = [ids.new() for _ in range(300)]
        async with db.transaction(tenant.system) as tx:
            await tx.executemany(
                "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at)"
                " values ($1::uuid, $2::uuid, $2::uuid::text, 'Agent', '{sales_agent}', $3::uuid, $4::timestamptz,"
                " $4::timestamptz)",
                [(tenant.id, user, tenant.team_id, now) for user in users],
            )
            await tx.executemany(
                "insert into crm.routing_member (tenant_id, team_id, user_id, weight, updated_at)"
                " values ($1::uuid, $2::uuid, $3::uuid, $4::int, $5::timestamptz)",
                [(tenant.id, tenant.team_id, user, 1 + n % 5, now) for n, user in enumerate(users)],
            )
        arrived = await firm.arrive(tenant, 200, now)
        await firm.route(tenant, arrived, now)

        decision = await firm.ask(
            tenant, "select avg(octet_length(standing) + octet_length(reasons::text)) from crm.routing_decision"
        )
        run = await firm.ask(tenant, "select octet_length(facts) from crm.routing_run")

        assert decision < 2000
        assert run < 200 * 120
