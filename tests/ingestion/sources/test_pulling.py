"""Pulls of leads from their sources: every page once, landed or known, and going on after whatever goes wrong."""

import asyncio
from datetime import timedelta

import pytest

from crm import db
from crm.inbox import chore, clicks, connections, health, pulls
from crm.inbox import operations as inbox
from crm.inbox.chore import Inbox
from crm.inbox.pulls import CannotPull
from ingestion.sources import parsers, pulling
from tests.crm.inbox.conftest import says

FORM = "900800700600500"
HOUR = timedelta(hours=1)


async def rows(tenant, sql):
    async with db.transaction(tenant.system) as tx:
        return [dict(row) for row in await tx.fetch(sql)]


async def events(tenant, kind):
    return await rows(tenant, f"select * from crm.event_log where event_type = '{kind}' order by id")


async def work_off(tenant, now, *, turns=20):
    """Work the inbox off as the worker does."""
    worker = Inbox(lambda: now, parsers())
    for _ in range(turns):
        await worker.work(tenant.id)


@pytest.fixture
def clock(monkeypatch, now):
    """The jobs' clock, standing at `now` until it is moved."""
    at = {"now": now}
    monkeypatch.setattr(pulling.clock, "utc_now", lambda: at["now"])
    return at


def put(graph, how_many, now, **more):
    people = [{"full_name": f"Ada {n}", "email": f"a{n}@example.com"} for n in range(how_many)]
    return [graph.put(person, at=now - HOUR * (n + 1), form_id=FORM, **more) for n, person in enumerate(people)]


async def begin(tenant, connection_id, now, *, form=FORM, since=timedelta(days=30)):
    return await db.run(
        tenant.admin,
        lambda tx: pulls.backfill(tx, connection_id, form=form, since=now - since, until=now, now=now),
    )


async def state(tenant, pull_id):
    async with db.transaction(tenant.system) as tx:
        return dict(await pulls.get(tx, pull_id))


async def external_ids(tenant):
    return {row["external_id"] for row in await rows(tenant, "select external_id from crm.lead")}


class TestMetaBackfill:
    async def test_brings_every_lead_of_the_window_page_by_page(self, tenant, graph, meta_connection, clock, now):
        graph.largest_page = 7
        wanted = put(graph, 20, now)
        graph.put({"email": "old@example.com"}, at=now - timedelta(days=40), form_id=FORM)
        graph.put({"email": "other@example.com"}, at=now - HOUR, form_id="1")

        pull_id = await begin(tenant, meta_connection, now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        done = await state(tenant, pull_id)
        assert [done[name] for name in ("status", "read", "landed", "known")] == ["done", 20, 20, 0]
        assert await external_ids(tenant) == set(wanted)
        assert graph.asked == 1 + 3, "whose page it is, and three pages; what was told with them is not asked for again"

    async def test_again_changes_nothing(self, tenant, graph, meta_connection, clock, now):
        put(graph, 5, now)
        for _ in range(2):
            pull_id = await begin(tenant, meta_connection, now)
            await pulling.pull(tenant.system, pull_id=pull_id)
            await work_off(tenant, now)

        again = await state(tenant, pull_id)
        assert [again[name] for name in ("status", "read", "landed", "known")] == ["done", 5, 0, 5]
        assert len(await rows(tenant, "select from crm.lead")) == 5
        assert len(await rows(tenant, "select from crm.inbox_message")) == 5

    async def test_goes_on_where_a_failing_source_stopped_it(self, tenant, graph, meta_connection, clock, now):
        graph.largest_page, graph.most = 4, 3
        put(graph, 12, now)
        pull_id = await begin(tenant, meta_connection, now)

        await pulling.pull(tenant.system, pull_id=pull_id)
        stopped = await state(tenant, pull_id)
        graph.most, graph.asked = None, 0
        await pulling.pull(tenant.system, pull_id=pull_id)

        done = await state(tenant, pull_id)
        assert (stopped["status"], stopped["read"], stopped["last_error"]) == ("running", 8, "meta.busy")
        assert (done["status"], done["read"], done["landed"], graph.asked) == ("done", 12, 12, 1)
        waiting = await rows(tenant, "select from jobs.procrastinate_jobs where task_name = 'inbox.pull'")
        assert len(waiting) == 2, "the first and the one for later"

    async def test_two_workers_at_once_land_each_page_once(self, tenant, graph, meta_connection, clock, now):
        graph.largest_page = 3
        put(graph, 15, now)
        pull_id = await begin(tenant, meta_connection, now)

        await asyncio.gather(*(pulling.pull(tenant.system, pull_id=pull_id) for _ in range(3)))

        done = await state(tenant, pull_id)
        assert (done["status"], done["read"], done["landed"]) == ("done", 15, 15)

    async def test_stops_at_three_quarters_of_a_limit(self, tenant, graph, meta_connection, clock, now):
        graph.largest_page = 2
        graph.usage = {"type": "leadgen", "call_count": 75, "total_cputime": 1, "total_time": 1}
        put(graph, 6, now)
        pull_id = await begin(tenant, meta_connection, now)

        await pulling.pull(tenant.system, pull_id=pull_id)
        await pulling.pull(tenant.system, pull_id=pull_id)
        asked_while_resting = graph.asked
        graph.usage = None
        clock["now"] = now + timedelta(minutes=1)
        await pulling.pull(tenant.system, pull_id=pull_id)

        assert asked_while_resting == 1
        assert (await state(tenant, pull_id))["status"] == "done"

    async def test_at_the_limit_waits_as_long_as_it_is_told(self, tenant, graph, meta_connection, clock, now):
        graph.largest_page = 2
        graph.usage = {"call_count": 96, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 30}
        put(graph, 4, now)
        pull_id = await begin(tenant, meta_connection, now)
        asked = []

        for minutes in (0, 0, 29, 30):
            clock["now"] = now + timedelta(minutes=minutes)
            await pulling.pull(tenant.system, pull_id=pull_id)
            asked.append(graph.asked)

        assert asked == [1, 1, 1, 2]

    async def test_webhooks_wait_too_without_spending_an_attempt(self, tenant, graph, meta_connection, clock, now):
        graph.refuse_with = (400, 80005)
        graph.usage = {"call_count": 100, "estimated_time_to_regain_access": 10}
        async with db.transaction(tenant.system) as tx:
            connection = await connections.load(tx, meta_connection)
        for n in (1, 2):
            value = {"leadgen_id": str(n), "page_id": "1", "form_id": FORM}
            body = pulling.meta._message_of(value)
            await db.run(tenant.system, lambda tx, body=body: inbox.receive(tx, connection, body, now=now))
            await work_off(tenant, now, turns=1)

        await work_off(tenant, now + timedelta(minutes=9))
        attempts = [row["attempts"] for row in await rows(tenant, "select attempts from crm.inbox_message order by id")]
        graph.refuse_with = graph.usage = None
        graph.leads = {str(n): {"id": str(n), "field_data": [{"name": "email", "values": ["a@b.co"]}]} for n in (1, 2)}
        await work_off(tenant, now + timedelta(minutes=10))

        assert attempts == [0, 0]
        assert await external_ids(tenant) == {"1", "2"}

    async def test_messages_taken_together_stop_asking_too(self, tenant, graph, meta_connection, clock, now):
        graph.usage = {"type": "leadgen", "call_count": 80, "total_cputime": 1, "total_time": 1}
        async with db.transaction(tenant.system) as tx:
            connection = await connections.load(tx, meta_connection)
        wanted = put(graph, chore.BATCH, now)
        for lead_id in wanted:
            body = pulling.meta._message_of({"leadgen_id": lead_id, "page_id": "1", "form_id": FORM})
            await db.run(tenant.system, lambda tx, body=body: inbox.receive(tx, connection, body, now=now))

        await work_off(tenant, now, turns=1)
        asked = graph.asked
        waiting = await rows(tenant, "select attempts, next_attempt_at from crm.inbox_message where status = 'pending'")
        graph.usage = None
        await work_off(tenant, now + timedelta(minutes=1))

        assert asked <= chore.AT_ONCE, "no call begins after an answer that says three quarters"
        assert {tuple(row.values()) for row in waiting} == {(0, now + timedelta(minutes=1))}
        assert await external_ids(tenant) == set(wanted)

    async def test_leads_come_with_every_id_and_their_consent(self, tenant, graph, meta_connection, clock, now):
        graph.page_of[FORM] = "555"
        boxes = [{"checkbox_key": "whatsapp_consent", "is_checked": "1"}]
        [lead_id] = put(
            graph, 1, now, ad_id="11", adset_id="22", campaign_id="33", custom_disclaimer_responses=boxes
        )  # fmt: skip

        pull_id = await begin(tenant, meta_connection, now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        [lead] = await rows(tenant, "select form, adset, ad, campaign, attributes from crm.lead")
        [said] = await rows(tenant, "select channel, status, evidence from crm.consent")
        assert (lead["form"], lead["adset"], lead["ad"], lead["campaign"]) == (FORM, "22", "11", "33")
        assert lead["attributes"]["page"] == (await state(tenant, pull_id))["page"] == "555"
        assert (said["channel"], said["status"]) == ("whatsapp", "granted")
        assert said["evidence"].items() >= {
            "asked_in": "custom_disclaimer_responses", "question": "whatsapp_consent", "answer": "1", "lead": lead_id,
        }.items()  # fmt: skip

    async def test_a_form_that_is_refused_ends_the_pull_with_its_reason(
        self, tenant, graph, meta_connection, clock, now
    ):
        graph.refuse_with = (400, 100)
        pull_id = await begin(tenant, meta_connection, now)

        await pulling.pull(tenant.system, pull_id=pull_id)

        ended = await state(tenant, pull_id)
        assert (ended["status"], ended["last_error"]) == ("failed", "meta.refused_100")
        assert len(await events(tenant, "pull.failed")) == 1

    @pytest.mark.parametrize(
        ("changes", "field"), [({"form": None}, "form"), ({"form": "../me"}, "form"), ({"since": -HOUR}, "until")]
    )
    async def test_refuses_what_cannot_be_asked(self, tenant, meta_connection, now, changes, field):
        with pytest.raises(CannotPull) as refusal:
            await begin(tenant, meta_connection, now, **changes)

        assert field in refusal.value.fields

    async def test_says_nothing_of_people_in_events_and_jobs(self, tenant, graph, meta_connection, clock, now):
        put(graph, 3, now)
        pull_id = await begin(tenant, meta_connection, now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        said = await rows(
            tenant,
            "select string_agg(payload_json::text, '') || (select string_agg(args::text, '')"
            " from jobs.procrastinate_jobs) as said from crm.event_log",
        )
        assert "example.com" not in said[0]["said"]
        assert "access-token" not in said[0]["said"]


def submit(ads, how_many, now, *, first=0, **more):
    for n in range(first, first + how_many):
        at = now - timedelta(hours=20) + timedelta(minutes=n)
        ads.submit(f"sub-{n}", {"FULL_NAME": f"Ada {n}", "EMAIL": f"g{n}@example.com"}, at=at, **more)


class TestGoogleReconcile:
    async def test_lands_what_the_webhook_missed(self, tenant, ads, google_connection, clock, now):
        submit(ads, 6, now, campaign=(77, "İmplant Arama"), custom={"utm_term": "implant", "consent call": "yes"})

        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        done = await state(tenant, pull_id)
        assert [done[name] for name in ("kind", "status", "read", "landed")] == ["reconcile", "done", 6, 6]
        leads = await rows(tenant, "select * from crm.lead order by external_id")
        assert [lead["external_id"] for lead in leads] == [f"sub-{n}" for n in range(6)]
        assert {(lead["campaign"], lead["keyword"]) for lead in leads} == {("77", "implant")}
        assert leads[0]["acquired_at"] == now - timedelta(hours=20)
        campaigns = await rows(tenant, "select platform, external_id, name from crm.campaign")
        assert campaigns == [{"platform": "google", "external_id": "77", "name": "İmplant Arama"}]
        granted = await rows(tenant, "select channel, status, evidence from crm.consent limit 1")
        assert granted[0]["evidence"]["lead"] == "sub-0"

    async def test_goes_on_from_its_checkpoint_and_knows_what_it_has(self, tenant, ads, google_connection, clock, now):
        submit(ads, 4, now)
        await self._reconcile(tenant, google_connection, now)
        await work_off(tenant, now)
        submit(ads, 3, now, first=4)

        again = await self._reconcile(tenant, google_connection, now + HOUR)

        assert (again["landed"], again["known"]) == (3, 4)
        reached = await rows(tenant, "select position from crm.pull_checkpoint")
        assert reached[0]["position"] == now - timedelta(hours=20) + timedelta(minutes=6)

    async def test_a_webhooks_lead_under_another_id_is_known_by_its_click(
        self, tenant, ads, google_connection, clock, now
    ):
        ads.submit("api-id", {"EMAIL": "a@example.com"}, at=now - HOUR, gclid="click-1")
        async with db.transaction(tenant.system) as tx:
            connection = await connections.load(tx, google_connection)
        sent = (
            b'{"lead_id":"webhook-id","gcl_id":"click-1","google_key":"k",'
            b'"user_column_data":[{"column_id":"EMAIL","string_value":"a@example.com"}]}'
        )
        await db.run(tenant.system, lambda tx: inbox.receive(tx, connection, sent, now=now - HOUR))
        await work_off(tenant, now)

        done = await self._reconcile(tenant, google_connection, now)

        assert (done["landed"], done["known"]) == (0, 1)

    async def test_one_at_a_time(self, tenant, ads, google_connection, clock, now):
        first = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        second = await pulling.begin_reconcile(tenant.system, google_connection, now=now)

        assert first is not None
        assert second is None

    async def test_more_than_a_page_in_one_second(self, tenant, ads, google_connection, clock, now, monkeypatch):
        monkeypatch.setattr(pulling, "AT_ONCE", 3)
        for n in range(10):
            ads.submit(f"same-{n}", {"EMAIL": f"s{n}@example.com"}, at=now - HOUR)
        submit(ads, 5, now)

        done = await self._reconcile(tenant, google_connection, now)
        await work_off(tenant, now)

        assert done["status"] == "done"
        assert len(await external_ids(tenant)) == 15

    async def _reconcile(self, tenant, connection_id, now):
        pull_id = await pulling.begin_reconcile(tenant.system, connection_id, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        return await state(tenant, pull_id)


class TestRescue:
    async def test_takes_up_what_waits_once_its_source_is_well(self, tenant, graph, meta_connection, clock, now):
        graph.most = 0
        pull_id = await begin(tenant, meta_connection, now)
        for minutes in range(8):
            clock["now"] = now + timedelta(minutes=minutes)
            await pulling.pull(tenant.system, pull_id=pull_id)
        async with db.transaction(tenant.system) as tx:
            connection = await connections.load(tx, meta_connection)

        async def rescued(minutes):
            return await db.run(tenant.system, lambda tx: pulls.rescue(tx, now=now + timedelta(minutes=minutes)))

        while_down = await rescued(70)
        await db.run(
            tenant.system, lambda tx: health.answered(tx, connection.id, now=now + timedelta(minutes=75))
        )  # fmt: skip

        assert (while_down, await rescued(80), await rescued(81)) == (0, 1, 0)


class Crash(BaseException):
    """The process is gone: nothing is caught, nothing is tidied up."""


class TestCheckpoint:
    """It stands behind leads that are stored or dead letters, never beyond one that is neither."""

    async def test_a_crash_in_the_middle_of_a_page_moves_nothing(
        self, tenant, ads, google_connection, clock, now, monkeypatch
    ):
        monkeypatch.setattr(pulling, "AT_ONCE", 4)
        submit(ads, 11, now)
        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        real, calls = inbox.events.record_many, []

        async def dies_in_the_second_page(tx, many, *, at):
            await real(tx, many, at=at)
            calls.append(1)
            if len(calls) == 2:
                raise Crash

        monkeypatch.setattr(inbox.events, "record_many", dies_in_the_second_page)
        with pytest.raises(Crash):
            await pulling.pull(tenant.system, pull_id=pull_id)
        monkeypatch.setattr(inbox.events, "record_many", real)
        [reached] = await rows(tenant, "select position from crm.pull_checkpoint")
        landed = await rows(tenant, "select from crm.inbox_message")

        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        assert reached["position"] == now - timedelta(hours=20) + timedelta(minutes=3)
        assert len(landed) == 4, "the first page whole, of the second nothing"
        assert await external_ids(tenant) == {f"sub-{n}" for n in range(11)}
        assert len(await rows(tenant, "select from crm.lead")) == 11

    async def test_passes_a_row_that_cannot_be_read_once_it_is_a_dead_letter(
        self, tenant, ads, google_connection, clock, now
    ):
        submit(ads, 2, now)
        ads.submit("nobody", {"FULL_NAME": "No Address"}, at=now - timedelta(hours=10))

        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        [reached] = await rows(tenant, "select position from crm.pull_checkpoint")
        [dead] = await rows(tenant, "select id, last_error from crm.inbox_message where status = 'failed'")
        kept = await says(tenant, dead["id"])
        assert reached["position"] == now - timedelta(hours=10)
        assert (dead["last_error"], b"No Address" in kept) == ("lead.unreachable", True)
        assert await external_ids(tenant) == {"sub-0", "sub-1"}

    async def test_stays_where_it_is_while_google_does_not_answer(self, tenant, ads, google_connection, clock, now):
        submit(ads, 2, now)
        ads.most = 0

        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)

        assert await rows(tenant, "select from crm.pull_checkpoint") == []
        assert (await state(tenant, pull_id))["last_error"] == "google.unreachable"


class TestClicks:
    async def test_keyword_and_place_are_looked_up_by_the_day(self, tenant, ads, google_connection, clock, now):
        ads.submit("s1", {"EMAIL": "a@example.com"}, at=now - HOUR, gclid="gclid-1")
        ads.submit("s2", {"EMAIL": "b@example.com"}, at=now - HOUR, gclid="gclid-2")
        ads.submit("s3", {"EMAIL": "c@example.com"}, at=now - HOUR, gclid="gclid-3")
        day = now.date()
        view = {"keyword_info": {"text": "diş implantı"}, "area_of_interest": {"city": "geoTargetConstants/1012782"}}
        ads.clicks[day.isoformat(), "gclid-1"] = view
        ads.clicks[(day - timedelta(days=1)).isoformat(), "gclid-2"] = {"keyword_info": {"text": "zirkonyum"}}
        ads.places["geoTargetConstants/1012782"] = "İstanbul"
        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        await pulling.look_up(tenant.system, google_connection, now=now + HOUR)

        leads = await rows(tenant, "select keyword, geography from crm.lead order by external_id")
        assert [tuple(lead.values()) for lead in leads] == [
            ("diş implantı", "İstanbul"), ("zirkonyum", None), (None, None),
        ]  # fmt: skip
        asked = [query for query in ads.queries if "FROM click_view" in query]
        assert all(query.count("segments.date = ") == 1 for query in asked)
        assert [row["gclid"] for row in await rows(tenant, "select gclid from crm.click_lookup")] == ["gclid-3"]

    async def test_an_outage_costs_no_turn(self, tenant, ads, google_connection, clock, now):
        ads.submit("s1", {"EMAIL": "a@example.com"}, at=now - HOUR, gclid="gclid-1")
        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)
        ads.most = 0

        for hours in range(1, 20):
            await pulling.look_up(tenant.system, google_connection, now=now + HOUR * hours)

        [waiting] = await rows(tenant, "select attempts, next_attempt_at from crm.click_lookup")
        ads.most = None
        ads.clicks[now.date().isoformat(), "gclid-1"] = {"keyword_info": {"text": "zirkonyum"}}
        await pulling.look_up(tenant.system, google_connection, now=now + HOUR * 20)
        assert waiting == {"attempts": 0, "next_attempt_at": now + HOUR * 19 + clicks.LEASE}
        assert (await rows(tenant, "select keyword from crm.lead"))[0]["keyword"] == "zirkonyum"

    async def test_a_click_that_never_comes_is_given_up(self, tenant, ads, google_connection, clock, now):
        ads.submit("s1", {"EMAIL": "a@example.com"}, at=now - HOUR, gclid="gclid-1")
        pull_id = await pulling.begin_reconcile(tenant.system, google_connection, now=now)
        await pulling.pull(tenant.system, pull_id=pull_id)
        await work_off(tenant, now)

        for days in range(1, 10):
            await pulling.look_up(tenant.system, google_connection, now=now + timedelta(days=days))

        assert await rows(tenant, "select from crm.click_lookup") == []
        assert len(await events(tenant, "lead.click_unknown")) == 1
