"""The gate at the border with faults put in: nothing bad reaches the mart, and it says why."""

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from crm import db
from ingestion import landing
from tests.conftest import NOW, Tenant
from tests.pipeline import rows

DAY = date(2026, 2, 1)
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


def run_pipeline() -> tuple[int, dict[str, Any], str]:
    """Run the command as people do; return its exit code, its JSON line and what it said meanwhile."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "santral"), "pipeline", "run", "--json"],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


class TestGate:
    async def test_holds_back_what_is_bad_and_keeps_the_last_good(self, parsed: Path, tenant: Tenant) -> None:
        for number in range(12):
            day = DAY + timedelta(days=number)
            await land(tenant, {"data": [meta_row(day)]}, day=day)
        await land(tenant, {"results": [google_row(DAY)]}, account="777", source="google")
        await land(tenant, {"data": [meta_row(DAY, spend="-3.00")]}, hours=1)
        second = DAY + timedelta(days=1)
        await land(tenant, {"data": [meta_row(second, account_currency=None, spend="99")]}, day=second, hours=1)

        code, said, _ = run_pipeline()

        assert (code, said["ok"]) == (0, True), "two of thirteen are held back; the feed goes on"
        spend = {(row["account_id"], row["spend_on"]): row["spend"] for row in await rows(tenant.admin, SPEND)}
        assert len(spend) == 13
        assert spend["777", DAY] == Decimal("12.345678")
        assert {spend["act_1", day] for day in (DAY, second)} == {Decimal("10.50")}, "the last good versions stand"
        (problem,) = said["problems"]
        assert "2 of 13 reports are held back" in problem
        assert "meta act_1:2026-02-01: spend is negative" in problem
        assert "meta act_1:2026-02-02: the currency is missing" in problem

        await land(tenant, {"data": [meta_row(DAY, spend="11.00")]}, hours=2)
        for number in range(4):
            day = DAY + timedelta(days=20 + number)
            await land(tenant, {"data": [meta_row(day)], "paging": {"next": "https://…"}}, day=day, hours=2)

        code, said, told = run_pipeline()

        assert (code, said["ok"]) == (1, False), "five of seventeen: the gate is closed"
        after = {(row["account_id"], row["spend_on"]): row["spend"] for row in await rows(tenant.admin, SPEND)}
        assert after == spend, "nothing of a broken feed goes on"
        assert any(
            "the report is not complete" in problem and "the gate is closed" in problem for problem in said["problems"]
        )
        assert "made marts/fct_lead_cycle" in told, "leads do not wait for advertising"
        assert said["as_of"]
