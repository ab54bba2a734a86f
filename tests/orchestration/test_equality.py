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
from orchestration import by_hand, equality, warehouse
from orchestration.defs.metrics.equality import metrics_equality
from orchestration.equality import ANALYST, API, DASHBOARDS, HANDS, Report, Slice
from tests.conftest import Tenant
from tests.ingestion.sources.conftest import serving
from tests.orchestration import story
from tests.pipeline import Build

MARCH = (date(2026, 3, 1), date(2026, 4, 1))
LEVEL = Slice("service_level", "queue", *MARCH)
WON = Slice("conversion_rate", "platform", *MARCH)
GOLDEN_LEVEL = "acme, service_level by queue from 2026-03-01 to 2026-04-01 (golden): "


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


class TestCompareSlices:
    async def test_agrees_in_all_ways_and_names_whichever_lies(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await story.play(tenant)
        await build("--exclude-resource-type", "test", "--exclude", "tag:platform")
        between = Between(create_app())

        async def compare(*slices: Slice) -> Report:
            return await equality.compare_slices(connection, tenant.id, slices, now=clock.utc_now())

        with warehouse.connect() as connection:
            async with serving(between) as url:
                monkeypatch.setenv("SANTRAL_API_URL", url)
                settings.cache_clear()
                assert equality.out_of_step(connection, tenant.id) == {}
                drawn = equality.slices_of(connection, tenant.id, 7, each=1)
                agreed = await compare(*drawn[::5], *(Slice(each.metric, None, *MARCH) for each in drawn), LEVEL)
                between.lies = True
                shown = await compare(LEVEL)
            with monkeypatch.context() as patch:
                define_otherwise(patch, "service_level", "in_sl::int", "1")
                defined = await compare(LEVEL)
            with monkeypatch.context() as patch:
                query.kept.clear()
                patch.setattr(suppression, "hidden", lambda counts, *, floor: set())
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
            connection.execute("update ops.publication set as_of = as_of + interval '1 minute' where domain = 'leads'")
            later = equality.out_of_step(connection, tenant.id)
            connection.execute("update ops.publication set as_of = as_of - interval '1 minute' where domain = 'leads'")
        await db.close()
        run = await asyncio.to_thread(run_of_the_day)

        assert agreed.differences == ()
        assert agreed.not_asked == ()
        assert {"cpl", "roas"} <= set(later), "what came of ads was made of other leads than are published now"
        assert {"service_level", "conversion_rate", "revenue_per_lead"}.isdisjoint(later)
        assert len(agreed.metrics) >= 55
        assert all(agreed.metrics & set(hands) for hands in by_hand.DOMAINS.values())
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
        assert (told["seed"].value, told["metrics"].value) == (11, 2)
