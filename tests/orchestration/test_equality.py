"""One number everywhere: the API over HTTP, what is kept, BI views and SQL agree, and a wrong number is named."""

from datetime import date
from random import Random

import httpx
import psycopg

from crm import clock
from kpis import query
from orchestration import equality, warehouse
from orchestration.equality import Figures, Report, Slice
from tests.api.conftest import admin, app, sign_in
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, build, parsed

__all__ = ["admin", "app", "build", "parsed", "sign_in"]

MARCH = Slice("conversion_rate", "platform", date(2026, 3, 1), date(2026, 4, 1))


class TestCompareSlices:
    async def test_agrees_and_names_the_number_that_does_not(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, admin: httpx.AsyncClient
    ) -> None:
        await golden.play(tenant)
        await golden.Desk(other_tenant).lead("meta")
        await build("--select", "tag:leads", "--indirect-selection", "cautious")

        async def over_http(each: Slice) -> Figures:
            asked = {"metrics": [each.metric], "by": [each.dim] if each.dim else []}
            asked |= {"from": each.since.isoformat(), "to": each.until.isoformat()}
            return equality.figures(each, (await admin.post("/kpis/query", json=asked)).json()["rows"])

        async def compare(connection: psycopg.Connection, slices: list[Slice]) -> Report:
            return await equality.compare_slices(
                connection, tenant.id, slices, now=clock.utc_now(), more={"HTTP": over_http}
            )

        with warehouse.connect() as connection:
            slices = equality.slices_of(connection, tenant.id, Random(7), each=4)
            agreed = await compare(connection, [MARCH, *slices])
            # A number is falsified behind the product's back: what is kept still says the old one.
            connection.execute(
                "update published.fct_lead_cycle set is_won_90d = not is_won_90d"
                " where lead_cycle_key = (select min(lead_cycle_key) from published.fct_lead_cycle"
                "   where tenant_id = %s and platform = 'meta' and received_on < '2026-04-01')",
                (tenant.id,),
            )
            falsified = await compare(connection, [MARCH])
            query.kept.clear()
            settled = await compare(connection, [MARCH])

        assert agreed.differences == ()
        assert (len(slices), agreed.slices) == (8, 9)
        assert {"the API", "the metric", "HTTP", "SQL over published.fct_lead_cycle"} <= set(agreed.ways)
        assert {difference.key for difference in falsified.differences} == {"meta"}
        assert "conversion_rate by platform from 2026-03-01 to 2026-04-01 (meta): the API says" in str(
            falsified.differences[0]
        )
        assert settled.differences == ()
