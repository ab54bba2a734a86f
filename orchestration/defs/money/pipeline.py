"""Money: sales, rates of exchange, what ads came to. Apart from leads, so that a missing rate blocks nothing else."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration import policy, transform
from orchestration.defs.imports.gate import imports
from orchestration.defs.leads.gate import leads


@dbt_assets(
    manifest=transform.manifest(),
    select="tag:money",
    dagster_dbt_translator=transform.Models(freshness=policy.FRESH_LEADS, gates=policy.gates_of("money")),
    name="money_marts",
    pool=policy.Pool.marts,
)
def money_marts(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build what is derived from sales and spend, in the firm's own currency."""
    yield from transform.build(context)


refresh_money = dg.ScheduleDefinition(
    name="refresh_money",
    target=dg.AssetSelection.assets(imports, leads, money_marts),
    cron_schedule=policy.EVERY_FIVE_MINUTES,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Figures of money follow sales and spend every five minutes.",
)
