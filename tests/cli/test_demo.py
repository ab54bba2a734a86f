"""The demo: a month that is believable, repeatable, and told to the real operations."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import demo
from cli.demo import hours, month, reports, staff, world
from cli.demo.desk import Act, Case, Desk, LookAfter, Move, Offer, Sale, Talk
from cli.demo.market import Market
from cli.keeper import free_port
from crm import db, tenancy
from crm.actor import Actor
from crm.calendars import operations as calendars
from crm.calendars.rules import USUAL
from crm.duplicates import rules as duplicates
from crm.duplicates.rules import Reason
from crm.leads import rules
from crm.leads.rules import Status

UNTIL = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=30)
SEEDS = st.integers(0, 10_000)


def market(leads: int = 400, seed: int = 1) -> Market:
    return Market(leads=leads, since=SINCE, until=UNTIL, seed=seed)


def worked(leads: int = 400, seed: int = 1) -> tuple[Market, dict[int, list[Act]]]:
    """Live through a month without a database: leads go to desks in turn; return what was done to each."""
    made = market(leads, seed)
    agents = staff.floor(leads=leads, since=SINCE, until=UNTIL, seed=seed)
    desks = [Desk(agent, SINCE, UNTIL) for agent in agents]
    for arrival in made.arrivals:
        case = Case(arrival, month.Random(f"{seed} {arrival.number}"))
        desks[arrival.number % len(desks)].take(case, arrival.received_at)
    done: dict[int, list[Act]] = {}
    for desk in desks:
        for act in desk.work(UNTIL):
            done.setdefault(act.lead, []).append(act)
    return made, done


class TestMarket:
    @settings(max_examples=10, deadline=None)
    @given(seed=SEEDS)
    def test_the_same_seed_makes_the_same_month(self, seed):
        assert market(60, seed).arrivals == market(60, seed).arrivals
        assert list(market(60, seed).ad_days()) == list(market(60, seed).ad_days())

    def test_another_seed_makes_another_month(self):
        assert market(60, 1).arrivals != market(60, 2).arrivals

    @settings(max_examples=10, deadline=None)
    @given(seed=SEEDS)
    def test_leads_come_within_the_month_and_after_they_were_acquired(self, seed):
        for arrival in market(120, seed).arrivals:
            assert SINCE <= arrival.acquired_at <= arrival.received_at < UNTIL

    def test_numbers_are_valid_and_of_their_country(self):
        for arrival in market(1500).arrivals:
            number = phonenumbers.parse(arrival.person.phone)
            assert phonenumbers.is_valid_number(number)
            assert phonenumbers.region_code_for_number(number) == arrival.person.country

    def test_addresses_lead_nowhere(self):
        domains = {arrival.person.email.split("@")[1] for arrival in market().arrivals}

        assert domains <= {"example.com", "example.org", "example.net"}

    def test_a_campaign_brings_nothing_before_it_begins_or_after_it_ends(self):
        for arrival in market(2000).arrivals:
            progress = (arrival.acquired_at - SINCE) / timedelta(days=30)
            assert arrival.campaign.begins - 0.08 <= progress <= arrival.campaign.ends + 0.08

    def test_evenings_are_busier_than_nights(self):
        local = Counter(arrival.acquired_at.astimezone(hours.ZONE).hour for arrival in market(3000).arrivals)

        assert sum(local[hour] for hour in range(19, 23)) > 3 * sum(local[hour] for hour in range(2, 6))

    def test_spend_follows_leads_by_what_each_costs(self):
        made = market(3000)
        spent, brought = Counter(), Counter()
        for row in made.ad_days():
            spent[row.campaign.id] += row.spend / 100
            brought[row.campaign.id] += row.leads
        for campaign in world.campaigns():
            if campaign.adsets:
                assert spent[campaign.id] / brought[campaign.id] == pytest.approx(campaign.cost, rel=0.35)

    def test_some_people_come_back(self):
        arrivals = market(3000).arrivals
        share = sum(arrival.repeats is not None for arrival in arrivals) / len(arrivals)

        assert 0.02 < share < 0.05

    def test_some_come_back_with_another_number_so_that_somebody_has_to_look(self):
        arrivals = {arrival.number: arrival for arrival in market(2500).arrivals}
        pairs = [(arrivals[each.repeats], each) for each in arrivals.values() if each.repeats is not None]
        alike = [
            (one, other)
            for one, other in pairs
            if (one.person.name, one.campaign) == (other.person.name, other.campaign)
            and one.person.phone != other.person.phone
            and one.person.email != other.person.email
            and one.acquired_at.date() == other.acquired_at.date()
        ]

        assert len(alike) > 5
        seen = {Reason.same_name, Reason.same_country, Reason.same_campaign_day}
        assert duplicates.score(seen) >= duplicates.THRESHOLD


class TestHours:
    def test_republic_day_and_bayram_are_holidays(self):
        assert hours.holiday(date(2026, 10, 29))
        assert hours.holiday(date(2026, 3, 20))
        assert not hours.holiday(date(2026, 11, 17))

    def test_a_night_lead_waits_for_the_morning(self):
        friday_night = datetime(2026, 11, 20, 20, 30, tzinfo=UTC)

        assert hours.next_working(friday_night, opens=9, closes=18) == datetime(2026, 11, 21, 6, 0, tzinfo=UTC)

    def test_sunday_waits_for_monday(self):
        sunday_noon = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

        assert hours.next_working(sunday_noon, opens=9, closes=18) == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
        assert hours.next_working(sunday_noon, opens=9, closes=18, sundays=True) == sunday_noon


class TestDesk:
    @settings(max_examples=6, deadline=None)
    @given(seed=SEEDS)
    def test_only_moves_that_the_rules_allow(self, seed):
        _, done = worked(150, seed)
        for acts in done.values():
            status = Status.assigned
            for act in sorted(acts, key=lambda act: act.at):
                wanted = getattr(act, "to", status)
                assert wanted is status or rules.may_become(status, wanted), f"{status} to {wanted}"
                status = wanted

    def test_nothing_happens_before_the_lead_came_or_after_the_month(self):
        made, done = worked()
        received = {arrival.number: arrival.received_at for arrival in made.arrivals}
        for number, acts in done.items():
            assert all(received[number] < act.at < UNTIL for act in acts)

    def test_nobody_is_called_at_night_or_on_a_holiday(self):
        _, done = worked()
        for act in (act for acts in done.values() for act in acts if isinstance(act, Talk)):
            local = act.at.astimezone(hours.ZONE)
            assert 9 <= local.hour <= 23

    def test_what_becomes_of_leads_is_believable(self):
        made, done = worked(3000)
        reached = Counter(
            kind
            for acts in done.values()
            for kind in {kind for act in acts for kind in (type(act), getattr(act, "to", None))}
        )
        leads = len(made.arrivals)

        assert 0.015 < reached[Sale] / leads < 0.12
        assert 0.15 < reached[Status.qualified] / leads < 0.4
        assert 0.01 < reached[Status.wrong_number] / leads < 0.05
        assert reached[Status.blocked]
        assert reached[Status.recycled]
        assert reached[Offer] == reached[Status.proposal]
        assert reached[Sale] > reached[LookAfter] > 0
        moves = [act for acts in done.values() for act in acts if isinstance(act, Move)]
        reasons = {move.reason for move in moves if move.to is Status.lost}
        assert reasons >= {"price", "competitor", "unreachable", "not_interested"}


@pytest.fixture
async def loaded(database: str) -> tuple[month.Loaded, Actor]:
    made = await month.load(120, days=7, seed=4, until=UNTIL)
    assert made
    tenant_id = await tenancy.by_slug(staff.SLUG)
    assert tenant_id
    return made, Actor.system(tenant_id)


async def what_happened(actor: Actor) -> list[tuple]:
    """Return every event of leads without ids, in order of business time."""
    async with db.transaction(actor) as tx:
        rows = await tx.fetch(
            "select e.event_type, e.occurred_at, l.external_id, e.payload_json ->> 'to' as moved,"
            " e.payload_json ->> 'outcome' as outcome, u.email from crm.event_log e"
            " join crm.lead l on l.tenant_id = e.tenant_id and l.id = e.aggregate_id"
            " left join crm.user_account u on u.tenant_id = e.tenant_id and u.id = e.actor_user_id"
            " where e.aggregate_type = 'lead'"
        )
    return sorted((tuple(row) for row in rows), key=str)


class TestLoad:
    async def test_a_month_goes_through_the_operations(self, loaded):
        made, actor = loaded

        async with db.transaction(actor) as tx:
            figures = await tx.fetchrow(
                """select count(*) as leads, count(*) filter (where is_test) as tests,
                          count(*) filter (where owner_id is null and not is_test) as unowned,
                          count(*) filter (where is_duplicate) as duplicates,
                          count(*) filter (where first_attempt_at < received_at) as too_early from crm.lead"""
            )
            traces = await tx.fetchrow(
                """select (select count(*) from crm.event_log where aggregate_type = 'lead') as events,
                          (select count(*) from crm.audit_log) as audits,
                          (select count(*) from crm.routing_decision) as decisions,
                          (select count(*) from crm.consent where status = 'denied') as refusals,
                          (select count(*) from crm.campaign) as campaigns,
                          (select count(*) from raw.api_payload) as reports"""
            )
        assert figures["leads"] == made.leads == 121
        assert (figures["tests"], figures["unowned"], figures["too_early"]) == (1, 0, 0)
        assert traces["decisions"] == made.leads - 1
        assert traces["events"] >= made.leads + made.acts
        assert traces["audits"] >= made.acts
        assert traces["reports"] == 3 * made.days_of_spend > 0, "two platforms' spend and what currencies were worth"
        assert traces["refusals"]
        assert traces["campaigns"] == sum(bool(campaign.adsets) for campaign in world.campaigns())

    async def test_quotes_lead_to_sales_and_sales_to_check_ins(self, database):
        made = await month.load(300, days=30, seed=4, until=UNTIL)
        actor = Actor.system(await tenancy.by_slug(staff.SLUG))

        async with db.transaction(actor) as tx:
            quotes = dict(await tx.fetch("select status, count(*) from crm.quote group by 1"))
            sales = await tx.fetchrow(
                "select count(*) as sales, count(quote_id) as quoted, count(procedure_type) as typed from crm.sale"
            )
            check_ins = dict(await tx.fetch("select status, count(*) from crm.check_in group by 1"))
            cycles = await tx.fetchval("select max(cycle_no) from crm.lead")
            shown = await tx.fetchrow(
                """select (select count(*) from crm.saved_view where is_shared) as views,
                          (select count(*) from crm.dnc_entry) as listed,
                          (select count(*) from crm.lead where status = 'blocked') as blocked,
                          (select count(*) from crm.routing_rule_set where version is not null) as rule_sets,
                          (select count(*) from crm.experiment_exposure) as exposures,
                          (select count(*) from crm.routing_decision where rule = 'german') as german"""
            )
        assert quotes["accepted"] == sales["quoted"] == sales["typed"] == sales["sales"] == made.sales > 0
        assert {"superseded", "declined", "withdrawn"} <= quotes.keys()
        assert {"done", "pending"} <= check_ins.keys()
        assert cycles == 2
        assert (shown["views"], shown["rule_sets"]) == (1, 1)
        assert shown["listed"] >= shown["blocked"] > 0
        assert shown["exposures"] > 0
        assert shown["german"] > 0

    async def test_a_second_load_changes_nothing(self, loaded):
        _, actor = loaded
        before = await what_happened(actor)

        assert await month.is_whole()
        assert await month.load(500, days=7, seed=9, until=UNTIL) is None
        assert await what_happened(actor) == before

    async def test_a_load_that_was_cut_off_is_known_for_one(self, database, monkeypatch):
        async def cut_off(self, now):
            raise ConnectionError

        assert not await month.is_whole()
        monkeypatch.setattr(month.Month, "_finish", cut_off)
        with pytest.raises(ConnectionError):
            await month.load(20, days=2, seed=4, until=UNTIL)

        assert not await month.is_whole()

    async def test_everybody_can_sign_in(self, loaded):
        from crm import ids
        from crm.users import sessions

        for login in demo.LOGINS:
            session = await sessions.sign_in(login.email, demo.password(), now=UNTIL, trace_id=ids.new())
            assert session.access_token

    async def test_nothing_in_events_tells_who_a_lead_is(self, loaded):
        _, actor = loaded
        async with db.transaction(actor) as tx:
            said = await tx.fetchval("select string_agg(payload_json::text, ' ') from crm.event_log")

        for arrival in Market(leads=120, since=UNTIL - timedelta(days=7), until=UNTIL, seed=4).arrivals:
            assert arrival.person.phone not in said
            assert arrival.person.email not in said


class TestRepeat:
    async def test_the_same_seed_gives_the_same_month_in_another_database(
        self, loaded, server_url, template, monkeypatch
    ):
        import asyncpg

        from crm import vault
        from crm.settings import settings as current
        from tests.conftest import at

        _, actor = loaded
        first = await what_happened(actor)
        await db.close()
        await vault.close()
        admin = await asyncpg.connect(at(server_url, "postgres"))
        name = "t_demo_twin"
        await admin.execute(f'drop database if exists "{name}" with (force)')
        await admin.execute(f'create database "{name}" template {template} strategy file_copy')
        monkeypatch.setenv("DATABASE_URL", at(server_url, name))
        current.cache_clear()
        try:
            await month.load(120, days=7, seed=4, until=UNTIL)
            twin = Actor.system(await tenancy.by_slug(staff.SLUG))
            assert await what_happened(twin) == first
        finally:
            await db.close()
            await admin.execute(f'drop database "{name}" with (force)')
            await admin.close()


class TestReports:
    def test_each_platform_reports_its_own_ads(self):
        day, rows = next(iter(reports.by_day(market(500).ad_days()).items()))
        found = {report.source: report for report in reports.payloads(day, rows)}

        spent = sum(row.spend for row in rows if row.campaign.platform == "meta")
        said = sum(round(float(row["spend"]) * 100) for row in found["meta"].payload["data"])
        assert said == spent
        google = found["google"].payload["results"]
        assert {row["campaign"]["id"] for row in google} <= {c.id for c in world.campaigns() if c.platform == "google"}
        assert found["meta"].key == f"{world.AD_ACCOUNT['meta']}:{day.isoformat()}"


@contextmanager
def process(*command: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    with open(log, "ab") as out:
        child = subprocess.Popen([sys.executable, *command], env=env, stdout=out, stderr=out)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()


def wait_for(condition, *, seconds: float = 60, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds} s for {what}")


class TestLive:
    async def test_the_world_goes_on_through_a_restart_of_the_api(self, database, tmp_path):
        """Webhooks of both platforms and the API bring leads, agents work them, and SIGTERM ends it at once."""
        await month.load(20, days=2, seed=1, until=datetime.now(UTC))
        actor = Actor.system(await tenancy.by_slug(staff.SLUG))
        await open_today(actor)
        port, graph = free_port(), free_port()
        env = dict(os.environ) | {
            "SANTRAL_API_PORT": str(port),
            "SANTRAL_API_URL": f"http://127.0.0.1:{port}",
            "SANTRAL_GRAPH_URL": f"http://127.0.0.1:{graph}",
        }

        def ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        async def count(condition: str) -> int:
            async with db.transaction(actor) as tx:
                return await tx.fetchval(f"select count(*) from crm.lead where {condition}")

        began = datetime.now(UTC)
        fresh = f"received_at > '{began.isoformat()}' and first_attempt_at is not null"
        santral = "from cli.main import main; main()"
        hurried = (
            "import sys; sys.argv = ['santral', 'demo', '--live'];"
            "from cli.demo import visitors; visitors.BY_DAY = visitors.BY_NIGHT = 0.4; " + santral
        )
        api = ("-m", "api")
        with ExitStack() as stack:
            first = stack.enter_context(process(*api, env=env, log=tmp_path / "api"))
            worker = ("-c", f"import sys; sys.argv = ['santral', 'worker']; {santral}")
            stack.enter_context(process(*worker, env=env, log=tmp_path / "worker"))
            await asyncio.to_thread(wait_for, ready, what="the API")
            live = stack.enter_context(process("-c", hurried, env=env, log=tmp_path / "live"))
            await _until(lambda: count(fresh), at_least=3, log=tmp_path / "live")
            first.kill()
            first.wait()
            before = await count("true")
            await asyncio.sleep(2)
            stack.enter_context(process(*api, env=env, log=tmp_path / "api"))
            await _until(lambda: count("true"), at_least=before + 5, log=tmp_path / "live")
            await _until(
                lambda: count("source = 'meta' and received_at > acquired_at"), at_least=1, log=tmp_path / "live"
            )
            live.send_signal(signal.SIGTERM)
            assert live.wait(timeout=20) == 0
        sources = {"meta", "google"}
        async with db.transaction(actor) as tx:
            rows = await tx.fetch("select distinct source from crm.inbox_message where status = 'done'")
        assert {row["source"] for row in rows} <= sources
        assert rows


async def open_today(actor: Actor) -> None:
    """Let the clinic be open whatever day it is: leads are not given out on public holidays."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for ahead in (1, 2):
        day = (yesterday + timedelta(days=ahead)).astimezone(hours.ZONE).date()
        await db.run(actor, lambda tx, day=day: calendars.set_day(tx, day, USUAL, now=yesterday))


async def _until(question, *, at_least: int, log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    found = 0
    while time.monotonic() < deadline:
        found = await question()
        if found >= at_least:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"{found} of {at_least} after {seconds} s: {log.read_text()[-2000:]}")


class TestCommand:
    def test_production_is_left_alone(self, database, monkeypatch):
        env = dict(os.environ) | {"SANTRAL_ENVIRONMENT": "production"}
        command = "import sys; sys.argv = ['santral', 'demo', '--leads', '5']; from cli.main import main; main()"
        refused = subprocess.run(
            [sys.executable, "-c", command], env=env, capture_output=True, text=True, timeout=120, check=False
        )

        assert refused.returncode == 1
        assert "SANTRAL_ENVIRONMENT=demo" in refused.stderr
