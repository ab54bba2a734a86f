"""Advertising reports at the border: judged before anything reads them; what is bad is held back with its reason."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from expectations.rules import AD_REPORTS, BY_ID, REPORT_ACCOUNTS, REPORT_ROWS, REPORT_SETS
from orchestration import border

if TYPE_CHECKING:
    from expectations.gate import Fault, Faults

FEED, ACCOUNTS = REPORT_SETS.asset, REPORT_ACCOUNTS.asset

UNJUDGED = r"""
with report as materialized (
  select *, case when day ~ '^\d{4}-\d\d-\d\d$' then day::date end as on_day from raw.ad_report
), known as (
  select distinct tenant_id, source, account_id, on_day from report where on_day is not null
), let_in as (
  select r.tenant_id, r.source, r.account_id, max(r.on_day) as on_day
    from ops.quarantine q join report r on r.tenant_id = q.tenant_id and r.payload_id::text = q.set_key
   where q.feed = %(feed)s and q.status = 'released' group by 1, 2, 3
)
select r.tenant_id, r.payload_id, r.source, r.natural_key, r.is_complete, jsonb_array_length(r.rows) as row_count,
       jsonb_array_length(r.rows) / nullif(usual.row_count, 0) as volume_ratio, r.account_id, r.day, t.slug,
       r.on_day - r.fetched_at::date as days_ahead, missing.days as days_missing
  from report r
  join crm.tenant t on t.tenant_id = r.tenant_id
  left join raw.payload_verdict v on v.tenant_id = r.tenant_id and v.payload_id = r.payload_id and v.suite = %(suite)s
  left join lateral (
    select percentile_cont(0.5) within group (order by jsonb_array_length(o.rows)) as row_count
      from raw.ad_report o
      join raw.payload_verdict g on g.tenant_id = o.tenant_id and g.payload_id = o.payload_id and g.passed
     where o.tenant_id = r.tenant_id and o.source = r.source and o.account_id = r.account_id
       and o.fetched_at between r.fetched_at - interval '28 days' and r.fetched_at
    having count(*) >= 7) as usual on true
  left join lateral (
    select r.on_day - min(k.on_day) - count(*) as days
      from known k
      left join let_in l using (tenant_id, source, account_id)
     where k.tenant_id = r.tenant_id and k.source = r.source and k.account_id = r.account_id
       and k.on_day < r.on_day and k.on_day >= r.on_day - 28 and k.on_day >= coalesce(l.on_day, k.on_day)) as missing
       on true
 where v.payload_id is null
    or (not v.passed and %(gap)s = any(v.reasons)
        and exists (select from report n where n.tenant_id = r.tenant_id and n.account_id = r.account_id
                       and n.fetched_at > v.checked_at))
 order by r.fetched_at, r.payload_id
"""

ROWS = """
select payload_id, campaign_id, source <> 'meta' or ad_id is not null as names_its_ad, currency, spend::float8 as spend,
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

REPORTS = "select count(distinct (tenant_id, source, natural_key)) from raw.ad_report"

LET_IN = """
update raw.payload_verdict v set passed = true
  from ops.quarantine q
 where q.feed = %(feed)s and q.status = 'released' and v.tenant_id = q.tenant_id
   and v.payload_id = q.set_key::uuid and not v.passed
"""
"""What somebody let in passes, and keeps the reasons it was held for."""

SUPERSEDED = """
update ops.quarantine q set status = 'cleared', judged_at = %(now)s
  from raw.ad_report r
  join raw.ad_report n on n.tenant_id = r.tenant_id and n.source = r.source and n.natural_key = r.natural_key
   and n.fetched_at > r.fetched_at
  join raw.payload_verdict v on v.tenant_id = n.tenant_id and v.payload_id = n.payload_id and v.passed
 where q.feed = %(feed)s and q.status = 'held' and q.tenant_id = r.tenant_id and q.set_key = r.payload_id::text
"""
"""A held report whose corrected version passed waits for nobody any more."""

REPORTING = r"""
select a.tenant_id, a.source || ' ' || a.account_id as set_key,
       t.slug || ', ' || a.source || ' ' || a.account_id as label,
       max(a.day)::date as day, 1 as weight, %(now)s::date - max(a.day)::date as days_silent
  from raw.ad_report a
  join crm.tenant t on t.tenant_id = a.tenant_id
 where a.day ~ '^\d{4}-\d\d-\d\d$'
 group by a.tenant_id, t.slug, a.source, a.account_id
having max(a.day)::date > %(now)s::date - 35
"""
"""Accounts that reported lately, and for how long they have been silent."""


def judge_new(connection: psycopg.Connection, *, now: datetime) -> int:
    """Judge the reports that have no verdict yet, keep the verdicts, and return how many there were."""
    connection.execute(LET_IN, {"feed": FEED})
    cursor = connection.cursor(row_factory=dict_row)
    gap = BY_ID["ad_reports.gap"].says
    reports = cursor.execute(UNJUDGED, {"suite": AD_REPORTS, "feed": FEED, "gap": gap}).fetchall()
    accounts = cursor.execute(REPORTING, {"now": now}).fetchall()
    if not accounts and not reports:
        return 0
    # Imported here: it takes seconds, and an installation without advertising has nothing to judge.
    import pandas as pd

    from expectations import gate

    named = [account | {"name": border.name_of(account)} for account in accounts]
    border.keep(connection, ACCOUNTS, accounts, gate.judge(pd.DataFrame(named), REPORT_ACCOUNTS, key="name"), now=now)
    if reports:
        rows = cursor.execute(ROWS, {"payloads": [report["payload_id"] for report in reports]}).fetchall()
        found = [
            gate.judge(pd.DataFrame(frame), suite, key="payload_id")
            for frame, suite in ((rows, REPORT_ROWS), (reports, REPORT_SETS))
        ]
        _keep(connection, reports, {r["payload_id"]: _all(found, r["payload_id"]) for r in reports}, now=now)
    return len(reports)


def _all(found: Sequence["Faults"], payload_id: UUID) -> list["Fault"]:
    return [fault for one in found for fault in one.get(payload_id, ())]


def _keep(
    connection: psycopg.Connection,
    reports: Sequence[dict[str, Any]],
    faults: dict[UUID, list["Fault"]],
    *,
    now: datetime,
) -> None:
    """Write verdicts and what is held; what somebody let in passes, what was corrected waits for nobody."""
    verdicts = [_verdict(report, faults[report["payload_id"]], now=now) for report in reports]
    connection.cursor().executemany(KEEP, verdicts)
    sets = [_set(report) for report in reports]
    by_name = {border.name_of(each): faults[UUID(each["set_key"])] for each in sets}
    border.keep(connection, FEED, sets, by_name, now=now)
    connection.execute(LET_IN, {"feed": FEED})
    connection.execute(SUPERSEDED, {"feed": FEED, "now": now.astimezone(UTC)})


def _set(report: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": report["tenant_id"],
        "set_key": str(report["payload_id"]),
        "label": f"{report['slug']}, {report['source']} {report['natural_key']}",
        "day": None,
        "weight": 1,
    }


def _verdict(report: dict[str, Any], faults: Sequence["Fault"], *, now: datetime) -> dict[str, Any]:
    return {
        "tenant_id": report["tenant_id"],
        "payload_id": report["payload_id"],
        "passed": not any(fault.is_critical for fault in faults),
        "reasons": [fault.says for fault in faults],
        "suite": AD_REPORTS,
        "checked_at": now.astimezone(UTC),
    }


def recent(connection: psycopg.Connection) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of every landed report, and the reports, with what the rules ask of them, judged or not."""
    cursor = connection.cursor(row_factory=dict_row)
    of_any_suite = {"suite": "", "feed": FEED, "gap": ""}
    reports = cursor.execute(UNJUDGED, of_any_suite).fetchall()
    rows = cursor.execute(ROWS, {"payloads": [report["payload_id"] for report in reports]}).fetchall()
    return rows, reports


def standing(connection: psycopg.Connection, *, now: datetime) -> border.Standing:
    """Return how the latest version of every report stands, and which accounts are to be looked at."""
    [(reports,)] = connection.execute(REPORTS).fetchall()
    silent = border.standing(connection, ACCOUNTS, noun="accounts", lately=now - timedelta(days=2))
    found = border.standing(connection, FEED, noun="reports", lately=now)
    return replace(found, warned=silent.warned, sets=reports)
