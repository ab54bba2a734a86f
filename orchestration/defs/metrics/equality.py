"""One number everywhere, once a day: random slices in every way in which somebody may read them."""

import dagster as dg

from crm import clock
from orchestration import equality, policy, retry

EQUALITY = dg.AssetKey(["metrics", "equality"])
SAME, ASKED = "one_number_everywhere", "every_way_was_asked"
TOLD = 20


class Look(dg.Config):
    """Where to look: `seed` as an earlier run kept it (0: that of the day), `metrics` only these (none: all)."""

    seed: int = 0
    each: int = 3
    metrics: list[str] = []  # noqa: RUF012 - how Dagster writes a default


@dg.asset(
    key=EQUALITY,
    group_name="metrics",
    owners=[policy.ENGINEERS],
    kinds={"postgres"},
    tags={"domain": "metrics"},
    freshness_policy=policy.FRESH_ADS,
    check_specs=[
        dg.AssetCheckSpec(
            SAME,
            asset=EQUALITY,
            description="The API, the dashboards, BI views and SQL by hand say the same of random slices.",
        ),
        dg.AssetCheckSpec(ASKED, asset=EQUALITY, description="No way of reading numbers was left out."),
    ],
)
def metrics_equality(context: dg.AssetExecutionContext, config: Look) -> dg.MaterializeResult:
    """Random slices of the metrics, the same each time a seed is asked for again, and where ways of reading differ."""
    now = clock.utc_now()
    with retry.transient(context.retry_number):
        report = equality.compare(
            config.seed or now.date().toordinal(), now=now, each=config.each, metrics=config.metrics
        )
    return dg.MaterializeResult(
        metadata={
            "seed": report.seed,
            "slices": report.slices,
            "metrics": len(report.metrics),
            "differences": len(report.differences),
            "ways": dg.MetadataValue.json(dict(report.ways)),
            "not asked": ", ".join(report.not_asked) or "none",
        },
        check_results=[_judged(report), _asked(report)],
    )


def _judged(report: equality.Report) -> dg.AssetCheckResult:
    said = "; ".join(str(each) for each in report.differences[:TOLD])
    more = len(report.differences) - TOLD
    if said:
        said += f"{f'; and {more} more' if more > 0 else ''} (seed {report.seed})"
    return dg.AssetCheckResult(
        asset_key=EQUALITY,
        check_name=SAME,
        passed=not report.differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description=said or f"{report.slices} slices say the same in every way they can be read",
    )


def _asked(report: equality.Report) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=EQUALITY,
        check_name=ASKED,
        passed=not report.not_asked,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(report.not_asked) or f"asked in {len(report.ways)} ways",
    )


compare_numbers = policy.scheduled(
    policy.job_of("compare_numbers", metrics_equality, says="Once a day: one number everywhere."),
    "20 6 * * *",
    daily=True,
)
