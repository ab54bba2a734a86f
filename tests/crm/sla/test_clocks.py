"""Clocks as they are kept and told of: each thing once, whoever reads the log, how late, and how often."""

import asyncio
import random
from datetime import timedelta

import pytest

from crm import clock, db, events, ids
from crm.chores import follow
from crm.leads import intake, operations
from crm.leads import operations as leads
from crm.leads.intake import NewLead
from crm.leads.rules import Channel, Direction, Status
from crm.sla import clocks
from crm.sla import operations as sla
from crm.sla.chore import Clocks
from crm.sla.rules import Escalation, Kind, Priority, Recipient, Rule
from crm.users import teams
from tests.conftest import Tenant, settled


async def make_lead(tenant: Tenant, now, **fields):
    lead = NewLead(source="api", email=f"{ids.new().hex}@mail.example", **fields)
    return (await db.run(tenant.admin, lambda tx: intake.create(tx, lead, now=now))).lead_id


async def give(tenant: Tenant, lead_id, now):
    await db.run(
        tenant.admin,
        lambda tx: leads.assign(tx, lead_id, tenant.sales_agent.user_id, reason="manual", now=now),
    )


async def call(tenant: Tenant, lead_id, at, now=None):
    await db.run(
        tenant.sales_agent,
        lambda tx: operations.record_activity(
            tx, lead_id, Channel.call, Direction.outbound, "answered", occurred_at=at, now=now or at
        ),
    )


async def settle(tenant: Tenant, lead_ids, now):
    await db.run(tenant.system, lambda tx: clocks.settle(tx, lead_ids, now=now))


async def kept(tenant: Tenant, lead_id):
    """Return every column of a lead's clocks, the oldest first."""
    sql = "select * from crm.sla_clock where lead_id = $1::uuid order by started_at, id"
    return [dict(row) for row in await db.run(tenant.system, lambda tx: tx.fetch(sql, lead_id))]


async def told(tenant: Tenant, lead_id):
    """Return what was told of a lead, in the order in which it was written."""
    sql = (
        "select event_type, occurred_at, payload_json from crm.event_log"
        " where aggregate_id = $1::uuid and event_type like 'sla.%' order by id"
    )
    return [tuple(row) for row in await db.run(tenant.system, lambda tx: tx.fetch(sql, lead_id))]


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


class TestSettle:
    async def test_keeps_when_a_lead_is_due_before_it_is(self, tenant, now):
        lead = await make_lead(tenant, now)

        await settle(tenant, [lead], now)

        (one,) = await kept(tenant, lead)
        assert (one["kind"], one["state"], one["due_at"]) == ("first_response", "running", now + minutes(15))
        assert await told(tenant, lead) == []

    async def test_tells_a_breach_at_the_instant_it_was_due_however_late_it_is_told(self, tenant, now):
        lead = await make_lead(tenant, now)
        await give(tenant, lead, now)

        await settle(tenant, [lead], now + minutes(40))

        assert [(kind, at - now, payload["to"]) for kind, at, payload in await told(tenant, lead)] == [
            ("sla.reminder_due", minutes(10), "owner"),
            ("sla.breached", minutes(15), "owner"),
            ("sla.escalated", minutes(15), "owner"),
            ("sla.escalated", minutes(30), "team_lead"),
            ("sla.reminder_due", minutes(30), "owner"),
        ]
        reached = [payload["user_ids"] for *_, payload in await told(tenant, lead)]
        assert reached[1] == [str(tenant.sales_agent.user_id)]
        assert reached[3] == [str(tenant.sales_manager.user_id)]

    async def test_passes_on_what_is_for_nobody(self, tenant, now):
        lead = await make_lead(tenant, now)

        await settle(tenant, [lead], now + minutes(16))

        payload = (await told(tenant, lead))[0][2]
        assert (payload["to"], payload["user_ids"]) == ("manager", [str(tenant.admin.user_id)])

    async def test_tells_each_thing_once_whoever_settles(self, tenant, now):
        lead = await make_lead(tenant, now)

        await asyncio.gather(*(settle(tenant, [lead], now + minutes(20)) for _ in range(8)))
        await settle(tenant, [lead], now + minutes(20))

        assert [kind for kind, *_ in await told(tenant, lead)] == ["sla.reminder_due", "sla.breached", "sla.escalated"]

    async def test_a_death_before_the_commit_loses_and_repeats_nothing(self, tenant, now):
        lead = await make_lead(tenant, now)

        async def dies(tx):
            await clocks.settle(tx, [lead], now=now + minutes(20))
            raise RuntimeError("the worker dies")

        with pytest.raises(RuntimeError):
            await db.run(tenant.system, dies)
        assert await told(tenant, lead) == []
        await settle(tenant, [lead], now + minutes(21))

        assert len(await told(tenant, lead)) == 3

    async def test_gives_the_same_clocks_and_tells_nothing_again_when_all_is_read_anew(self, tenant, now):
        lead = await make_lead(tenant, now, team_id=tenant.team_id)
        await settle(tenant, [lead], now)
        await give(tenant, lead, now + minutes(1))
        await settle(tenant, [lead], now + minutes(5))
        await call(tenant, lead, now + minutes(20))
        await settle(tenant, [lead], now + minutes(21))
        await db.run(
            tenant.sales_agent,
            lambda tx: operations.change_status(tx, lead, Status.interested, now=now + minutes(25)),
        )
        await settle(tenant, [lead], now + minutes(26))
        before, said = await kept(tenant, lead), await told(tenant, lead)

        await db.run(tenant.system, lambda tx: tx.execute("delete from crm.sla_clock"))
        await settle(tenant, [lead], now + minutes(26))

        assert await kept(tenant, lead) == before
        assert await told(tenant, lead) == said
        assert [row["kind"] for row in before] == ["first_response", "follow_up"]

    async def test_keeps_how_late_an_answer_was(self, tenant, now):
        lead = await make_lead(tenant, now)
        await give(tenant, lead, now)
        await settle(tenant, [lead], now + minutes(16))

        await call(tenant, lead, now + minutes(18))
        await settle(tenant, [lead], now + minutes(19))

        (one,) = await kept(tenant, lead)
        assert (one["state"], one["late_by_s"], one["end_reason"]) == ("breached", 180, "attempt")

    async def test_takes_a_breach_back_when_an_answer_in_time_is_recorded_late(self, tenant, now):
        lead = await make_lead(tenant, now)
        await give(tenant, lead, now)
        await settle(tenant, [lead], now + minutes(16))

        await call(tenant, lead, now + minutes(7), now=now + minutes(30))
        await settle(tenant, [lead], now + minutes(31))
        await settle(tenant, [lead], now + minutes(32))

        (one,) = await kept(tenant, lead)
        assert (one["state"], one["ended_at"]) == ("met", now + minutes(7))
        assert [kind for kind, *_ in await told(tenant, lead)].count("sla.breach_withdrawn") == 1

    async def test_tells_nothing_of_what_was_due_before_clocks_were_looked_after(self, tenant, now):
        lead = await make_lead(tenant, now)
        await db.run(tenant.system, lambda tx: sla.begin(tx, since=now, now=now + minutes(20)))

        await settle(tenant, [lead], now + minutes(40))

        assert [at - now for _, at, _ in await told(tenant, lead)] == [minutes(30), minutes(30)]

    async def test_counts_on_the_calendar_of_the_team_that_has_the_lead(self, tenant, now):
        from crm.calendars import operations as calendars
        from crm.calendars.rules import weekly

        saturday = now + timedelta(days=4, hours=12)  # half past midnight on Sunday in Istanbul
        await db.run(
            tenant.admin,
            lambda tx: calendars.set_hours(
                tx, weekly(range(7), 0, 1440), team_id=tenant.team_id, valid_from=(now + timedelta(days=1)).date(),
                now=now,
            ),
        )  # fmt: skip
        lead = await make_lead(tenant, saturday)
        await settle(tenant, [lead], saturday)
        closed = (await kept(tenant, lead))[0]["due_at"]
        await give(tenant, lead, saturday + minutes(60))
        await settle(tenant, [lead], saturday + minutes(60))

        assert closed > saturday + timedelta(days=1), "the firm is closed on Sundays"
        assert (await kept(tenant, lead))[0]["due_at"] == saturday + minutes(75), "the team never is"


class TestEscalation:
    rules = (
        Rule(
            code="quick", kind=Kind.first_response, target_s=60, time="calendar", reminders=(-30, 120),
            escalations=tuple(Escalation(to=to, after_s=60 * n) for n, to in enumerate(Recipient)),
        ),
    )  # fmt: skip

    async def escalated(self, tenant: Tenant, lead, now):
        """Return to which level each step went, and to whom, when all have come."""
        await settle(tenant, [lead], now + minutes(10))
        return [(said["step"], said["to"], said["user_ids"]) for *_, said in await told(tenant, lead)]

    async def in_a_team_of_its_own(self, tenant: Tenant, now, lead_user_id=None):
        """Return a lead of the agent in a team nobody belongs to, led by somebody of another team or by nobody."""
        await db.run(tenant.admin, lambda tx: sla.publish(tx, self.rules, now=now))
        team = await db.run(
            tenant.admin,
            lambda tx: teams.create(tx, name="Elsewhere", lead_user_id=lead_user_id, now=now),
        )
        lead, agent = await make_lead(tenant, now), tenant.sales_agent.user_id
        await db.run(tenant.admin, lambda tx: leads.assign(tx, lead, agent, team_id=team, reason="manual", now=now))
        return lead

    async def test_goes_to_the_named_lead_of_the_team_wherever_they_work(self, tenant, now):
        named = tenant.compliance_auditor.user_id
        lead = await self.in_a_team_of_its_own(tenant, now, lead_user_id=named)

        escalated = await self.escalated(tenant, lead, now)

        assert ("escalation:team_lead", "team_lead", [str(named)]) in escalated

    async def test_passes_over_a_team_that_nobody_leads(self, tenant, now):
        lead = await self.in_a_team_of_its_own(tenant, now)

        escalated = await self.escalated(tenant, lead, now)

        agent, admin = ([str(each.user_id)] for each in (tenant.sales_agent, tenant.admin))
        assert escalated == [
            ("reminder:-30", "owner", agent), ("breach", "owner", agent), ("escalation:owner", "owner", agent),
            ("escalation:team_lead", "manager", admin), ("escalation:manager", "manager", admin),
            ("reminder:120", "owner", agent),
        ]  # fmt: skip

    async def test_tells_whoever_has_the_lead_when_its_moment_comes(self, tenant, now):
        await db.run(tenant.admin, lambda tx: sla.publish(tx, self.rules, now=now))
        lead, other = await make_lead(tenant, now), tenant.sales_manager.user_id
        await give(tenant, lead, now)
        await settle(tenant, [lead], now + minutes(1))
        await db.run(tenant.admin, lambda tx: leads.assign(tx, lead, other, reason="manual", now=now + minutes(2)))

        escalated = await self.escalated(tenant, lead, now)

        owners = [user_ids for step, to, user_ids in escalated if to == "owner"]
        first, second = [str(tenant.sales_agent.user_id)], [str(other)]
        assert owners == [first, first, first, second]


class TestPublish:
    quick = (Rule(code="quick", kind=Kind.first_response, target_s=60),)

    async def test_leaves_running_clocks_under_the_rules_they_began_with(self, tenant, now):
        before = await make_lead(tenant, now)

        version = await db.run(tenant.admin, lambda tx: sla.publish(tx, self.quick, now=now + minutes(1)))
        after = await make_lead(tenant, now + minutes(2))
        await settle(tenant, [before, after], now + minutes(2))

        (old,), (new,) = await kept(tenant, before), await kept(tenant, after)
        assert (version, old["rule_version"], new["rule_version"]) == (1, 0, 1)
        assert (old["due_at"], new["due_at"]) == (now + minutes(15), now + minutes(3))

    async def test_refuses_the_past_and_a_code_used_twice(self, tenant, now):
        for rules, begins in ((self.quick, now - minutes(1)), (self.quick * 2, now)):
            with pytest.raises(sla.BadRules):
                await db.run(
                    tenant.admin,
                    lambda tx, rules=rules, begins=begins: sla.publish(tx, rules, valid_from=begins, now=now),
                )

    async def test_a_firm_begins_with_the_defaults_and_keeps_them(self, tenant, now):
        await db.run(tenant.system, lambda tx: sla.begin(tx, since=now, now=now))
        await db.run(tenant.system, lambda tx: sla.begin(tx, since=now, now=now))

        sets = await db.run(tenant.system, clocks.rule_sets)
        assert [each.version for each in sets] == [0, 1]
        assert sets[0].rules == sets[1].rules


class TestSetPriority:
    async def test_makes_open_clocks_due_sooner(self, tenant, now):
        lead = await make_lead(tenant, now)

        await db.run(tenant.admin, lambda tx: sla.set_priority(tx, lead, Priority.high, now=now + minutes(1)))
        await db.run(tenant.admin, lambda tx: sla.set_priority(tx, lead, Priority.high, now=now + minutes(2)))
        await settle(tenant, [lead], now + minutes(2))

        (one,) = await kept(tenant, lead)
        assert (one["rule_code"], one["due_at"]) == ("first-response-high", now + minutes(5))


class Hands:
    """A clock on the wall that a test turns."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


async def turn(chore: Clocks, tenant: Tenant):
    """Let a chore have its turn when all that was written can be read."""
    await settled()
    await chore.work(tenant.id)


class TestChore:
    async def test_catches_up_with_what_nobody_told_it_of(self, tenant, other_tenant, now):
        lead, foreign = await make_lead(tenant, now), await make_lead(other_tenant, now)
        hands = Hands(now)
        chore = Clocks(hands)
        await turn(chore, tenant)
        hands.now = now + minutes(20)
        chore.look_everywhere(tenant.id)
        await turn(chore, tenant)

        assert (await kept(tenant, lead))[0]["state"] == "breached"
        assert (await kept(other_tenant, foreign))[0]["due_at"] == now + minutes(15)
        assert len(await told(tenant, lead)) == 3

    async def test_tells_what_comes_when_its_moment_comes(self, tenant, now):
        lead, hands = await make_lead(tenant, now), Hands(now)
        chore = Clocks(hands)

        said = []
        for at in range(0, 80, 5):
            hands.now = now + minutes(at)
            await turn(chore, tenant)
            said.append(len(await told(tenant, lead)))

        assert said[:7] == [0, 0, 1, 3, 3, 3, 5]
        assert said[-1] == 6

    async def test_makes_no_difference_how_often_it_dies_and_forgets(self, tenant, now):
        """Random leads and deeds, one worker that is always there and one that is replaced and kills its work."""
        chance = random.Random(7)
        lead_ids = [await make_lead(tenant, now) for _ in range(6)]
        for lead in lead_ids:
            await give(tenant, lead, now + minutes(chance.uniform(0, 5)))
        hands = Hands(now)
        for step in range(1, 13):
            hands.now = now + minutes(10 * step)
            lead = chance.choice(lead_ids)
            await call(tenant, lead, hands.now)
            chore = Clocks(hands)
            if chance.random() < 0.5:
                await chore.work(tenant.id)
            else:
                async with asyncio.timeout(60):
                    work = asyncio.create_task(chore.work(tenant.id))
                    await asyncio.sleep(chance.uniform(0, 0.05))
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
        await turn(Clocks(hands), tenant)
        before = [await kept(tenant, lead) for lead in lead_ids]

        for lead in lead_ids:
            steps = [(payload["clock_id"], payload["step"]) for _, _, payload in await told(tenant, lead)]
            assert len(steps) == len(set(steps))
        await db.run(tenant.system, lambda tx: tx.execute("delete from crm.sla_clock"))
        await settle(tenant, lead_ids, hands.now)
        volatile = {"counted_until", "consumed_s"}
        assert [[{k: v for k, v in c.items() if k not in volatile} for c in each] for each in before] == [
            [{k: v for k, v in c.items() if k not in volatile} for c in await kept(tenant, lead)] for lead in lead_ids
        ]

    async def test_moves_what_is_due_when_a_day_is_closed(self, tenant, now):
        from crm.calendars import operations as calendars
        from crm.calendars.rules import CLOSED

        evening = now + timedelta(hours=5, minutes=20)  # ten to six in Istanbul
        lead = await make_lead(tenant, evening)
        chore = Clocks(Hands(evening))
        await turn(chore, tenant)
        before = (await kept(tenant, lead))[0]["due_at"]

        tomorrow = (now + timedelta(days=1)).date()
        await db.run(tenant.admin, lambda tx: calendars.set_day(tx, tomorrow, CLOSED, now=evening))
        chore.look_everywhere(tenant.id)
        await turn(chore, tenant)

        assert (await kept(tenant, lead))[0]["due_at"] == before + timedelta(days=1)

    async def test_sees_check_ins(self, tenant, now):
        lead, check = await make_lead(tenant, now), ids.new()
        due = now + timedelta(days=3)

        async def work(tx):
            await events.record(
                tx, "lead", lead, "check_in.scheduled", {"lead_id": lead, "check_in_id": check, "due_at": due}, at=now
            )

        await db.run(tenant.system, work)
        await turn(Clocks(Hands(now)), tenant)

        one = next(each for each in await kept(tenant, lead) if each["kind"] == "check_in")
        assert (one["due_at"], one["check_in_id"], one["rule_code"]) == (due, check, "check-in")

    async def test_sleeps_until_the_moment_and_then_tells(self, tenant):
        """The real worker's parts on the real clock; between looks lies an hour, so that only the alarm can wake it."""
        rules = (Rule(code="soon", kind=Kind.first_response, target_s=2, time="calendar"),)
        await db.run(tenant.admin, lambda tx: sla.publish(tx, rules, now=clock.utc_now()))
        chore, stop = Clocks(clock.utc_now), asyncio.Event()
        chore.every = 3600.0
        parts = [asyncio.create_task(follow([chore], stop)), asyncio.create_task(chore.run(stop))]
        await asyncio.sleep(0.5)

        lead = await make_lead(tenant, clock.utc_now())
        async with asyncio.timeout(60):
            while not (said := await told(tenant, lead)):
                await asyncio.sleep(0.05)

        stop.set()
        await asyncio.gather(*parts)
        (kept_clock,) = await kept(tenant, lead)
        assert [(kind, at) for kind, at, _ in said] == [("sla.breached", kept_clock["due_at"])]
