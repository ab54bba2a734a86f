"""Advertising reports at the border: judged before anything reads them; what is bad is held back with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from expectations import AD_REPORTS

UNJUDGED = """
select r.tenant_id, r.payload_id, r.source, r.natural_key, r.is_complete, jsonb_array_length(r.rows) as row_count,
       jsonb_array_length(r.rows) / nullif(usual.row_count, 0) as volume_ratio
  from raw.ad_report r
  left join raw.payload_verdict v on v.tenant_id = r.tenant_id and v.payload_id = r.payload_id and v.suite = %(suite)s
  left join lateral (
    select percentile_cont(0.5) within group (order by jsonb_array_length(o.rows)) as row_count
      from raw.ad_report o
      join raw.payload_verdict g on g.tenant_id = o.tenant_id and g.payload_id = o.payload_id and g.passed
     where o.tenant_id = r.tenant_id and o.source = r.source and o.account_id = r.account_id
       and o.fetched_at between r.fetched_at - interval '28 days' and r.fetched_at
    having count(*) >= 7) as usual on true
 where v.payload_id is null
 order by r.fetched_at, r.payload_id
"""

ROWS = """
select payload_id, campaign_id, currency, spend::float8 as spend,
       least(impressions, clicks, platform_leads)::float8 as least_count,
       row_day is not distinct from day as is_of_its_day,
       count(*) over (partition by tenant_id, payload_id, campaign_id, adset_id, ad_id) > 1 as is_repeated
  from raw.ad_report_row where payload_id = any(%(payloads)s)
"""

KEEP = """
insert into raw.payload_verdict (tenant_id, payload_id, passed, reasons, suite, checked_at)
values (%(tenant_id)s, %(payload_id)s, %(passed)s, %(reasons)s, %(suite)s, %(checked_at)s)
on conflict (tenant_id, payload_id) do update
   set passed = excluded.passed, reasons = excluded.reasons, suite = excluded.suite, checked_at = excluded.checked_at
"""

STANDING = """
select distinct on (r.tenant_id, r.source, r.natural_key) r.source, r.natural_key, v.passed, v.reasons
  from raw.ad_report r
  join raw.payload_verdict v on v.tenant_id = r.tenant_id and v.payload_id = r.payload_id
 order by r.tenant_id, r.source, r.natural_key, r.fetched_at desc, r.payload_id desc
"""

TOLERATED = 0.2
"""Share of reports that may be bad before the whole feed counts as broken and the gate closes."""
TOLD = 5
"""How many reports a sentence names."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the latest version of every report stands: how many there are, and why which are held back."""

    reports: int
    held: Sequence[tuple[str, Sequence[str]]]

    @property
    def is_broken(self) -> bool:
        """Whether so much is bad that nothing of the feed should go on."""
        return len(self.held) > TOLERATED * self.reports

    @property
    def sentence(self) -> str:
        """What a person should know."""
        if not self.held:
            return f"all {self.reports} reports keep to the rules"
        named = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in self.held[:TOLD])
        more = f"; and {len(self.held) - TOLD} more" if len(self.held) > TOLD else ""
        gate = "; more than a fifth is bad, so the gate is closed" if self.is_broken else ""
        return f"{len(self.held)} of {self.reports} reports are held back: {named}{more}{gate}"


def judge_new(connection: psycopg.Connection, *, now: datetime) -> int:
    """Judge the reports that have no verdict yet, keep the verdicts, and return how many there were."""
    cursor = connection.cursor(row_factory=dict_row)
    reports = cursor.execute(UNJUDGED, {"suite": AD_REPORTS}).fetchall()
    if not reports:
        return 0
    # Imported here: it takes seconds and most runs have nothing to judge.
    import pandas as pd

    from expectations import ad_reports, gate

    rows = cursor.execute(ROWS, {"payloads": [report["payload_id"] for report in reports]}).fetchall()
    found = [
        gate.judge(pd.DataFrame(frame), suite, key="payload_id")
        for frame, suite in ((rows, ad_reports.ROWS), (reports, ad_reports.SETS))
    ]
    cursor.executemany(KEEP, [_verdict(report, found, now=now) for report in reports])
    return len(reports)


def _verdict(report: dict[str, Any], found: Sequence[dict[Any, list[str]]], *, now: datetime) -> dict[str, Any]:
    reasons = [reason for one in found for reason in one.get(report["payload_id"], ())]
    return {
        "tenant_id": report["tenant_id"],
        "payload_id": report["payload_id"],
        "passed": not reasons,
        "reasons": reasons,
        "suite": AD_REPORTS,
        "checked_at": now.astimezone(UTC),
    }


def standing(connection: psycopg.Connection) -> Standing:
    """Return how the latest version of every report stands."""
    rows = connection.cursor(row_factory=dict_row).execute(STANDING).fetchall()
    held = [(f"{row['source']} {row['natural_key']}", row["reasons"]) for row in rows if not row["passed"]]
    return Standing(len(rows), held)
