"""Replay: the rules of the day give back a busy week exactly; a draft shows what it would have changed."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random

import pytest

from crm import db, tenant_settings
from crm.calendars import operations as calendars
from crm.calendars.rules import Hours
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.routing import history, moves, sets
from crm.routing import operations as routing
from crm.routing.floor import CODES
from crm.users import absences
from tests.crm.routing import firm

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def replay(tenant, rule_set_id, since, until):
    async with db.transaction(tenant.system) as tx:
        return await history.replay(tx, rule_set_id, since=since, until=until)


def rules(first, second, agent):
    return {
        "rules": [
            {"name": "vip", "when": {"campaign": ["vip*"]},
             "target": {"kind": "skills", "require": {"implant": 4}, "relax": [{"after_minutes": 60, "require": {}}]}},
            {"name": "shared", "when": {"adset": ["wide"]},
             "target": {"kind": "pool", "shares": [{"team_id": str(first), "percent": 70},
                                                   {"team_id": str(second), "percent": 30}]}},
            {"name": "own", "when": {"keyword": ["private"]}, "target": {"kind": "agent", "user_id": str(agent)},
             "hold": {"minutes": 120, "overflow_team_id": str(second)}},
            {"name": "tested", "when": {"geography": ["de"]},
             "target": {"kind": "split", "experiment": "teams",
                        "variants": [{"name": "a", "share": 1, "target": {"kind": "team", "team_id": str(first)}},
                                     {"name": "b", "share": 1, "target": {"kind": "team", "team_id": str(second)}}]}},
            {"name": "again", "when": {"queue": ["wrong_number"]},
             "target": {"kind": "team", "team_id": str(second)}},
        ],
    }  # fmt: skip


SHAPES = (
    {"campaign": "VIP spring"},
    {"adset": "wide"},
    {"keyword": "a private clinic"},
    {"geography": "DE"},
    {"country": "GB", "language": "en"},
    {},
    {},
)


class Week:
    """A week of a firm with two teams: arrivals, absences, pauses, caps, sales, wrong numbers, several routers."""

    def __init__(self, tenant, now, seed):
        self.tenant, self.now, self.rng = tenant, now, Random(seed)
        self.people = []

    async def begin(self):
        self.second = await firm.team(self.tenant, "Second", self.now)
        self.people = [self.tenant.sales_agent.user_id]
        for n in range(6):
            place = self.second if n % 3 == 2 else self.tenant.team_id
            capacity = self.rng.randint(3, 9)
            self.people.append(
                await firm.hire(self.tenant, self.now, weight=1 + n % 3, capacity=capacity, team_id=place)
            )
        await firm.profile(self.tenant, self.people[1], self.now, skills={"implant": 5}, languages=["tr", "en"])
        await firm.profile(self.tenant, self.people[2], self.now, skills={"implant": 2}, daily_cap=4, languages=["tr"])
        await firm.profile(self.tenant, self.people[3], self.now, languages=["tr"], regions=["tr", "de"])
        first = rules(self.tenant.team_id, self.second, self.people[4])
        self.first = await firm.draft(self.tenant, first, self.now, "first")
        second = rules(self.second, self.tenant.team_id, self.people[3])
        second |= {"default": {"target": first["rules"][1]["target"]}}
        self.other = await firm.draft(self.tenant, second, self.now, "second")
        queue = await firm.team(self.tenant, "Queue", self.now)
        self.plans = {
            10: [partial(self.publish, self.first)],
            5: [partial(self.hours, self.people[5])],
            30: [partial(self.set, "routing.cooling_off_hours", {"lost": 90, "wrong_number": 3})],
            35: [partial(self.leave, self.people[6])],
            45: [partial(self.set, "routing.queue_team", str(queue)), partial(self.come_back, self.people[6])],
            50: [partial(self.publish, self.other)],
            55: [partial(self.set, "routing.queued_statuses", ["blocked", "wrong_number", "no_answer"])],
        }
        """What is done at which step, beside what chance does."""

    async def publish(self, rule_set, at):
        await db.run(self.tenant.admin, lambda tx: sets.publish(tx, rule_set, now=at))

    async def set(self, key, value, at):
        await db.run(self.tenant.admin, lambda tx: tenant_settings.change(tx, key, value, now=at))

    async def hours(self, who, at):
        every_day = [Hours(day, 9 * 60, 15 * 60) for day in range(7)]
        await db.run(
            self.tenant.admin,
            lambda tx: calendars.set_hours(tx, hours=every_day, user_id=who, valid_from=at.date() + 2 * DAY, now=at),
        )

    async def leave(self, who, at):
        self.left = await firm.ask(self.tenant, "select team_id from crm.routing_member where user_id = $1::uuid", who)
        await db.run(self.tenant.admin, lambda tx: routing.remove_member(tx, self.left, who, now=at))

    async def come_back(self, who, at):
        await firm.seat(self.tenant, who, at, team_id=self.left, weight=2, capacity=8)

    async def live(self, steps):
        await firm.seat(self.tenant, self.people[0], self.now, capacity=6, weight=2)
        at = self.now
        for step in range(steps):
            at += timedelta(minutes=self.rng.randint(5, 100), microseconds=self.rng.randint(0, 999_999))
            arrived = []
            for _ in range(self.rng.randint(0, 4)):
                arrived += await firm.arrive(self.tenant, 1, at, **self.rng.choice(SHAPES))
            await self.something(at)
            for plan in self.plans.get(step, ()):
                await plan(at)
            moved = await db.run(self.tenant.system, lambda tx, at=at: moves.take_back(tx, now=at))
            parts = [arrived[::2] + moved, arrived[1::2]]
            await asyncio.gather(*(firm.route(self.tenant, part, at) for part in parts), firm.sweep(self.tenant, at))
        return at

    async def something(self, at):
        """Let something happen: a lead ends, a wrong number, a pause, an absence, a seat changes, one goes by hand."""
        tenant, kind, team = self.tenant, self.rng.randrange(8), self.rng.choice([self.tenant.team_id, self.second])
        open_leads = await self.open_leads()
        if kind <= 3 and open_leads:
            for lead in self.rng.sample(open_leads, min(3, len(open_leads))):
                to = self.rng.choice([Status.lost, Status.lost, Status.won, Status.wrong_number, Status.no_answer])
                await db.run(
                    tenant.admin, lambda tx, lead=lead, to=to: leads.change_status(tx, lead, to, reason="other", now=at)
                )
                if to is Status.lost and self.rng.random() < 0.4:
                    await db.run(
                        tenant.admin, lambda tx, lead=lead: leads.change_status(tx, lead, Status.recycled, now=at)
                    )
                    await db.run(
                        tenant.admin,
                        lambda tx, lead=lead: leads.assign(tx, lead, None, team_id=team, reason="manual", now=at),
                    )
        elif kind == 4:
            who = self.rng.choice(self.people)
            place = await firm.ask(tenant, "select team_id from crm.routing_member where user_id = $1::uuid", who)
            if place is None:
                return
            await firm.seat(
                tenant, who, at, team_id=place, weight=self.rng.randint(1, 4), capacity=self.rng.randint(2, 9),
                accepting=self.rng.random() < 0.7,
            )  # fmt: skip
        elif kind == 5:
            who = self.rng.choice(self.people[1:])
            span = {"starts_at": at + HOUR / 2, "ends_at": at + self.rng.randint(2, 30) * HOUR}
            await self.absence(who, span, at)
        elif kind == 6 and open_leads:
            lead, who = self.rng.choice(open_leads), self.rng.choice(self.people)
            await db.run(tenant.admin, lambda tx: leads.assign(tx, lead, who, reason="manual", now=at))

    async def absence(self, who, span, at):
        with suppress(absences.Overlaps):  # they are away then already
            await db.run(self.tenant.admin, lambda tx: absences.plan(tx, who, kind="leave", now=at, **span))

    async def open_leads(self):
        async with db.transaction(self.tenant.system) as tx:
            rows = await tx.fetch(f"select id from crm.lead where {routing.OPEN} order by received_at, id")
        return [row["id"] for row in rows]


HAPPENED = """
select (select count(*) from crm.routing_decision where user_id is not null) as given,
       (select count(*) from crm.routing_decision d where user_id is not null
          and exists (select from crm.routing_decision w where w.lead_id = d.lead_id and w.user_id is null
                        and w.decided_at < d.decided_at)) as given_after_waiting,
       (select count(distinct coalesce(rule_set_id::text, '')) from crm.routing_decision) as rule_sets,
       (select array_agg(distinct r ->> 'code') from crm.routing_decision, jsonb_array_elements(reasons) r) as codes,
       (select array_agg(distinct rule) from crm.routing_decision) as rules,
       (select array_agg(distinct status) from crm.routing_move) as moves,
       (select count(*) from crm.routing_decision where reasons -> 0 ? 'ring') as rings,
       (select count(*) from crm.routing_decision where reasons -> 0 ->> 'stage' = 'overflow'
           and user_id is not null) as overflows
"""


async def what_happened(tenant):
    """Return what a week had of everything that replay must give back."""
    async with db.transaction(tenant.system) as tx:
        found = await tx.fetchrow(HAPPENED)
    return {name: set(value) if isinstance(value, list) else value for name, value in found.items()}


@pytest.fixture
async def week(tenant, now):
    week = Week(tenant, now, seed=7)
    await week.begin()
    return week


class TestReplay:
    async def test_the_rules_of_the_day_give_back_a_busy_week(self, tenant, week, now):
        end = await week.live(90)

        whole = await replay(tenant, None, now, end + HOUR)

        seen = await what_happened(tenant)
        assert seen["given"] > 80
        assert seen["given_after_waiting"] > 10
        assert seen["rule_sets"] == 3
        assert seen["codes"] >= {*CODES} - {"inactive"}
        assert seen["rules"] >= {"vip", "shared", "own", "tested", "again", "default", "default_team", "handed_to_team"}
        assert seen["moves"] >= {"wrong_number", "no_answer"}
        assert seen["rings"]
        assert seen["overflows"]
        assert whole["unlike_record"] == 0
        assert (whole["other_agent"], whole["given_only_in_history"], whole["given_only_in_replay"]) == (0, 0, 0)
        assert whole["waiting_seconds"]["live"] == whole["waiting_seconds"]["replayed"]
        assert sum(each["live"] for each in whole["agents"]) == whole["waiting_seconds"]["live"]["given"]

    async def test_a_window_in_the_middle_is_given_back_too(self, tenant, week, now):
        end = await week.live(60)

        part = await replay(tenant, None, now + (end - now) / 2, end)

        assert part["leads"] > 10
        assert part["unlike_record"] == 0
        assert part["same_agent"] + part["given_in_neither"] == part["leads"]

    async def test_a_published_rule_set_gives_back_what_it_did_itself(self, tenant, week, now):
        end = await week.live(49)
        began = await firm.ask(tenant, "select valid_from from crm.routing_rule_set where version = 1")

        part = await replay(tenant, week.first, began, end + HOUR)

        assert part["leads"] > 30
        assert part["other_agent"] + part["given_only_in_replay"] + part["given_only_in_history"] == 0
        assert part["waiting_seconds"]["live"] == part["waiting_seconds"]["replayed"]

    async def test_the_record_is_compared_reason_by_reason(self, tenant, now, monkeypatch):
        arrived = await firm.arrive(tenant, 3, now)
        await firm.route(tenant, arrived, now)
        read = history._recorded

        def another(row):
            run = read(row)
            kept = run.decided[arrived[1]]
            run.decided[arrived[1]] = kept._replace(
                reasons=[kept.reasons[0] | {"stage": "overflow"}, *kept.reasons[1:]]
            )
            return run

        monkeypatch.setattr(history, "_recorded", another)
        whole = await replay(tenant, None, now, now + HOUR)

        assert whole["unlike_record"] == 1

    async def test_a_draft_that_says_the_same_changes_no_agents_share_of_a_calm_day(self, tenant, now):
        await firm.hire(tenant, now)
        for n in range(10):
            await firm.route(tenant, await firm.arrive(tenant, 1, now + n * HOUR), now + n * HOUR)
        same = await firm.draft(tenant, {"default": {"target": {"kind": "team", "team_id": str(tenant.team_id)}}}, now)

        result = await replay(tenant, same, now, now + 24 * HOUR)

        assert (result["leads"], result["same_agent"]) == (10, 10)

    async def test_a_draft_shows_who_would_have_got_what(self, tenant, now):
        other = await firm.hire(tenant, now)
        arrived = []
        for n in range(10):
            arrived += await firm.arrive(tenant, 1, now + n * HOUR)
            await firm.route(tenant, arrived[-1:], now + n * HOUR)
        all_to_one = await firm.draft(tenant, {"default": {"target": {"kind": "agent", "user_id": str(other)}}}, now)

        result = await replay(tenant, all_to_one, now, now + 24 * HOUR)

        assert result["other_agent"] == 5
        assert {each["user_id"]: each["replayed"] for each in result["agents"]}[other] == 10
        assert {each["live"] for each in result["changes"]} == {tenant.sales_agent.user_id}

    async def test_a_draft_fills_hands_and_waits_for_them_to_come_free(self, tenant, now):
        other = await firm.hire(tenant, now, capacity=1)
        first, second = [(await firm.arrive(tenant, 1, now + n * HOUR))[0] for n in range(2)]
        for n, lead in enumerate((first, second)):
            await firm.route(tenant, [lead], now + n * HOUR)
        await db.run(
            tenant.admin, lambda tx: leads.change_status(tx, first, Status.lost, reason="other", now=now + 5 * HOUR)
        )
        draft = await firm.draft(tenant, {"default": {"target": {"kind": "agent", "user_id": str(other)}}}, now)

        result = await replay(tenant, draft, now, now + 24 * HOUR)

        # The first goes to the only place there is; the second gets it when the first has ended, four hours later.
        assert result["waiting_seconds"]["replayed"]["given"] == 2
        assert result["waiting_seconds"]["replayed"]["p95"] == 4 * 3600
        assert result["waiting_seconds"]["live"]["p95"] == 0

    async def test_refuses_a_window_that_is_none(self, tenant, now):
        with pytest.raises(history.BadWindow):
            await replay(tenant, None, now, now)
