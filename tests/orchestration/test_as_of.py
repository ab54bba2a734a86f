"""Numbers as of an instant: made by the job, answered over HTTP as they were known then, dropped after their time."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import dagster as dg
import httpx
import pytest

from orchestration import as_of, warehouse
from orchestration.defs.metrics.as_of import NoInstant, past, read
from tests.api.conftest import admin, app, sign_in
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, rows

__all__ = ["admin", "app", "sign_in"]

FACTS = ("--select", "+fct_lead_stage_reached", "--exclude-resource-type", "test")
MARTS = ("fct_lead_cycle", "fct_lead_stage_interval", "fct_lead_stage_reached")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
HELD = "insert into ops.held_back (tenant_id, domain, since) values (%(tenant)s, 'leads', %(since)s)"


async def content(tenant: Tenant, schema: str) -> dict[str, list[str]]:
    return {
        mart: sorted(str(tuple(row)) for row in await rows(tenant.admin, f"select * from {schema}.{mart}"))
        for mart in MARTS
    }


def launch(instant: str, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
    """Run the job as somebody launches it."""
    return (
        past()
        .resolve_job_def("as_of")
        .execute_in_process(
            run_config={"ops": {"ops__as_of": {"config": {"instant": instant}}}},
            instance=dg.DagsterInstance.ephemeral(),
            raise_on_error=raise_on_error,
        )
    )


async def leads_known(admin: httpx.AsyncClient, **of: str) -> httpx.Response:
    """Ask how many leads there are, or were."""
    return await admin.post("/kpis/query", json={"metrics": ["funnel_reached"], **of})


def counted(answer: httpx.Response) -> dict[str, float]:
    return {row["stage"]: row["funnel_reached"] for row in answer.json()["rows"]}


class TestJob:
    async def test_makes_what_was_published_though_late_events_came(
        self,
        build: Build,
        tenant: Tenant,
        other_tenant: Tenant,
        admin: httpx.AsyncClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await golden.Desk(tenant).lead("meta")
        await golden.Desk(other_tenant).lead("google")
        await build(*FACTS)
        yesterday = await content(tenant, "published")
        (stood,) = await rows(tenant.admin, "select as_of from ops.publication where domain = 'leads'")
        then = stood["as_of"].isoformat()
        await golden.Desk(tenant).lead("meta")  # of the same day as the first, and recorded later
        await build(*FACTS)
        unknown = await leads_known(admin, as_of=then)
        await self._require_no_number_that_was_held_back(tenant, admin, stood["as_of"])
        make = as_of.make
        monkeypatch.setattr(as_of, "make", lambda at, *, now: make(at, now=now, select=("+fct_lead_stage_reached",)))

        made = await asyncio.to_thread(launch, then)

        known, today = await leads_known(admin, as_of=then), await leads_known(admin)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "kpi.not-rebuilt")
        assert "santral pipeline as-of" in unknown.json()["message"]
        assert (counted(known)["lead"], counted(today)["lead"]) == (1, 2)
        assert known.json()["as_of"] == stood["as_of"].isoformat().replace("+00:00", "Z")
        await self._require_rows(tenant, made, yesterday)
        with pytest.raises(dg.Failure, match="the log begins on"):
            await asyncio.to_thread(launch, "2001-01-01T00:00:00+00:00")
        await self._require_an_end(tenant, admin, then)

    async def _require_no_number_that_was_held_back(
        self, tenant: Tenant, admin: httpx.AsyncClient, since: datetime
    ) -> None:
        """While a firm's numbers stood still, what was known was not what readers saw."""
        with warehouse.connect() as connection:
            connection.execute(HELD, {"tenant": tenant.id, "since": since})
            refused = await leads_known(admin, as_of=(since + timedelta(microseconds=1)).isoformat())
            connection.execute("update ops.held_back set until = %s", (since + timedelta(microseconds=1),))
        assert (refused.status_code, refused.json()["code"]) == (404, "kpi.held-back")
        assert f"readers saw those as of {since.isoformat()}" in refused.json()["message"]

    async def _require_rows(
        self, tenant: Tenant, made: dg.ExecuteInProcessResult, yesterday: dict[str, list[str]]
    ) -> None:
        [materialized] = made.get_asset_materialization_events()
        told = materialized.materialization.metadata
        assert await content(tenant, str(told["schema"].value)) == yesterday
        assert told["rows"].value >= sum(len(yesterday[mart]) for mart in MARTS[:2])
        assert told["seconds"].value > 0

    async def _require_an_end(self, tenant: Tenant, admin: httpx.AsyncClient, then: str) -> None:
        """It stands for fourteen days, and then neither a run nor a question finds it."""
        (known,) = await rows(tenant.admin, "select schema_name, kept_until - made_at as kept_for from ops.as_of")
        now = datetime.now(UTC)
        assert known["kept_for"] == timedelta(days=14)
        kept = as_of.sweep(now=now + as_of.KEPT_FOR - timedelta(minutes=5))
        dropped = as_of.sweep(now=now + as_of.KEPT_FOR)
        assert (kept, dropped) == ([], [known["schema_name"]])
        assert (await leads_known(admin, as_of=then)).status_code == 404
        with pytest.raises(asyncpg.UndefinedTableError):
            await content(tenant, known["schema_name"])


class TestMake:
    def test_refuses_the_future_and_what_was_before_the_log(self, database: str) -> None:
        with pytest.raises(as_of.InTheFuture):
            as_of.make(NOW + timedelta(minutes=1), now=NOW)
        with pytest.raises(as_of.BeforeTheLog, match="the log is empty"):
            as_of.make(NOW - timedelta(minutes=1), now=NOW)


class TestSweep:
    async def test_leaves_alone_what_is_being_made(self, tenant: Tenant) -> None:
        with warehouse.connect() as connection:
            connection.execute("select ops.open_as_of('asof_20260101t000000z')")
            connection.execute("select pg_advisory_lock(%s)", (as_of.ONE_AT_A_TIME,))
            busy = as_of.sweep(now=NOW)

        assert busy == []
        assert as_of.sweep(now=NOW) == ["asof_20260101t000000z"]


class TestRead:
    @pytest.mark.parametrize("text", ["yesterday", "2026-03-15", "2026-03-15T12:00:00"])
    def test_wants_an_instant_with_a_zone(self, text: str) -> None:
        with pytest.raises(NoInstant, match="with a zone"):
            read(text)
