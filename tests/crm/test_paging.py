"""Paging: each row once however much arrives meanwhile, in the order asked for; cursors nobody else can make."""

import json
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import cursors, db, errors, ids, paging
from crm.actor import Actor
from crm.leads import columns, intake, lists
from crm.leads.intake import NewLead
from crm.leads.lists import Wanted
from crm.paging import Filter, Operator
from crm.settings import settings
from crm.sql import Args

START = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    """Cursors need the secret and nothing else."""
    settings.cache_clear()
    yield
    settings.cache_clear()


async def arrive(tenant, instants):
    """Store one lead for each instant and return their ids, in order."""
    made = []
    for at in instants:
        lead = NewLead("api", email=f"{ids.new().hex}@example.com")
        made.append((await db.run(tenant.system, lambda tx, lead=lead, at=at: intake.create(tx, lead, now=at))).lead_id)
    return made


async def walk(actor, *, arrivals=lambda page: None, **wanted):
    """Read a list to its end; `arrivals(n)` happens after page n. Return the ids as they came."""
    seen, cursor, number = [], None, 0
    while True:
        asked = Wanted(cursor=cursor, fields=("id",), **wanted)
        page = await db.run(actor, lambda tx, asked=asked: lists.page(tx, asked, language="en", now=START))
        seen += [UUID(json.loads(item)["id"]) for item in page.items]
        if page.next_cursor is None:
            return seen
        cursor, number = page.next_cursor, number + 1
        if (waiting := arrivals(number)) is not None:
            await waiting


class TestStability:
    @pytest.mark.parametrize("sort", ["received_at", "-received_at", "updated_at", "-updated_at"])
    @pytest.mark.parametrize("limit", [1, 2, 7])
    async def test_what_was_there_comes_once_whatever_arrives(self, tenant, sort, limit):
        # Instants repeat, so that the id must break ties; arrivals fall before, at and after every place.
        before = await arrive(tenant, [START + timedelta(seconds=n // 3) for n in range(9)])
        late = []

        async def more(number):
            late.extend(await arrive(tenant, [START + timedelta(seconds=step) for step in (-1, number % 3, 9)]))

        seen = await walk(tenant.admin, sort=sort, limit=limit, arrivals=lambda n: more(n) if n < 4 else None)

        assert len(seen) == len(set(seen))
        order = sorted(before, key=lambda lead: (before.index(lead) // 3, lead), reverse=sort.startswith("-"))
        assert [lead for lead in seen if lead in before] == order
        assert set(seen) <= set(before) | set(late)

    async def test_each_reader_walks_what_they_see(self, tenant):
        leads = await arrive(tenant, [START + timedelta(seconds=n) for n in range(8)])
        async with db.transaction(tenant.system) as tx:
            for index, lead in enumerate(leads):
                owner = tenant.sales_manager.user_id if index % 2 else tenant.sales_agent.user_id
                await tx.execute(
                    "update crm.lead set owner_id = $2::uuid, team_id = $3::uuid where id = $1::uuid",
                    lead, owner, tenant.team_id if index % 3 else None,
                )  # fmt: skip

        manager = await walk(tenant.sales_manager, sort="received_at", limit=2)
        agent = await walk(tenant.sales_agent, sort="received_at", limit=2)

        assert manager == [lead for index, lead in enumerate(leads) if index % 2 or index % 3]
        assert agent == leads[::2]

    @pytest.mark.parametrize("sort", ["-received_at", "received_at", "-updated_at", "updated_at"])
    async def test_a_page_is_read_in_order_from_an_index(self, tenant, sort):
        """Row-level security must not stand between a page and its index: sorting all rows would not scale."""
        await arrive(tenant, [START])
        for actor in (tenant.admin, tenant.sales_manager, tenant.sales_agent):
            async with db.transaction(actor) as tx:
                await tx.execute("set local enable_seqscan = off")
                await tx.execute("set local enable_bitmapscan = off")
                await tx.execute("set local enable_sort = off")
                plan = await explain(tx, Wanted(sort=sort))

            inner = plan[plan.index("Limit", 10) :]
            assert re.search(r"Index (Only )?Scan (Backward )?using lead_(received|updated|owner|team)", inner), plan
            assert "Seq Scan on lead" not in inner


async def explain(tx, wanted):
    """Return the plan of a page's statement."""
    asked = []
    fetch = type(tx).fetch

    class Spy:
        actor = tx.actor

        events = 0
        execute, fetchval, fetchrow = tx.execute, tx.fetchval, tx.fetchrow

        async def fetch(self, sql, *args):
            asked.append((sql, args))
            return await fetch(tx, sql, *args)

    await lists.page(Spy(), wanted, language="en", now=START)
    ((sql, args),) = asked
    return "\n".join(row[0] for row in await tx.fetch(f"explain {sql}", *args))


PLACES = st.tuples(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)), st.uuids())
PERSON = Actor(ids.new(), ids.new())


def cursor_of(actor=PERSON, *, purpose="leads", sort="-received_at", filter="status:in:new"):
    """Return the cursors of a list."""
    return paging.Cursor.of(purpose, actor, sort=sort, filter=filter)


class TestCursor:
    @given(PLACES)
    def test_keeps_a_place_to_the_microsecond(self, place):
        instant, row_id = place[0].replace(tzinfo=UTC), place[1]
        cursor = cursor_of()

        assert cursor.read(cursor.sign(instant, row_id, instant), "timestamptz") == (instant, row_id, instant)
        assert cursor.read(cursor.sign(instant, row_id), "timestamptz").as_of is None

    @given(PLACES, st.data())
    def test_opens_nowhere_else_and_altered_not_at_all(self, place, data):
        instant, row_id = place[0].replace(tzinfo=UTC), place[1]
        here = cursor_of()
        signed = here.sign(instant, row_id)
        at = data.draw(st.integers(0, len(signed) - 1))
        other = data.draw(st.characters(codec="ascii").filter(lambda c: c != signed[at]))
        elsewhere = [
            (cursor_of(Actor(ids.new(), PERSON.user_id)), cursors.BadCursor),
            (cursor_of(Actor(PERSON.tenant_id, ids.new())), cursors.OtherUser),
            (cursor_of(sort="received_at"), cursors.OtherSort),
            (cursor_of(filter="status:in:won"), cursors.OtherFilter),
            (cursor_of(purpose="contacts"), cursors.OtherList),
        ]

        for list_, refusal in elsewhere:
            with pytest.raises(cursors.BadCursor) as refused:
                list_.read(signed, "timestamptz")
            assert type(refused.value) is refusal
        for altered in (signed[:at] + other + signed[at + 1 :], signed[:at] + other + signed[at:], signed[:at]):
            with pytest.raises(cursors.BadCursor) as refused:
                here.read(altered, "timestamptz")
            assert type(refused.value) is cursors.BadCursor

    @given(st.text(max_size=200))
    def test_refuses_whatever_is_no_cursor(self, text):
        with pytest.raises(errors.Invalid):
            cursor_of().read(text, "timestamptz")


class TestGrammar:
    def test_values_travel_as_arguments(self):
        args = Args()
        hostile = "'; drop table crm.lead; --"
        filters = {
            "status": Filter("l.status", "text"),
            "tag": Filter("l.tags", "text", Operator.has_any),
            "since": Filter("l.at", "timestamptz", Operator.since),
            "is_test": Filter("l.is_test", "boolean", Operator.holds),
        }

        found = paging.conditions(
            filters, {"status": [hostile], "tag": [hostile, "b"], "since": START, "is_test": False}, args
        )

        assert found == ["l.status = $1::text", "l.tags && $2::text[]", "l.at >= $3::timestamptz", "not l.is_test"]
        assert args == [hostile, [hostile, "b"], START]

    def test_unknown_names_are_refused(self):
        with pytest.raises(paging.UnknownName):
            paging.conditions({}, {"wrong": 1}, Args())
        with pytest.raises(paging.UnknownName):
            paging.order("name", {"received_at": "timestamptz"}, alias="l")
        with pytest.raises(paging.UnknownName):
            paging.columns(["secret"], ["id"])

    @given(st.text(max_size=20))
    def test_no_sort_gets_into_the_statement(self, sort):
        try:
            order = paging.order(sort, columns.SORTS, alias="l")
        except paging.UnknownName:
            return
        assert order.column in columns.SORTS
