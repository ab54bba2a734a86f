"""Lists of leads: every filter means what it says, counts are honest, empty lists say why, nothing stale is served."""

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from crm import db, filtering, ids, kept
from crm.actor import Actor
from crm.leads import columns, intake, lists, operations
from crm.leads.filters import CLOCK_STATES, FIELDS
from crm.leads.intake import NewLead
from crm.leads.lists import Wanted
from crm.leads.rules import Status
from tests.conftest import NOW
from tests.crm.leads.filters import EMAILS, NAMES, PHONES, TAGS, TEXTS, clauses, holds


async def page(actor, *filters, now, language="en", **wanted):
    read = filtering.parse_all(filters, FIELDS, personal=True)
    return await db.run(actor, lambda tx: lists.page(tx, Wanted(read, **wanted), language=language, now=now))


def found(listed):
    return [UUID(json.loads(item)["id"]) for item in listed.items]


async def populate(tenant, how_many, *, now):
    """Store leads with everything drawn at random, and return their rows as the brute force wants them."""
    chance, rows = random.Random(7), []
    people = list(zip(NAMES, (*PHONES, None, None), (None, None, *EMAILS), strict=True))
    for n in range(how_many):
        name, phone, email = people[n % len(people)]
        lead = NewLead(
            "api", name=name, phone=phone or "", email=email or "", tags=chance.sample(TAGS, chance.randint(0, 3))
        )
        stored = await db.run(tenant.system, lambda tx, lead=lead: intake.create(tx, lead, now=now))
        at = [now + timedelta(seconds=chance.randint(-8 * 86400, 2 * 86400)) for _ in range(6)]

        def maybe(value):
            return chance.choice([None, value])

        changed = {
            "status": chance.choice(list(Status)), "cycle_no": chance.randint(1, 3),
            "owner_id": maybe(tenant.sales_agent.user_id), "team_id": maybe(tenant.team_id),
            "source": chance.choice(TEXTS), "platform": chance.choice(TEXTS), "received_at": at[0], "updated_at": at[1],
            "status_changed_at": at[2], "acquired_at": at[3], "assigned_at": maybe(at[4]),
            "first_attempt_at": maybe(at[5]), "is_test": chance.random() < 0.3, "is_duplicate": chance.random() < 0.3,
            "import_id": maybe(ids.new()),
            **{each: maybe(chance.choice(TEXTS))
               for each in ("campaign", "adset", "ad", "form", "keyword", "geography", "loss_reason")},
        }  # fmt: skip
        settings_ = ", ".join(f"{column} = ${number}" for number, column in enumerate(changed, start=2))
        async with db.transaction(tenant.system) as tx:
            await tx.execute(f"update crm.lead set {settings_} where id = $1::uuid", stored.lead_id, *changed.values())
            row = dict(await tx.fetchrow("select * from crm.lead where id = $1::uuid", stored.lead_id))
        clocks = [clock(chance, now=now) for _ in range(chance.randint(0, 3))]
        await keep_clocks(tenant, stored.lead_id, clocks)
        rows.append(row | {"name": name, "phone": phone, "email": email, "clocks": clocks})
    return rows


def clock(chance, *, now):
    """Return a clock in any state that there is, due at any time around now; late or not, noted or not."""
    state, is_over = chance.choice(CLOCK_STATES), chance.random() < 0.5
    due = now + timedelta(hours=chance.choice((-90, -30, -2, 0, 1, 20, 40)))
    return {
        "state": state, "cycle_no": chance.randint(1, 3), "due_at": None if state == "paused" else due,
        "ended_at": now if state in ("met", "cancelled") or (state == "breached" and is_over) else None,
    }  # fmt: skip


async def keep_clocks(tenant, lead, clocks, *, now=NOW):
    """Store clocks of a lead as they are given."""
    async with db.transaction(tenant.system) as tx:
        for each in clocks:
            await tx.execute(
                "insert into crm.sla_clock (tenant_id, id, lead_id, cycle_no, kind, rule_version, state, status,"
                " time_basis, target_s, started_at, consumed_s, counted_until, due_at, breached_at, ended_at,"
                " end_reason) values ($1::uuid, $2::uuid, $3::uuid, $4::int, 'first_response', 1, $5::text, 'new',"
                " 'calendar', 60, $8::timestamptz, 0, $8::timestamptz, $6::timestamptz,"
                " case when $5::text = 'breached' then $6::timestamptz end, $7::timestamptz,"
                " case when $7::timestamptz is not null then 'done' end)",
                tenant.id, ids.new(), lead, each["cycle_no"], each["state"], each["due_at"], each["ended_at"], now,
            )  # fmt: skip


class TestFilters:
    async def test_mean_what_a_second_implementation_says(self, tenant, now):
        """Any few filters, by anybody, in either order, against every row."""
        rows = await populate(tenant, 60, now=now)
        chance = random.Random(11)
        drawn = _examples(clauses([tenant.sales_agent.user_id, ids.new()], [tenant.team_id, ids.new()]), 250)

        for number, one in enumerate(drawn):
            asked = (one, *chance.sample(drawn, chance.randint(0, 2)))
            actor = (tenant.admin, tenant.sales_manager, tenant.sales_agent)[number % 3]
            if not all(_allowed(actor, each) for each in asked):
                continue
            sort = ("-received_at", "updated_at")[number % 2]
            wanted = Wanted(asked, sort=sort, limit=200, count=True)
            listed = await db.run(actor, lambda tx, wanted=wanted: lists.page(tx, wanted, language="en", now=now))

            meant = [
                row for row in rows
                if _sees(actor, row) and all(holds(each, row, actor=actor, now=now) for each in asked)
            ]  # fmt: skip
            column = sort.removeprefix("-")
            meant.sort(key=lambda row: (row[column], row["id"]), reverse=sort.startswith("-"))
            assert found(listed) == [row["id"] for row in meant], [filtering.show(each, FIELDS) for each in asked]
            assert listed.count == lists.Count(len(meant), is_exact=True)

    async def test_clocks_are_asked_by_state_and_by_what_is_due(self, tenant, now):
        late, early, none, unnoted, answered, earlier = [
            (await db.run(tenant.system, lambda tx: intake.create(tx, _lead(), now=now))).lead_id for _ in range(6)
        ]
        hour, open_ = timedelta(hours=1), {"cycle_no": 1, "ended_at": None}
        await keep_clocks(tenant, late, [{**open_, "state": "breached", "due_at": now - hour}])
        await keep_clocks(tenant, early, [{**open_, "state": "running", "due_at": now + hour}])
        await keep_clocks(tenant, unnoted, [{**open_, "state": "running", "due_at": now}])
        over = {"state": "breached", "due_at": now - hour, "ended_at": now}
        await keep_clocks(tenant, answered, [{**over, "cycle_no": 1}])
        await keep_clocks(tenant, earlier, [{**over, "cycle_no": 0}])

        async def leads(*filters):
            return set(found(await page(tenant.admin, *filters, now=now)))

        assert await leads("sla:in:breached") == {late, unnoted, answered}
        assert await leads("sla:not_in:breached") == {early, none, earlier}
        assert await leads("sla:in:running") == {early}
        assert await leads("sla:in:running,breached") == {early, late, unnoted, answered}
        assert await leads("sla_due:during:next_2h") == {early, unnoted}
        assert await leads(f"sla_due:lt:{now.isoformat()}") == {late}

    async def test_pages_give_exactly_that_set_while_leads_arrive(self, tenant, now):
        """Any few filters, by anybody, in either order, in pages of any size; others store leads all the time."""
        rows = {row["id"]: row for row in await populate(tenant, 40, now=now)}
        chance = random.Random(13)
        drawn = _examples(clauses([tenant.sales_agent.user_id], [tenant.team_id]), 80)

        async with _arrivals(tenant, now=now) as (arrived, turn):
            for number, one in enumerate(drawn):
                turn.release()
                actor = (tenant.admin, tenant.sales_manager, tenant.sales_agent)[number % 3]
                asked = tuple(each for each in (one, chance.choice(drawn))[: 1 + number % 2] if _allowed(actor, each))
                sort, limit = ("-received_at", "updated_at", "received_at")[number // 3 % 3], chance.randint(2, 30)
                seen = await _walk(actor, Wanted(asked, sort=sort, limit=limit), now=now)

                meant = [
                    row for row in rows.values()
                    if _sees(actor, row) and all(holds(each, row, actor=actor, now=now) for each in asked)
                ]  # fmt: skip
                meant.sort(key=lambda row: (row[sort.removeprefix("-")], row["id"]), reverse=sort.startswith("-"))
                what = [filtering.show(each, FIELDS) for each in asked]
                assert len(seen) == len(set(seen)), what
                assert [lead for lead in seen if lead in rows] == [row["id"] for row in meant], what
                assert set(seen) <= rows.keys() | set(arrived), what
        assert len(arrived) > len(drawn) // 2

    async def test_values_never_become_words_of_the_statement(self, tenant, now):
        await populate(tenant, 3, now=now)
        for hostile in ("'; drop table crm.lead; --", "$1", "{item}", "%", "\\", "' or true --"):
            for text in (f'campaign:in:"{hostile.replace(chr(92), chr(92) * 2)}"', f"name:has:{hostile} x"):
                assert found(await page(tenant.admin, text, now=now)) == []
        assert len(found(await page(tenant.admin, now=now))) == 3

    async def test_the_span_of_the_first_page_is_that_of_the_next(self, tenant, now):
        stored = [
            (await db.run(tenant.system, lambda tx, at=at: intake.create(tx, _lead(), now=at))).lead_id
            for at in (now - timedelta(minutes=30), now - timedelta(minutes=20), now - timedelta(minutes=10))
        ]
        first = await page(tenant.admin, "received_at:during:last_1h", now=now, limit=2)
        later = now + timedelta(minutes=45)

        rest = await page(tenant.admin, "received_at:during:last_1h", now=later, limit=2, cursor=first.next_cursor)

        assert found(first) + found(rest) == stored[::-1]


def _examples(strategy, how_many):
    drawn = []

    @settings(max_examples=how_many, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def draw(one):
        drawn.append(one)

    draw()
    return drawn


def _sees(actor, row):
    if actor.may("lead.view.all"):
        return True
    return row["owner_id"] == actor.user_id or (actor.may("lead.view.team") and row["team_id"] == actor.team_id)


def _lead(**fields):
    return NewLead("api", email=f"{ids.new().hex}@example.com", **fields)


def _allowed(actor, clause):
    needed = FIELDS[clause.field].permission
    return needed is None or actor.may(needed)


async def _walk(actor, wanted, *, now):
    """Read a list to its end, page by page; return the ids as they came."""
    seen = []
    while True:
        listed = await db.run(actor, lambda tx, wanted=wanted: lists.page(tx, wanted, language="en", now=now))
        seen += found(listed)
        if listed.next_cursor is None:
            return seen
        wanted = replace(wanted, cursor=listed.next_cursor)


@asynccontextmanager
async def _arrivals(tenant, *, now):
    """Have a lead stored beside, before or behind whatever place a reader has, for each `turn`; yield ids and turn."""
    arrived, chance, turn = [], random.Random(17), asyncio.Semaphore(0)

    async def arrive():
        while True:
            await turn.acquire()
            at = now + timedelta(seconds=chance.randint(-8 * 86400, 2 * 86400))
            given = {"tags": chance.sample(TAGS, 1), "platform": chance.choice(("meta", "google"))}
            arrived.append(await _store(tenant, at=at, team_id=chance.choice((None, tenant.team_id)), **given))

    async with asyncio.TaskGroup() as group:
        working = [group.create_task(arrive()) for _ in range(2)]
        try:
            yield arrived, turn
        finally:
            for each in working:
                each.cancel()


async def _store(tenant, *, at, **fields):
    return (await db.run(tenant.system, lambda tx: intake.create(tx, _lead(**fields), now=at))).lead_id


class TestCount:
    async def test_is_marked_where_it_is_estimated(self, tenant, now, monkeypatch):
        await populate(tenant, 12, now=now)
        monkeypatch.setattr(lists, "COUNTED", 10)

        exact = await page(tenant.admin, "status:in:won", now=now, count=True)
        guessed = await page(tenant.admin, now=now, count=True)

        assert exact.count == lists.Count(len(exact.items), is_exact=True)
        assert not guessed.count.is_exact
        assert guessed.count.value > 10

    async def test_counts_exactly_up_to_the_border(self, tenant, now, monkeypatch):
        await populate(tenant, 12, now=now)
        monkeypatch.setattr(lists, "COUNTED", 12)

        assert (await page(tenant.admin, now=now, count=True)).count == lists.Count(12, is_exact=True)


class TestHint:
    async def test_says_what_empties_the_list(self, tenant, now):
        empty = await page(tenant.admin, "status:in:new", now=now)
        await db.run(tenant.system, lambda tx: intake.create(tx, _lead(tags=["vip"]), now=now))
        one = await page(tenant.admin, "status:in:won", "tags:any:vip", now=now)
        both = await page(tenant.admin, "status:in:won", "tags:any:cold", now=now, language="tr")
        some = await page(tenant.admin, "tags:any:vip", now=now)
        nobodys = await page(tenant.sales_agent, "tags:any:vip", now=now)

        assert (empty.hint.code, empty.hint.drop) == ("leads.none_yet", ())
        assert (one.hint.code, one.hint.drop) == ("leads.none_match", ("status",))
        assert "Status" in one.hint.message
        assert (both.hint.code, both.hint.drop) == ("leads.none_match", ())
        assert both.hint.message.startswith("Bu filtrelere uyan")
        assert some.hint is None
        assert nobodys.hint.code == "leads.none_yet"

    async def test_gives_up_in_time_and_the_transaction_goes_on(self, tenant, now, monkeypatch):
        await db.run(tenant.system, lambda tx: intake.create(tx, _lead(), now=now))
        monkeypatch.setattr(lists, "PATIENCE", "1ms")
        monkeypatch.setattr(lists, "matching", lambda *_: "pg_sleep(1) is not null")

        async def both(tx):
            listed = await lists.page(
                tx, Wanted(filtering.parse_all(["status:in:won"], FIELDS)), language="en", now=now
            )
            return listed, await tx.fetchval("select count(*) from crm.lead")

        listed, count = await db.run(tenant.admin, both)

        assert (listed.hint.code, listed.hint.drop, count) == ("leads.none_match", (), 1)


class TestColumns:
    async def test_what_one_may_not_see_is_refused_and_not_shown(self, tenant, now):
        stranger = Actor(tenant.id, ids.new(), None, frozenset(), frozenset({"lead.view.all"}))
        await db.run(tenant.system, lambda tx: intake.create(tx, _lead(), now=now))

        with pytest.raises(columns.ColumnNotAllowed):
            await page(stranger, now=now, fields=("id", "contact"))
        with pytest.raises(filtering.FilterNotAllowed):
            await page(stranger, "name:starts:ada", now=now)
        (item,) = (await page(stranger, now=now)).items

        assert "contact" not in json.loads(item)

    def test_every_column_names_a_filter_there_is(self):
        assert {column.filter for column in columns.COLUMNS.values()} - {None} <= set(FIELDS)
        assert set(columns.SORTS) <= set(columns.COLUMNS)


class TestKept:
    @pytest.fixture(autouse=True)
    def keep_everything(self, monkeypatch):
        """Even quick answers are kept."""
        monkeypatch.setattr(kept, "SLOW", 0.0)
        kept.forget()
        yield
        kept.forget()

    async def test_is_served_while_nothing_happens(self, tenant, other_tenant, now, monkeypatch):
        await populate(tenant, 3, now=now)
        first = await page(tenant.admin, "status:not_in:won", now=now)
        asked = []
        fetch = db.Tx.fetch
        monkeypatch.setattr(db.Tx, "fetch", lambda self, sql, *args: asked.append(sql) or fetch(self, sql, *args))
        await db.run(other_tenant.system, lambda tx: intake.create(tx, _lead(), now=now))
        asked.clear()

        again = await page(tenant.admin, "status:not_in:won", now=now)
        other = await page(other_tenant.admin, "status:not_in:won", now=now)

        assert again.items == first.items
        assert len(asked) == 1, "the other firm's page alone was read"
        assert len(other.items) == 1

    async def test_never_after_any_change(self, tenant, now):
        """Readers and writers in turns: each page equals what the database says at that moment."""
        rows, chance = await populate(tenant, 6, now=now), random.Random(3)
        for step in range(40):
            lead = chance.choice(rows)["id"]
            tags = [chance.choice(TAGS)]
            await db.run(
                tenant.admin, lambda tx, lead=lead, tags=tags: operations.update(tx, lead, {"tags": tags}, now=now)
            )
            listed = await page(tenant.admin, "tags:any:vip", now=now, count=True)
            async with db.transaction(tenant.system) as tx:
                true = await tx.fetch(
                    "select id from crm.lead where tags && '{vip}' order by received_at desc, id desc"
                )
            assert found(listed) == [row["id"] for row in true], step
            assert listed.count.value == len(true)

    @pytest.mark.parametrize("is_overtaken", [False, True])
    async def test_sees_a_change_that_was_under_way_when_it_was_kept(self, tenant, now, is_overtaken):
        """Also when a transaction that began later had ended by then: the late one is known by its number alone."""
        lead = await _store(tenant, at=now, tags=["vip"])
        async with db.transaction(tenant.admin) as tx:
            await operations.update(tx, lead, {"tags": []}, now=now)
            if is_overtaken:
                await _store(tenant, at=now, tags=["cold"])
            before = found(await page(tenant.admin, "tags:any:vip", now=now))

        after = found(await page(tenant.admin, "tags:any:vip", now=now))

        assert (before, after) == ([lead], [])

    async def test_not_longer_than_it_is_good_for(self, tenant, now, monkeypatch):
        await populate(tenant, 1, now=now)
        first = await page(tenant.admin, "status:not_in:won", now=now)
        async with db.transaction(tenant.system) as tx:  # a change without its event: no operation does that
            await tx.execute("update crm.lead set status = 'won'")
        stale = await page(tenant.admin, "status:not_in:won", now=now)
        monkeypatch.setattr(kept, "GOOD_FOR", 0.0)

        fresh = await page(tenant.admin, "status:not_in:won", now=now)

        assert stale.items == first.items
        assert fresh.items == []

    async def test_keeps_only_so_many(self, tenant, now, monkeypatch):
        monkeypatch.setattr(kept, "MOST", 3)
        for each in Status:
            await page(tenant.admin, f"status:in:{each}", now=now)

        assert len(kept._answers) <= 3
