"""Marts of what the platform measures of itself, every five minutes."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration import policy, transform


@dbt_assets(
    manifest=transform.manifest(),
    select="tag:platform",
    dagster_dbt_translator=transform.Models(freshness=policy.FRESH_LEADS),
    name="platform_marts",
    pool=policy.Pool.marts,
)
def platform_marts(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Build minutes of requests, of waiting events and of being up."""
    yield from transform.build(context)


refresh_platform = dg.ScheduleDefinition(
    name="refresh_platform",
    target=dg.AssetSelection.assets(platform_marts),
    cron_schedule=policy.EVERY_FIVE_MINUTES,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The platform's own figures follow every five minutes.",
)
