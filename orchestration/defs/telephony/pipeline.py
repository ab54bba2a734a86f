"""Telephony marts: from events to calls, legs and stays in queues, every five minutes."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration import policy, transform
from orchestration.defs.imports.gate import imports
from orchestration.defs.telephony.gate import raw_calls


@dbt_assets(
    manifest=transform.manifest(),
    select="tag:telephony",
    dagster_dbt_translator=transform.Models(freshness=policy.FRESH_TELEPHONY, gates=policy.gates_of("telephony")),
    name="telephony_marts",
    pool=policy.Pool.marts,
)
def telephony_marts(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build what is derived from calls and the people who handle them."""
    yield from transform.build(context)


refresh_telephony = dg.ScheduleDefinition(
    name="refresh_telephony",
    target=dg.AssetSelection.assets(imports, raw_calls, telephony_marts),
    cron_schedule=policy.EVERY_FIVE_MINUTES,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Telephony marts follow operations every five minutes.",
)
