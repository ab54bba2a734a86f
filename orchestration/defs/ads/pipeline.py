"""Advertising: reports land, are judged at the border, and what is good becomes daily spend."""

import dagster as dg

from crm import clock
from orchestration import border, marts, policy, warehouse
from orchestration.defs.ads import border as reports


@border.gate(
    reports.FEED,
    domain="ads",
    freshness=policy.FRESH_ADS,
    asks="Reports are complete, without days missing before them, with spend, currency, campaign and ad.",
)
def ad_reports() -> dg.MaterializeResult:
    """Advertising reports that landed, each with the verdict of the gate: what is bad is held back, set by set."""
    return border.look(reports.FEED, reports.judge_new, reports.standing, now=clock.utc_now())


ad_marts = marts.of(
    "ads", "ad_marts", freshness=policy.FRESH_ADS, condition=dg.AutomationCondition.eager(),
    says="What is derived from advertising reports.",
)  # fmt: skip


judge_ad_reports = policy.job_of("judge_ad_reports", ad_reports, says="Judges what landed, and who is silent.")


@dg.sensor(
    job=judge_ad_reports,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges advertising reports soon after they land.",
)
def landed_ad_reports(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Judge reports soon after they land."""
    with warehouse.connect() as connection:
        row = connection.execute("select max(fetched_at)::text from raw.ad_report").fetchone()
    latest = row[0] if row else None
    if latest is None or latest == context.cursor:
        return dg.SkipReason("nothing has landed since the last look")
    context.update_cursor(latest)
    return dg.RunRequest(run_key=latest)


look_for_silence = policy.scheduled(
    judge_ad_reports, "30 6 * * *", name="look_for_silent_accounts", daily=True,
    says="What does not land starts no sensor: once a day somebody asks which accounts are silent.",
)  # fmt: skip

refresh_ads = dg.AutomationConditionSensorDefinition(
    name="refresh_ads",
    target=dg.AssetSelection.assets(ad_marts),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Daily spend follows judged reports.",
)
