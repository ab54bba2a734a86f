"""The gate at the border with faults put in: nothing bad reaches the mart, and it says why."""

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from crm import clock, db, quarantine
from ingestion import landing
from orchestration import border, definitions, gates, verdicts, warehouse
from orchestration.defs.imports.gate import imports as imports_gate
from orchestration.defs.leads.gate import leads as leads_gate
from tests.conftest import NOW, Tenant
from tests.orchestration.test_gates import leads, owner
from tests.pipeline import loaded, rows

__all__ = ["owner"]

DAY = date(2026, 2, 1)
IMPORT = """
insert into crm.import_run (tenant_id, id, source, file_name, content_hash, mapping, status, read, created_at,
                            updated_at)
values (%(tenant)s, %(tenant)s, 'archive', 'a.csv', '', '{}', 'failed', 10, %(at)s, %(at)s)
"""
SPEND = "select account_id, spend_on, sum(spend) as spend from published.fct_ad_spend_daily group by 1, 2"


def meta_row(day: date, **fault: Any) -> dict[str, Any]:
    """A row of Meta's insights, as good as they come."""
    good = {
        "account_id": "act_1", "account_currency": "TRY",
        "campaign_id": "238461", "adset_id": "2384611", "ad_id": "23846111",
        "date_start": day.isoformat(), "date_stop": day.isoformat(), "spend": "10.50", "impressions": "1000",
        "clicks": "20", "actions": [{"action_type": "lead", "value": "2"}],
    }  # fmt: skip
    return {name: value for name, value in (good | fault).items() if value is not None}


def google_row(day: date) -> dict[str, Any]:
    """A row of Google Ads' SearchStream as JSON."""
    return {
        "customer": {"id": "777", "currencyCode": "EUR"}, "campaign": {"id": "99"}, "adGroup": {"id": "991"},
        "adGroupAd": {"ad": {"id": "9911"}}, "segments": {"date": day.isoformat()},
        "metrics": {"costMicros": "12345678", "impressions": "500", "clicks": "9", "conversions": 1.5},
    }  # fmt: skip


async def land(
    tenant: Tenant,
    payload: dict[str, Any],
    *,
    day: date = DAY,
    account: str = "act_1",
    hours: int = 0,
    source: str = "meta",
) -> None:
    endpoint = {"meta": "insights", "google": "performance"}[source]
    await db.run(
        tenant.system,
        lambda tx: landing.land(
            tx, source, endpoint, landing.report_key(account, day), payload,
            window=(day, day), now=NOW + timedelta(hours=hours),
        ),
    )  # fmt: skip


def run_ads() -> tuple[bool, str]:
    """Make the whole domain in a run of Dagster's, as its sensor does; return whether it went well and what the gate
    told the person on duty."""
    job = loaded().resolve_job_def(definitions.EVERYTHING)
    keys = [key for key in job.asset_layer.executable_asset_keys if _is_of_ads(key)]
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False, asset_selection=keys)
    (told,) = [one.description or "" for one in result.get_asset_check_evaluations() if one.check_name == border.CHECK]
    return result.success, told


def _is_of_ads(key: dg.AssetKey) -> bool:
    return key.path[-1] in ("ad_reports", "stg_ads__report_rows", "fct_ad_spend_daily")


async def spend(tenant: Tenant) -> dict[tuple[str, date], Decimal]:
    """What readers see."""
    return {(row["account_id"], row["spend_on"]): row["spend"] for row in await rows(tenant.admin, SPEND)}


async def published(tenant: Tenant) -> datetime:
    """Up to when what readers see holds everything."""
    ((as_of,),) = await rows(tenant.admin, "select as_of from ops.publication where domain = 'ads'")
    return as_of  # type: ignore[no-any-return]


async def held(tenant: Tenant) -> dict[str, UUID]:
    return {hold.label: hold.id for hold in await db.run(tenant.admin, quarantine.standing) if hold.status == "held"}


class TestGate:
    async def test_holds_back_what_is_bad_and_keeps_the_last_good(
        self, parsed: Path, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One firm's reports go wrong, and then too many of them; another's land well all the while."""
        monkeypatch.setattr(clock, "utc_now", lambda: NOW)
        days = [DAY + timedelta(days=number) for number in range(20)]
        for day in days[:12]:
            await land(tenant, {"data": [meta_row(day)]}, day=day)
        await land(tenant, {"results": [google_row(DAY)]}, account="777", source="google")
        await land(other_tenant, {"data": [meta_row(DAY)]})
        await land(tenant, {"data": [meta_row(DAY, spend="-3.00")]}, hours=1)
        unreadable = meta_row(days[1], account_currency=None, spend="99", clicks="9" * 30)
        await land(tenant, {"data": [unreadable]}, day=days[1], hours=1)

        ok, told = await asyncio.to_thread(run_ads)

        first, as_of = await spend(tenant), await published(tenant)
        assert ok, "two of thirteen are held back; the feed goes on"
        assert len(first) == 13
        assert first["777", DAY] == Decimal("12.345678")
        assert {first["act_1", day] for day in days[:2]} == {Decimal("10.50")}, "the last good versions stand"
        assert "2 of 14 reports are held back" in told
        assert "meta act_1:2026-02-01: spend is negative" in told
        assert "meta act_1:2026-02-02: the currency is missing" in told
        assert "a count (impressions, clicks, leads) is negative or not a number" in told, "no number is so large"
        assert "no report has come for more than two days" in told, "a source that died is told of, too"

        await land(tenant, {"data": [meta_row(DAY, spend="11.00")]}, hours=2)
        await land(tenant, {"data": [meta_row(days[12])], "paging": {"next": "https://…"}}, day=days[12], hours=2)
        await land(tenant, {"data": [meta_row(days[13], ad_id=None)]}, day=days[13], hours=2)
        await land(tenant, {"data": [meta_row(days[14])] * 2}, day=days[14], hours=2)
        await land(tenant, {"data": [meta_row(days[16])]}, day=days[16], hours=2)
        await land(other_tenant, {"data": [meta_row(days[1])]}, day=days[1], hours=2)

        ok, told = await asyncio.to_thread(run_ads)

        assert ok, told
        assert (await spend(tenant), await published(tenant)) == (first, as_of), "five of seventeen: the gate is closed"
        assert len(await spend(other_tenant)) == 2, "whoever sends well goes on"
        assert await published(other_tenant) > as_of
        for sentence in (
            "the report is not complete", "the ad is missing", "an ad has more than one row",
            "2026-02-17: days before it have no report", "what came to acme is bad, so the gate is closed there",
        ):  # fmt: skip
            assert sentence in told

        waiting = await held(tenant)
        assert len(waiting) == 5
        for number in (1, 12, 13, 14, 15):
            await land(tenant, {"data": [meta_row(days[number])]}, day=days[number], hours=3)
        await land(tenant, {"data": [meta_row(days[18])]}, day=days[18], hours=3)

        ok, told = await asyncio.to_thread(run_ads)

        assert ok, told
        mended = await spend(tenant)
        assert await published(tenant) == await published(other_tenant) > as_of
        assert len(mended) == 13 + 5, "the day after the gap came back by itself when the gap was closed"
        assert mended["act_1", DAY] == Decimal("11.00")
        ((label, hold_id),) = (await held(tenant)).items()
        assert label == "acme, meta act_1:2026-02-19", "the day before it has no report: the account rested"

        await db.run(tenant.admin, lambda tx: quarantine.release(tx, hold_id, because="account_rested", now=NOW))
        ok, told = await asyncio.to_thread(run_ads)

        assert (ok, await held(tenant)) == (True, {})
        assert len(await spend(tenant)) == 19, "let in by a person, with a reason"


class TestClosedGate:
    async def test_holds_one_firm_at_every_tick_and_says_why(
        self, tenant: Tenant, other_tenant: Tenant, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What closes the gates of files and leads, tick by tick: a batch cut short, a wrong clock, a question that has
        another name."""
        monkeypatch.setattr(clock, "utc_now", lambda: NOW)
        for day in range(1, 15):
            leads(owner, tenant, "spring", days_ago=day, count=10)
            leads(owner, other_tenant, "spring", days_ago=day, count=100)
        instance = dg.DagsterInstance.ephemeral()

        def tick() -> tuple[set[UUID], str]:
            """Look at all gates of leads, as the schedule does; return whose numbers wait, and what is told as an
            error."""
            result = dg.materialize([imports_gate, leads_gate], instance=instance)
            run = instance.get_run_by_id(result.run_id)
            assert run
            told = [one.said for one in verdicts.of(instance, run) if one.said and one.severity == "error"]
            with warehouse.connect() as connection:
                return set(gates.closed_over(connection, "leads")), "; ".join(told)

        owner.execute(IMPORT, {"tenant": tenant.id, "at": NOW})
        cut, again = [await asyncio.to_thread(tick) for _ in range(2)]
        owner.execute("update crm.import_run set status = 'done', updated_at = %s", [NOW + timedelta(minutes=1)])
        leads(owner, tenant, "spring", days_ago=0, count=8, ahead=timedelta(hours=3))
        leads(owner, other_tenant, "spring", days_ago=0, count=100)
        skewed = await asyncio.to_thread(tick)
        owner.execute("update crm.lead set acquired_at = received_at")
        leads(owner, tenant, "spring", days_ago=0, count=40, has_phone=False, questions=("hair", "which month"))
        renamed = await asyncio.to_thread(tick)
        for hold_id in (await held(tenant)).values():
            await db.run(tenant.admin, lambda tx, one=hold_id: quarantine.release(tx, one, because="is_right", now=NOW))
        opened = await asyncio.to_thread(tick)

        for whose, said in (cut, again, skewed, renamed):
            assert whose == {tenant.id}, "at every tick, and nobody else's"
            assert "what came to acme is bad, so the gate is closed there and readers there keep the last good" in said
        assert "the import ended before its file did: rows are missing" in cut[1]
        assert "the import ended before its file did: rows are missing" in again[1]
        assert "leads were sent after they arrived: a clock is wrong" in skewed[1]
        assert "far more leads than usual have no telephone number" in renamed[1]
        assert "the form asks other questions than before (− when; + which month)" in renamed[1]
        assert opened == (set(), "")
