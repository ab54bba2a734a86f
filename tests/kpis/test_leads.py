"""Lead response, funnel, conversion and money against numbers worked out by hand."""

from datetime import date
from typing import Any

import pytest

from crm import clock, db
from kpis import query
from kpis.query import Query
from orchestration import warehouse
from tests.conftest import Tenant
from tests.dbt_project import golden_leads as golden
from tests.dbt_project import golden_money
from tests.dbt_project.measuring import holds
from tests.pipeline import Build, rows

LEADS = ("--select", "+path:models/marts/leads", "--indirect-selection", "cautious")
MONEY = ("--select", "+path:models/marts/money", "--indirect-selection", "cautious")


async def ask(tenant: Tenant, *metrics: str, **how: Any) -> list[dict[str, Any]]:
    answer = await db.run(tenant.sales_manager, lambda tx: query.ask(tx, Query(metrics, **how), now=clock.utc_now()))
    return list(answer.rows)


def near(expected: dict[str, float | None]) -> dict[str, Any]:
    return {name: value if value is None else pytest.approx(value) for name, value in expected.items()}


class TestWeekAtTheDesk:
    async def test_has_the_golden_numbers(self, build: Build, tenant: Tenant, other_tenant: Tenant) -> None:
        leads = await golden.play(tenant)
        theirs = await golden.lead(other_tenant, acquired=golden.at(7), received=golden.at(8))
        await golden.settle(other_tenant, [theirs], golden.at(9))
        await build(*LEADS)

        await holds(tenant, **golden.FIGURES)
        await holds(other_tenant, response_sla_compliance=0, overdue_followups=1)
        (a,) = await rows(
            tenant.admin, f"select first_response_biz_s from published.fct_lead_cycle where lead_id = '{leads['a']}'"
        )
        assert a["first_response_biz_s"] == golden.BUSINESS_A

        await holds(
            tenant, stage_conversion=golden.STAGES, stage_dwell_s=golden.DWELL, loss_reason_share=golden.LOSSES,
            stage_conversion_period=golden.ENTERED,
        )  # fmt: skip
        days = await ask(tenant, "stage_conversion_period", grain="day")
        found = {row["metric_time"]: row["stage_conversion_period"] for row in days if row["stage"] == "lead"}
        assert found == near(golden.ENTRIES)
        hands = await rows(
            tenant.admin,
            "select user_id, is_auto, is_queue, is_reassignment, agent_response_s from"
            f" published.fct_lead_assignment_interval where lead_id in ('{leads['a']}', '{leads['c']}')"
            f" order by lead_id = '{leads['c']}', interval_no",
        )
        agent, manager = tenant.sales_agent.user_id, tenant.sales_manager.user_id
        assert [tuple(row) for row in hands] == [
            (agent, True, False, False, None), (manager, False, False, True, 300),
            (None, True, True, False, None), (agent, True, False, False, None),
            (None, True, True, False, None), (agent, True, False, False, 120),
        ], "the lead's clock ran on, the manager's began anew; a stop in the queue is nobody's hand"  # fmt: skip


class TestMoney:
    async def test_has_the_golden_numbers(self, build: Build, tenant: Tenant) -> None:
        leads = await golden_money.play(tenant)
        golden_money.let_pass()
        await golden_money.same_person(tenant, leads["p"], leads["s"])
        await build(*MONEY)

        await holds(tenant, **golden_money.FIGURES, churn_reason_share={"cancelled": 1.0})
        with warehouse.connect() as connection:
            connection.execute("update published.fct_ad_result_daily set platform_revenue = 4500 where spend > 0")
        await holds(tenant, roas_platform=2 * 4500 / golden_money.SPEND)
        months = await ask(tenant, "revenue_per_agent", grain="month")
        assert {row["metric_time"]: row["revenue_per_agent"] for row in months} == near(golden_money.PER_AGENT)
        people = await ask(tenant, "revenue_per_agent", grain="month", by=["agent"])
        agent, manager = str(tenant.sales_agent.user_id), str(tenant.sales_manager.user_id)
        assert {(row["metric_time"], row["agent"]): row["revenue_per_agent"] for row in people} == near({
            ("2026-03-01", agent): golden_money.REVENUE, ("2026-03-01", manager): 10_000.0,
            ("2026-04-01", manager): -10_000.0,
        }), "credit stays with who sold, whoever has the lead now"  # fmt: skip
        (day,) = await ask(tenant, "cpl", until=date(2026, 3, 17))
        assert day["cpl"] == pytest.approx(4000 / 3), "all three are of Berlin's 16th, as the spend is"

    async def test_of_a_currency_without_a_rate_is_not_published(self, build: Build, tenant: Tenant) -> None:
        lead = await golden_money.lead(tenant, golden_money.at(16, 10))
        await golden.sell(tenant, lead, "100.00", "CHF", golden_money.at(17, 10))

        with pytest.raises(AssertionError, match="not_null_fct_sale_fx_rate"):
            await build(*MONEY)

        await golden_money.rates(tenant, date(2026, 3, 13), CHF="45")
        await build(*MONEY)
        (sale,) = await rows(tenant.admin, "select net_amount, fx_rate from published.fct_sale")
        assert tuple(sale) == (4500, 45), "Friday's rate holds over the weekend"
