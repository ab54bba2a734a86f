"""What holds for every asset: who answers for it, when it refreshes, how fresh it is, what it never runs beside."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from orchestration import gates

ENGINEERS = "team:data-platform"
OWNERS: Mapping[str, str] = {
    "ads": "team:marketing",
    "leads": "team:sales-operations",
    "money": "team:finance",
    "quality": "team:compliance",
    "telephony": "team:contact-centre",
}
"""Who answers for a domain and is told when it fails: the same teams that own its metrics; of all others, the
engineers of the pipeline."""


def owner_of(domain: str) -> str:
    """Return who answers for what stands in a domain."""
    return OWNERS.get(domain, ENGINEERS)


def gates_of(domain: str) -> list[dg.AssetKey]:
    """Return the assets that judge the feeds of a domain; each is looked at before the domain is built."""
    return [dg.AssetKey(feed.split("/")) for feed in gates.FEEDS.get(domain, ())]


class Pool:
    """What runs that want the same never do at once; the others wait in the queue and cost nothing (`dagster.yaml`)."""

    marts = "marts"
    """Writing the marts and publishing them."""
    border = "border"
    """Judging what landed from advertising platforms."""
    replay = "replay"
    """Building past days anew, which takes long and holds up nobody."""
    upkeep = "upkeep"
    """Looking at what the product does by itself, and asking for it."""


POOLS = (Pool.marts, Pool.border, Pool.replay, Pool.upkeep)
"""All of them."""


ALERT_AFTER = "santral/alert_after"
"""A run's tag: after how many failures in a row an owner is told."""
DAILY = {ALERT_AFTER: "1"}
"""Of runs that come once a day: three in a row would be half a week."""
EVERY_FIVE_MINUTES = "*/5 * * * *"


def job_of(name: str, *assets: dg.AssetsDefinition, says: str) -> Any:
    """Return the job that makes some assets: what it is called is what Dagster's pages say of its runs."""
    return dg.define_asset_job(name, dg.AssetSelection.assets(*assets), description=says)


def scheduled(job: Any, cron: str, *, name: str = "", says: str = "", daily: bool = False) -> dg.ScheduleDefinition:
    """Return the schedule of a job, by its name and in its words if it has no others; `cron` is in UTC. `daily`: it
    comes once a day, so that the owner is told of the first failure."""
    return dg.ScheduleDefinition(
        name=name or job.name, job=job, cron_schedule=cron, tags=DAILY if daily else None,
        default_status=dg.DefaultScheduleStatus.RUNNING, description=says or job.description,
    )  # fmt: skip


FRESH_LEADS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15))
"""Lead marts follow operations within minutes."""
FRESH_TELEPHONY = FRESH_LEADS
"""So do those of telephony."""
FRESH_OPERATIONS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6), warn_window=timedelta(hours=2))
"""What the product does by itself is looked at every hour."""
FRESH_DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2), warn_window=timedelta(hours=30))
"""What comes once a day."""
FRESH_ADS = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3), warn_window=timedelta(days=2))
"""Advertising reports come daily."""
