"""Tests of tables that fail: the firm whose rows they find waits and reads why; nobody else does."""

import asyncio
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import dagster as dg
import pytest

from orchestration import alerts, definitions, failing, policy, verdicts, warehouse
from tests.api.conftest import SignIn, app, sign_in
from tests.conftest import Tenant, settled
from tests.dbt_project import golden_leads as desk
from tests.dbt_project.golden_money import at, lead, rates
from tests.orchestration.test_alerts import let_sensors_look
from tests.pipeline import Build, loaded

__all__ = ["app", "sign_in"]

CHECK = "not_null_fct_sale_fx_rate"
WHY = "Every row has fx_rate. Not so: 1 rows (GBP)"
WHY_TR = "Her satırda fx_rate vardır. Tutmuyor: 1 satır (GBP)"


def revenue(schema: str, tenant: Tenant) -> list[Decimal | None]:
    """Return what each sale of a firm came to."""
    with warehouse.connect() as connection:
        found = connection.execute(
            f"select net_amount from {schema}.fct_sale where tenant_id = %s order by sold_at", (tenant.id,)
        )
        return [amount for (amount,) in found]


def as_of(tenant: Tenant) -> datetime:
    """Return up to when a firm's published figures of money hold everything."""
    with warehouse.connect() as connection:
        found = connection.execute(
            "select as_of from ops.publication where tenant_id = %s and domain = 'money'", (tenant.id,)
        )
        return found.fetchall()[0][0]  # type: ignore[no-any-return]


class TestMissingRate:
    async def test_holds_the_firm_that_sold_in_that_currency_and_tells_it_why(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, told = dg.DagsterInstance.ephemeral(), list[alerts.Message]()
        job, repository = loaded().resolve_job_def(definitions.EVERYTHING), loaded().get_repository_def()
        money = [key for key in job.asset_layer.executable_asset_keys if job.asset_layer.get(key).group_name == "money"]
        monkeypatch.setattr(alerts, "tell", told.append)
        good, bad = sign_in(tenant.sales_manager), sign_in(other_tenant.sales_manager)

        async def run() -> bool:
            """Build money as its schedule does; return whether the run went well."""
            await settled()
            result = await asyncio.to_thread(
                job.execute_in_process, instance=instance, asset_selection=money, raise_on_error=False,
                tags={policy.ALERT_AFTER: "1"},
            )  # fmt: skip
            await asyncio.to_thread(let_sensors_look, instance, result, repository)
            return result.success

        waiting = {firm.id: await lead(firm, at(16, 10)) for firm in (tenant, other_tenant)}
        for firm in (tenant, other_tenant):
            await rates(firm, date(2026, 3, 16), EUR="40")
            await desk.sell(firm, await lead(firm, at(16, 9)), "100.00", "EUR", at(16, 12))
        await build("--select", "+fct_sale", "+fct_ad_result_daily", "--exclude-resource-type", "test")
        first = await run()
        began = as_of(other_tenant)
        for firm, currency in ((tenant, "EUR"), (other_tenant, "GBP")):
            await desk.sell(firm, waiting[firm.id], "100.00", currency, at(17, 12))
        goes_on = await run()
        held = (revenue("published", tenant), revenue("published", other_tenant), as_of(other_tenant) == began)
        (shown,) = (await bad.get("/alerts")).json()["items"]
        (hold,) = (await bad.get("/quarantine")).json()["items"]
        refused = await sign_in(other_tenant.admin).post(
            f"/quarantine/{hold['id']}/release", json={"because": "it_is_so"}
        )
        others = [(await good.get(path)).json()["items"] for path in ("/alerts", "/quarantine")]
        await rates(other_tenant, date(2026, 3, 17), GBP="50")
        recovers = await run()
        (over,) = (await bad.get("/alerts")).json()["items"]

        assert (first, goes_on, recovers) == (True, True, True)
        assert held == ([4000, 4000], [4000], True), "one goes on, the other stands still"
        assert revenue("marts", tenant) == [4000, 4000]
        assert revenue("published", other_tenant) == [4000, 5000]
        assert as_of(other_tenant) == as_of(tenant) > began
        assert (shown["sentence"], shown["sentence_tr"], shown["severity"]) == (
            f"rival, fct_sale: {WHY}", f"rival, fct_sale: {WHY_TR}", "error",
        )  # fmt: skip
        assert (hold["feed"], hold["reasons"], hold["may_be_released"]) == ("marts/fct_sale", [WHY], False)
        assert (refused.status_code, refused.json()["code"]) == (409, "quarantine.must_be_mended")
        assert others == [[], []], "nobody else's business"
        assert (over["id"], over["is_open"]) == (shown["id"], False)
        assert [(message.owner, message.subject) for message in told] == [
            ("team:finance", "Santral: marts/fct_sale fails"),
            ("team:finance", "Santral: marts/fct_sale is well again"),
        ]  # fmt: skip
        assert f"Not so at rival: 1 rows (GBP); {failing.STANDS}" in told[0].text
        assert f"Tutmuyor: rival: 1 satır (GBP); {failing.STANDS_TR}" in told[0].text


class TestOf:
    def found(self, sql: str) -> failing.Failing | None:
        test = SimpleNamespace(compiled_code=sql, meta={}, to_dict=lambda: {"name": "sums_up"})
        return failing.of(test, dg.AssetCheckKey(dg.AssetKey(["marts", "fct_sale"]), "sums_up"))

    async def test_tells_whose_rows_a_test_finds(self, tenant: Tenant, other_tenant: Tenant) -> None:
        found = self.found(f"select '{other_tenant.id}'::uuid as tenant_id from generate_series(1, 3) -- as dbt has it")

        assert found
        assert [(firm.slug, firm.rows) for firm in found.firms] == [("rival", 3)]
        assert failing.firms([found]) == {other_tenant.id}
        assert verdicts.TURKISH in found.checked().metadata

    @pytest.mark.parametrize("sql", [
        "select 'won' as status",
        "select null::uuid as tenant_id",
        f"select '{UUID(int=7)}'::uuid as tenant_id",
    ])  # fmt: skip
    async def test_knows_when_rows_are_no_firms(self, tenant: Tenant, sql: str) -> None:
        assert self.found(sql) is None
