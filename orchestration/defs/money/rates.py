"""Rates of exchange, every afternoon after the central banks have published."""

import dagster as dg

from crm import clock
from crm.settings import settings
from expectations.rules import RATES
from orchestration import border, policy, rates, retry, warehouse

FX = dg.AssetKey(RATES.asset.split("/"))


@border.gate(
    RATES.asset,
    domain="money",
    freshness=policy.FRESH_DAILY,
    asks="Tables of their day, near the rates of the day before.",
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
        check_results=[stands.checked(FX)],
    )


@dg.schedule(
    name="pull_rates",
    job=policy.job_of("pull_rates", fx_rates, says="Asks the central banks for their rates."),
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
