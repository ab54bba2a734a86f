"""Rates of exchange, every afternoon after the central banks have published."""

import dagster as dg

from crm import clock
from crm.settings import settings
from expectations.rules import RATES
from orchestration import border, policy, rates, retry, warehouse

FX = dg.AssetKey(RATES.asset.split("/"))


@dg.asset(
    key=FX,
    group_name="ingestion",
    owners=[policy.owner_of("money")],
    kinds={"postgres", "great_expectations"},
    pool=policy.Pool.border,
    tags={"domain": "money"},
    freshness_policy=policy.FRESH_DAILY,
    check_specs=[
        dg.AssetCheckSpec(border.CHECK, asset=FX, description="Tables of their day, near the rates of the day before.")
    ],
)
def fx_rates(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What the firm's central bank published within the last week; what breaks a rule is held back."""
    with retry.transient(context.retry_number):
        found = rates.pull_lately()
        with warehouse.connect() as connection:
            stands = border.standing(connection, RATES.asset, noun="tables of rates", lately=clock.utc_now())
    return dg.MaterializeResult(
        metadata={
            "landed": found.landed,
            "known already": found.known,
            "held back": found.held,
            "days": ", ".join(day.isoformat() for day in found.days) or "none",
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key=FX,
                check_name=border.CHECK,
                passed=not stands.held,
                severity=dg.AssetCheckSeverity.WARN,
                description=stands.sentence,
            )
        ],
    )


@dg.schedule(
    name="pull_rates",
    target=dg.AssetSelection.assets(fx_rates),
    cron_schedule="45 15,18 * * *",
    execution_timezone="Europe/Istanbul",
    tags=policy.DAILY,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The TCMB publishes at 15:30, the ECB about 18:00 (Istanbul), on business days.",
)
def pull_rates(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Pull rates, but in the demo, which makes its own, and where nobody wants them."""
    if settings().environment == "demo" or settings().rates_source == "none":
        return dg.SkipReason("rates come from elsewhere here")
    return dg.RunRequest()
