"""A backfill of any day: built anew from events, and held against what readers see."""

from datetime import date

import dagster as dg

from crm import clock
from orchestration import policy, replay, retry

DAY = dg.AssetKey(["ops", "replayed_day"])
CHECK = "is_identical"


@dg.asset(
    key=DAY,
    group_name="quality",
    owners=[policy.ENGINEERS],
    kinds={"dbt", "postgres"},
    pool=policy.Pool.replay,
    tags={"domain": "quality"},
    freshness_policy=policy.FRESH_DAILY,
    partitions_def=dg.DailyPartitionsDefinition(start_date="2020-01-01", timezone="Europe/Istanbul"),
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec(CHECK, asset=DAY, description="Events tell the same numbers that readers see.")],
)
def replayed_day(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Days built anew from the events of the last publication, and their hashes held against what readers see."""
    with retry.transient(context.retry_number):
        schema = replay.made(now=clock.utc_now())
        found = [
            (key, table) for key in context.partition_keys for table in replay.compare(schema, date.fromisoformat(key))
        ]
    other = [f"{table.name} on {key}" for key, table in found if not table.is_identical]
    records = [
        dg.TableRecord(
            {"day": key, "table": each.name, "rows": each.rows, "hash": each.hash, "again": each.replayed_hash}
        )
        for key, each in found[:50]
    ]
    return dg.MaterializeResult(
        metadata={
            "tables": dg.MetadataValue.table(records) if records else "none",
            "rows": sum(t.rows for _, t in found),
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key=DAY,
                check_name=CHECK,
                passed=bool(found) and not other,
                description=f"differs: {', '.join(other[:10])}" if other else f"{len(found)} tables are identical",
            )
        ],
    )


@dg.definitions
def backfill() -> dg.Definitions:
    """Return the partitioned asset, the job that replays a day, and yesterday's replay every night."""
    job = dg.define_asset_job(
        "replay",
        dg.AssetSelection.assets(replayed_day),
        description="Build a day anew from events and compare it.",
        tags=policy.DAILY,
    )
    nightly = dg.build_schedule_from_partitioned_job(
        job, name="replay_yesterday", hour_of_day=3, minute_of_hour=40, default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Yesterday, built anew every night: what readers see is what the events say.",
    )  # fmt: skip
    return dg.Definitions(assets=[replayed_day], jobs=[job], schedules=[nightly])
