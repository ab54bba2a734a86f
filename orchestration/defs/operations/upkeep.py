"""What the product does by itself, as assets: each shows a dry run and when it was last done, and can be asked for.

The worker owns the schedules and does the work. A run here changes nothing unless it is launched with `launch: true`,
which puts one turn into the worker's queue; the schedule below only looks.
"""

import asyncio
from datetime import datetime

import dagster as dg
from pydantic import Field

from crm import clock, db, upkeep
from crm.upkeep import Report, Upkeep
from orchestration import policy, retry

CHECK = "is_done_in_time"
OWNERS = {
    "recordings": "team:compliance",
    "reconciliation": "team:marketing",
    "retention": "team:compliance",
    "review": "team:sales-operations",
    "tokens": "team:marketing",
}
"""Who is told when an upkeep is not done; of all others the engineers of the pipeline."""


class Turn(dg.Config):
    """What a run of an upkeep does: `launch` asks the worker for a turn now; without it the run only looks."""

    launch: bool = Field(False, description="true: have the worker take a turn now; false: only look.")


async def _look(which: Upkeep, launch: bool, now: datetime) -> tuple[Report, bool]:
    try:
        asked = await upkeep.ask_for(which, now=now) if launch else False
        return await upkeep.report(which, now=now), asked
    finally:
        await db.close()


def asset_of(which: Upkeep) -> dg.AssetsDefinition:
    """Return the asset of an upkeep."""
    key = dg.AssetKey(["operations", which.name])

    @dg.asset(
        key=key,
        group_name="operations",
        description=f"{which.says} Shows what the next turn would do; launch with `launch: true` to ask for one now.",
        owners=[OWNERS.get(which.name, policy.ENGINEERS)],
        kinds={"postgres", "procrastinate"},
        pool=policy.Pool.upkeep,
        tags={"domain": "operations"},
        freshness_policy=policy.FRESH_OPERATIONS,
        check_specs=[dg.AssetCheckSpec(CHECK, asset=key, description=f"Done at least every {3 * which.every}.")],
    )
    def look(context: dg.AssetExecutionContext, config: Turn) -> dg.MaterializeResult:
        now = clock.utc_now()
        with retry.transient(context.retry_number):
            found, asked = asyncio.run(_look(which, config.launch, now))
        return dg.MaterializeResult(
            metadata={
                **{f"due: {what}": count for what, count in found.due.items()},
                "last done": found.done_at.isoformat() if found.done_at else "never",
                "waiting or running": found.is_waiting,
                "asked for now": asked,
            },
            check_results=[_checked(key, which, found, now)],
        )

    return look


def _checked(key: dg.AssetKey, which: Upkeep, found: Report, now: datetime) -> dg.AssetCheckResult:
    late = found.is_late(which, now=now)
    last = f"last done {found.done_at:%Y-%m-%d %H:%M} UTC" if found.done_at else "never done in the last seven days"
    failed = f", failed {found.failed_at:%Y-%m-%d %H:%M} UTC" if found.failed_at else ""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=CHECK,
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{last}{failed}{': is a worker running?' if late else ''}",
    )


@dg.definitions
def operations() -> dg.Definitions:
    """Return every upkeep as an asset, the schedule that looks at them, and the job that asks for a turn."""
    assets = [asset_of(which) for which in upkeep.EVERY]
    look = dg.define_asset_job(
        "upkeep",
        dg.AssetSelection.assets(*assets),
        description="What the product does by itself. Launch one with `launch: true` to have the worker do it now.",
    )
    hourly = policy.scheduled(
        look, "5 * * * *", name="look_at_operations",
        says="How what the product does by itself stands, every hour. It looks and changes nothing.",
    )  # fmt: skip
    return dg.Definitions(assets=assets, jobs=[look], schedules=[hourly])
