"""What outside tells of each day, in its own shapes (ingestion/landing.py): the ads' reports, rates of exchange."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cli.demo.market import AdDay
from cli.demo.world import AD_ACCOUNT
from ingestion import landing


@dataclass(frozen=True, slots=True)
class Report:
    """One account's whole day."""

    source: str
    endpoint: str
    key: str
    payload: Mapping[str, Any]


def by_day(rows: Iterable[AdDay]) -> dict[date, list[AdDay]]:
    """Return the rows of each day."""
    days: dict[date, list[AdDay]] = defaultdict(list)
    for row in rows:
        days[row.day].append(row)
    return days


WORTH = {"EUR": 49.8, "GBP": 57.2, "USD": 42.6}
"""Lira for one unit at the beginning of 2026; a little more every day."""
DRIFT = 0.0006


def rates(day: date) -> Report:
    """Return a day's rates of exchange."""
    grown = 1 + DRIFT * (day - date(2026, 1, 1)).days
    worth = {currency: f"{rate * grown:.4f}" for currency, rate in WORTH.items()}
    return Report("fx", "daily_rates", landing.report_key("TRY", day), {"base": "TRY", "rates": worth})


def payloads(day: date, rows: Sequence[AdDay]) -> Iterator[Report]:
    """Yield each platform's report of a day, and the day's rates of exchange."""
    yield rates(day)
    for platform, endpoint, build in (("meta", "insights", _insights), ("google", "performance", _performance)):
        own = [row for row in rows if row.campaign.platform == platform]
        yield Report(platform, endpoint, landing.report_key(AD_ACCOUNT[platform], day), build(own))


def _insights(rows: Sequence[AdDay]) -> dict[str, Any]:
    data = [
        {
            "account_id": AD_ACCOUNT["meta"].removeprefix("act_"),
            "account_currency": "EUR",
            "campaign_id": row.campaign.id,
            "campaign_name": row.campaign.name,
            "adset_id": row.adset.id,
            "adset_name": row.adset.name,
            "ad_id": row.ad.id,
            "ad_name": row.ad.name,
            "date_start": row.day.isoformat(),
            "date_stop": row.day.isoformat(),
            "spend": f"{row.spend / 100:.2f}",
            "impressions": str(row.impressions),
            "clicks": str(row.clicks),
            "actions": [{"action_type": "lead", "value": str(row.leads)}] if row.leads else [],
        }
        for row in rows
    ]
    return {"data": data, "paging": {"cursors": {"before": "MAZDZD", "after": "MjQZD"}}}


def _performance(rows: Sequence[AdDay]) -> dict[str, Any]:
    results = [
        {
            "customer": {"id": AD_ACCOUNT["google"].replace("-", ""), "currencyCode": "EUR"},
            "campaign": {"id": row.campaign.id, "name": row.campaign.name},
            "adGroup": {"id": row.adset.id, "name": row.adset.name},
            "adGroupAd": {"ad": {"id": row.ad.id}},
            "segments": {"date": row.day.isoformat()},
            "metrics": {
                "costMicros": str(row.spend * 10_000),
                "impressions": str(row.impressions),
                "clicks": str(row.clicks),
                "conversions": float(row.leads),
            },
        }
        for row in rows
    ]
    return {"results": results}
