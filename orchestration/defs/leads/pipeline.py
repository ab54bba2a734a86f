"""Lead marts: judged at the border, then from events to cycles, intervals and dimensions, every five minutes."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration import policy, transform
from orchestration.defs.imports.gate import imports
from orchestration.defs.leads.gate import leads


@dbt_assets(
    manifest=transform.manifest(),
    select="tag:leads",
    dagster_dbt_translator=transform.Models(freshness=policy.FRESH_LEADS, gates=policy.gates_of("leads")),
    name="lead_marts",
    pool=policy.Pool.marts,
)
def lead_marts(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build what is derived from leads and their organisation."""
    yield from transform.build(context)


refresh_leads = dg.ScheduleDefinition(
    name="refresh_leads",
    target=dg.AssetSelection.assets(imports, leads, lead_marts),
    cron_schedule=policy.EVERY_FIVE_MINUTES,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Lead marts follow operations every five minutes.",
)
