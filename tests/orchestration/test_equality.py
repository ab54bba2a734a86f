"""One number everywhere: in all ways all metrics agree; whichever way lies is named, with slice and both numbers."""

import asyncio
import dataclasses
import json
from datetime import date
from typing import Any

import dagster as dg
import psycopg
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from crm import clock, db
from crm.settings import settings
from kpis import catalogue, query, suppression
from orchestration import equality, slices, warehouse
from orchestration.defs.metrics.equality import metrics_equality
from orchestration.equality import ANALYST, API, DASHBOARDS, Report
from orchestration.hands import HANDS
from orchestration.slices import Slice
from tests.conftest import Tenant
from tests.ingestion.sources.conftest import serving
from tests.orchestration import story
from tests.pipeline import Build

MARCH = (date(2026, 3, 1), date(2026, 4, 1))
LEVEL = Slice("service_level", "queue", *MARCH)
WON = Slice("conversion_rate", "platform", *MARCH)
GOLDEN_LEVEL = "acme, service_level by queue from 2026-03-01 to 2026-04-01 (golden): "
OF_ADS = ("cpl", "cpl_unique", "cpql", "cpa", "roas", "platform_lead_gap")
NOT_BY_HAND = {"mart_freshness_s": "grows with the clock: no two ways are asked at one instant"}
"""Metrics with a source that are not worked out by hand, and why."""


class Between:
    """Stands between the dashboards and the API; once it lies, every service level is perfect."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.lies = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Any) -> None:
            if self.lies and message["type"] == "http.response.start":
                message["headers"] = [each for each in message["headers"] if each[0] != b"content-length"]
            if self.lies and message["type"] == "http.response.body" and b'"service_level"' in message["body"]:
                answer = json.loads(message["body"])
                for row in answer.get("rows", ()):
                    row["service_level"] = 1.0
                message["body"] = json.dumps(answer).encode()
            await send(message)

        await self.app(scope, receive, tell)


def define_otherwise(patch: pytest.MonkeyPatch, metric: str, old: str, new: str) -> None:
    """Let the semantic layer mean something else by a metric."""
    known = dict(catalogue.definitions())
    text = json.dumps(known[metric].part)
    assert old in text
    known[metric] = dataclasses.replace(known[metric], part=json.loads(text.replace(old, new)), hash="otherwise")
    patch.setattr(catalogue, "definitions", lambda: known)


def lose_who_gave_up(connection: psycopg.Connection) -> None:
    """Let the view of BI tools leave out who gave up."""
    [(view,)] = connection.execute("select pg_get_viewdef('bi.queue_visit'::regclass)").fetchall()
    told = view.rstrip().rstrip(";")
    connection.execute(
        f"create or replace view bi.queue_visit as select * from ({told}) as told where outcome <> 'abandoned'"
    )


def publish_leads_later(connection: psycopg.Connection) -> None:
    """Let leads be published once more after money was: since then one that an ad brought was lost again."""
    connection.execute(
        "insert into ops.publication_log (publication_id, domain, tx_id, as_of, published_at, seconds, rows_gone,"
        " rows_come) select gen_random_uuid(), domain, '9000000000'::xid8, as_of + interval '1 minute', now(), 0, 1, 1"
        " from ops.publication_log where domain = 'leads'"
    )
    connection.execute("update ops.publication set as_of = as_of + interval '1 minute' where domain = 'leads'")
    connection.execute(
        "update published.fct_lead_cycle set qualified_at = null, source_max_tx_id = 8999999999 where ad <> 'unknown'"
    )


def run_of_the_day() -> dg.ExecuteInProcessResult:
    """Run the check as the schedule does, on two metrics."""
    config = {"seed": 11, "each": 4, "metrics": ["offered", "cpl"]}
    return dg.materialize(
        [metrics_equality], instance=dg.DagsterInstance.ephemeral(),
        run_config={"ops": {"metrics__equality": {"config": config}}},
    )  # fmt: skip


def sentences(report: Report) -> list[str]:
    """Return what the person on duty reads."""
    return [str(each) for each in report.differences]


def both(report: Report) -> set[tuple[str, str]]:
    """Return which ways differ from which."""
    return {(each.one[0], each.other[0]) for each in report.differences}


def test_every_metric_with_a_source_is_worked_out_by_hand(parsed: object) -> None:
    with_source = {item.name for item in catalogue.public() if item.has_source}

    assert with_source == {*HANDS, *NOT_BY_HAND}


class TestCompareSlices:
    async def test_agrees_in_all_ways_and_names_whichever_lies(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await story.play(tenant)
        await build("--exclude-resource-type", "test")
        between = Between(create_app())

        async def compare(*slices: Slice) -> Report:
            return await equality.compare_slices(connection, tenant.id, slices, now=clock.utc_now())

        with warehouse.connect() as connection:
            async with serving(between) as url:
                monkeypatch.setenv("SANTRAL_API_URL", url)
                settings.cache_clear()
                assert [name for name in HANDS if slices.known_below(connection, tenant.id, name) is not None] == []
                drawn = slices.draw(connection, tenant.id, 7, each=1).slices
                agreed = await compare(*drawn[::5], *(Slice(each.metric, None, *MARCH) for each in drawn), LEVEL)
                between.lies = True
                shown = await compare(LEVEL)
            with monkeypatch.context() as patch:
                define_otherwise(patch, "service_level", "in_sl::int", "1")
                defined = await compare(LEVEL)
            with monkeypatch.context() as patch:
                query.kept.clear()
                patch.setattr(suppression, "hidden", lambda counts, lines, *, floor: set())
                untold = await compare(WON)
            query.kept.clear()
            assert (await compare(LEVEL, WON)).differences == ()
            connection.execute("update published.fct_queue_visit set wait_s = wait_s + 1000, in_sl = false")
            old = await compare(LEVEL)
            connection.execute(
                "update published.fct_queue_visit"
                " set wait_s = wait_s - 1000, in_sl = outcome = 'answered' and wait_s - 1000 <= sl_s"
            )
            lose_who_gave_up(connection)
            viewed = await compare(LEVEL)
            publish_leads_later(connection)
            still = slices.draw(connection, tenant.id, 7, each=1, metrics=[*OF_ADS, "revenue_per_agent", "fcr"])
            later = await compare(*still.slices)
            connection.execute(
                "update published.fct_lead_cycle set acquired_at = acquired_at + interval '1 day'"
                " where ad <> 'unknown' and is_duplicate"
            )
            moved = slices.draw(connection, tenant.id, 7, each=1, metrics=OF_ADS)
            connection.execute("update ops.publication set as_of = as_of - interval '1 hour' where domain = 'leads'")
            held = slices.known_below(connection, tenant.id, "cpl")
        await db.close()
        run = await asyncio.to_thread(run_of_the_day)

        assert agreed.differences == ()
        assert agreed.not_asked == ()
        assert later.differences == ()
        assert later.metrics >= {*OF_ADS, "revenue_per_agent", "fcr"}, "what has stood still is compared"
        assert {each.since for each in still.slices if each.metric in OF_ADS} == {date(2026, 3, 17)}
        assert (moved.slices, [each.split(":")[0] for each in moved.left_out]) == ([], list(OF_ADS))
        assert held == 0, "the firm is shown less of leads than money was made of"
        assert agreed.metrics == set(HANDS) - {"offered_ooh"}, "nobody calls at night"
        assert agreed.ways[DASHBOARDS] == agreed.slices > len(drawn)
        places = {place.name for hand in HANDS.values() for place in hand.places}
        assert {f"SQL over {name}" for name in places} <= set(agreed.ways)
        assert both(shown) == {(API, DASHBOARDS)}
        assert GOLDEN_LEVEL + "the API says 0.333333333333, the dashboards says 1" in sentences(shown)
        assert both(defined) == {(API, f"SQL over {place.name}") for place in LEVEL.hand.places}
        assert GOLDEN_LEVEL + "the API says 1.11111111111, SQL over bi.queue_visit says 0.333333333333" in sentences(
            defined
        )
        assert both(untold) == {(API, ANALYST)}
        assert all("though only" in each for each in sentences(untold))
        assert GOLDEN_LEVEL + "the API says 0.333333333333, the metric asked anew says 0" in sentences(old)
        assert both(viewed) == {(API, "SQL over bi.queue_visit")}
        assert GOLDEN_LEVEL + "the API says 0.333333333333, SQL over bi.queue_visit says 0.6" in sentences(viewed)
        self._require_a_run_that_tells(run)

    def _require_a_run_that_tells(self, run: dg.ExecuteInProcessResult) -> None:
        """The daily run fails its check by the number that was falsified, and says which way it could not ask."""
        checks = {each.check_name: each for each in run.get_asset_check_evaluations()}
        [made] = run.get_asset_materialization_events()
        told = made.materialization.metadata

        assert run.success
        assert not checks["one_number_everywhere"].passed
        assert "acme, offered by " in str(checks["one_number_everywhere"].description)
        assert "SQL over bi.queue_visit says" in str(checks["one_number_everywhere"].description)
        assert "(seed 11)" in str(checks["one_number_everywhere"].description)
        assert not checks["every_way_was_asked"].passed
        assert checks["every_way_was_asked"].severity is dg.AssetCheckSeverity.WARN
        assert "the dashboards: no API answers" in str(checks["every_way_was_asked"].description)
        assert "cpl: what it is made of is published as of another" in str(checks["every_way_was_asked"].description)
        assert (told["seed"].value, told["metrics"].value) == (11, 1)
