"""What building the marts of leads costs: dbt beside the same SQL by hand, the last day beside all, and publishing.

`BENCH_LEADS` (default 50,000; the figure of record is 1,000,000) leads with five activities each, spread over a year,
are written set-based straight into the log of events, for this purpose only. Times of models are those of dbt's
`run_results.json`, tests excluded.
"""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import psycopg

from bench import product, report
from crm.settings import settings
from orchestration import publishing, transform, warehouse

LEADS = int(os.environ.get("BENCH_LEADS", "50000"))
ACTIVITIES = 5
DAYS = 365
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MODELS = ("fct_lead_cycle", "fct_lead_stage_interval", "fct_lead_assignment_interval", "fct_activity", "dim_agent",
          "dim_team", "dim_date")  # fmt: skip
SELECT = ("--select", *(f"+{name}" for name in MODELS))
UNTESTED = ("--exclude-resource-type", "test")

# A lead is received, assigned after a quarter of an hour, spoken to five times, and every other one changes its status.
EVENTS = """
insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at, created_at)
select %(tenant)s, 'lead', md5('bench' || n)::uuid, e.type, e.payload, e.at, clock_timestamp()
  from generate_series(%(first)s::int, %(last)s::int) as n
 cross join lateral (select timestamptz '2025-01-01' + n * interval '1 day' * %(days)s / %(leads)s as at) as lead
 cross join lateral (
   select 'lead.created' as type, lead.at, jsonb_build_object('status', 'new', 'source', 'api', 'platform',
            case n %% 2 when 0 then 'meta' else 'google' end, 'campaign', 'c' || n %% 40, 'form', 'f' || n %% 12,
            'acquired_at', lead.at, 'received_at', lead.at, 'acquired_at_known', true, 'cycle_no', 1) as payload
   union all
   select 'lead.assigned', lead.at + interval '15 minutes',
          jsonb_build_object('user_id', %(user)s::text, 'team_id', %(team)s::text)
   union all
   select 'activity.recorded', lead.at + i * interval '7 hours', jsonb_build_object('kind', 'call', 'direction',
            'outbound', 'channel', 'call', 'is_human', true,
            'outcome', case i when 3 then 'answered' else 'no_answer' end, 'activity_id', md5(n || ':' || i)::uuid)
     from generate_series(1, %(activities)s) as i
   union all
   select 'lead.status_changed', lead.at + interval '2 days', jsonb_build_object('from', 'new', 'to', 'contacted')
    where n %% 2 = 0
 ) as e
"""


def main() -> None:
    """Print the figures."""
    with product.database() as url:
        firm = product.run(product.make_firm())
        with psycopg.connect(url, autocommit=True) as owner:
            generate(owner, firm, 1, LEADS)
            owner.execute("vacuum analyze crm.event_log")
        with warehouse.connect() as connection:
            ratios = [_full(connection) for _ in range(ROUNDS)]
            report.figure("marts, full build over the SQL by hand", [a / b for a, b in ratios], 1.0, at_least=False)
            full = report.median_of([a for a, _ in ratios])
            whole = publishing.publish_at_hand(MODELS)
            shares = [_day(connection, url, firm, number, full) for number in range(ROUNDS)]
        report.figure("marts, last day over full build", [share for share, _ in shares], 0.12, at_least=False)
        moved = sum(each.seconds for each in whole.moved)
        told = report.median_of([seconds for _, seconds in shares])
        report.remark(f"{LEADS:,} leads, {LEADS * ACTIVITIES:,} activities; a full build's models take {full:.1f} s")
        report.remark(f"publishing everything took {moved:.1f} s, a day's news {told:.2f} s")


def generate(owner: psycopg.Connection, firm: product.Firm, first: int, last: int) -> None:
    """Write the events of some leads."""
    owner.execute(EVENTS, {"tenant": firm.tenant_id, "user": firm.user_id, "team": firm.team_id, "first": first,
                           "last": last, "days": DAYS, "leads": LEADS, "activities": ACTIVITIES})  # fmt: skip


def _full(connection: psycopg.Connection) -> tuple[float, float]:
    """Return the seconds of dbt's models and those of the same SQL by hand: tables with the same keys."""
    ours = _build("--full-refresh")
    by_hand = 0.0
    for node in ours:
        if node["kind"] not in ("table", "incremental"):
            continue
        began = time.perf_counter()
        connection.execute(f"create table snap.{node['name']} as {node['sql']}")
        if key := _key(connection, f"{node['schema']}.{node['name']}"):
            connection.execute(f"alter table snap.{node['name']} add primary key ({key})")
        by_hand += time.perf_counter() - began
        connection.execute(f"drop table snap.{node['name']}")
    return _seconds(ours), by_hand


def _day(connection: psycopg.Connection, url: str, firm: product.Firm, number: int, full: float) -> tuple[float, float]:
    """Let one more day happen; return the share of a full build that following it takes, and publishing's seconds."""
    daily = max(1, LEADS // DAYS)
    with psycopg.connect(url, autocommit=True) as owner:
        generate(owner, firm, LEADS + number * daily + 1, LEADS + (number + 1) * daily)
    took = _seconds(_build())
    moved = publishing.publish_at_hand(MODELS).moved
    return took / full, sum(each.seconds for each in moved)


def _build(*arguments: str) -> list[dict[str, Any]]:
    """Build the models; return each with its seconds and its SQL."""
    wanted = [*transform.BUILD, *SELECT, *UNTESTED, transform.ARTIFACTS, *arguments]
    statuses = {result.status for _, result in transform.run(wanted)}
    assert statuses == {"success"}, statuses
    folder = settings().home.resolve() / "dbt-run"
    nodes = json.loads((folder / "manifest.json").read_text())["nodes"]
    results = json.loads((folder / "run_results.json").read_text())["results"]
    return [_told(nodes[one["unique_id"]], one) for one in results if one["unique_id"] in nodes]


def _told(node: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": node["alias"], "schema": node["schema"], "kind": node["config"]["materialized"],
        "seconds": result["execution_time"], "sql": result.get("compiled_code"),
    }  # fmt: skip


def _seconds(nodes: Sequence[dict[str, Any]]) -> float:
    return sum(node["seconds"] for node in nodes)


def _key(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute(
        "select string_agg(quote_ident(a.attname), ', ' order by array_position(i.indkey::int2[], a.attnum))"
        "  from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)"
        " where i.indrelid = to_regclass(%s) and i.indisprimary", (name,),
    ).fetchone()  # fmt: skip
    return row[0] if row and row[0] else ""


if __name__ == "__main__":
    main()
