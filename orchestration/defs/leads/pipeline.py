"""Lead marts: judged at the border, then from events to cycles, intervals and dimensions, every five minutes."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from crm import clock
from orchestration import border, policy, transform
from orchestration.defs.imports.gate import IMPORTS, imports
from orchestration.defs.leads import border as forms

LEADS = dg.AssetKey(["raw", "leads"])


@dg.asset(
    key=LEADS,
    group_name="ingestion",
    owners=[policy.OWNER],
    kinds={"postgres", "great_expectations"},
    tags={"domain": "leads"},
    freshness_policy=policy.FRESH_LEADS,
    check_specs=[
        border.check_spec(
            LEADS, "Each form brings about as many leads as usual, with numbers, ad ids, questions and times in order."
        )
    ],
)
def leads() -> dg.MaterializeResult:
    """What each form brought each day, judged against its past. Agents have these leads already; numbers wait."""
    return border.look(LEADS, forms.judge_new, forms.standing, now=clock.utc_now())


@dbt_assets(
    manifest=transform.manifest(),
    select="tag:leads",
    dagster_dbt_translator=transform.Models(freshness=policy.FRESH_LEADS, gates=[LEADS, IMPORTS]),
    name="lead_marts",
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
