"""One number everywhere, once a day: random slices in every way in which somebody may read them."""

import dagster as dg

from crm import clock
from orchestration import equality, policy

EQUALITY = dg.AssetKey(["metrics", "equality"])
SHOWN = 20


@dg.asset(
    key=EQUALITY,
    group_name="metrics",
    owners=[policy.OWNER],
    kinds={"postgres"},
    tags={"domain": "metrics"},
    freshness_policy=policy.FRESH_ADS,
    check_specs=[
        dg.AssetCheckSpec(
            "one_number_everywhere",
            asset=EQUALITY,
            description="The API, the dashboards, BI views and SQL by hand say the same of random slices.",
        )
    ],
)
def metrics_equality() -> dg.MaterializeResult:
    """Random slices of the metrics, the same each time a day is asked for again, and where ways of reading differ."""
    now = clock.utc_now()
    report = equality.compare(now.date().toordinal(), now=now)
    return dg.MaterializeResult(
        metadata={"slices": report.slices, "ways": ", ".join(report.ways), "differences": len(report.differences)},
        check_results=[_judged(report)],
    )


def _judged(report: equality.Report) -> dg.AssetCheckResult:
    said = "; ".join(str(each) for each in report.differences[:SHOWN])
    return dg.AssetCheckResult(
        asset_key=EQUALITY,
        check_name="one_number_everywhere",
        passed=not report.differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description=said or f"{report.slices} slices say the same in every way they can be read",
    )


compare_numbers = dg.ScheduleDefinition(
    name="compare_numbers",
    target=dg.AssetSelection.assets(metrics_equality),
    cron_schedule="20 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day: one number everywhere.",
)
