"""Marts of resolution, quality and compliance: what leads, calls and consents come to, every quarter of an hour."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration import policy, transform
from orchestration.defs.imports.gate import imports
from orchestration.defs.leads.gate import leads
from orchestration.defs.telephony.gate import raw_calls


@dbt_assets(
    manifest=transform.manifest(),
    select="tag:quality",
    dagster_dbt_translator=transform.Models(freshness=policy.FRESH_LEADS, gates=policy.gates_of("quality")),
    name="quality_marts",
    pool=policy.Pool.marts,
)
def quality_marts(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build what is derived from contacts, surveys, reviews and consents."""
    yield from transform.build(context)


refresh_quality = dg.ScheduleDefinition(
    name="refresh_quality",
    target=dg.AssetSelection.assets(imports, leads, raw_calls, quality_marts),
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Resolution, quality and compliance follow every quarter of an hour.",
)
