"""What building the marts of leads costs: dbt beside the same SQL by hand, a day beside all, growth, keeping up.

`BENCH_LEADS` (default 50,000; the figure of record is 1,000,000) leads with five activities each, spread over a year,
are written set-based straight into the log of events, for this purpose only. Times of models are those of dbt's
`run_results.json`, tests excluded, one model at a time as by hand. By hand means what an engineer would write in one
session: the same tables with the same rows, first filled, then given the same keys, indexes and policy.
For `BENCH_SECONDS` (default 120) events then come at 50 a second while builds follow one another, each published.
"""

import json
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from bench import product, report
from crm.settings import settings
from kpis import project
from orchestration import connections, publishing, transform, warehouse

LEADS = int(os.environ.get("BENCH_LEADS", "50000"))
STEPS = (LEADS // 20, LEADS // 5, LEADS)
ACTIVITIES = 5
DAYS = 365
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "120"))
RATE = 50
BEHIND_S = 600
PAUSE_S = 30
"""Between two builds that follow events: how often a sensor looks for news."""
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
EVENT = """
insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at, created_at)
values (%s, 'lead', md5('bench' || (1 + floor(random() * %s))::int)::uuid, 'activity.recorded', jsonb_build_object(
  'kind', 'call', 'direction', 'outbound', 'channel', 'call', 'is_human', true, 'outcome', 'answered',
  'activity_id', gen_random_uuid()), clock_timestamp(), clock_timestamp())
"""
FINISH = """
select 'alter table snap.' || c.relname || ' ' || string_agg(what, ', ')
  from pg_class c
 cross join lateral (
   select 'alter column ' || quote_ident(attname) || ' set not null' as what
     from pg_attribute where attrelid = c.oid and attnum > 0 and attnotnull
   union all
   select 'add ' || pg_get_constraintdef(oid) from pg_constraint where conrelid = c.oid and contype in ('p', 'u')
   union all
   select 'enable row level security'
 ) as said
 where c.oid = to_regclass(%(name)s)
 group by c.relname
union all
select replace(replace(pg_get_indexdef(indexrelid), indexrelid::regclass::text, i.relname),
               ' ON ' || indrelid::regclass::text, ' ON snap.' || c.relname)
  from pg_index join pg_class c on c.oid = indrelid join pg_class i on i.oid = indexrelid
 where indrelid = to_regclass(%(name)s)
   and not exists (select from pg_constraint where conindid = indexrelid)
"""
POLICY = "create policy tenant on snap.{name} for select to santral_app using ({condition})"


def main() -> None:
    """Print the figures."""
    with product.database() as url:
        firm = product.run(product.make_firm())
        with psycopg.connect(url, autocommit=True) as owner:
            nodes = _grow(owner, firm)
        with warehouse.connect() as connection, psycopg.connect(url, autocommit=True) as owner:
            pairs = [_pair(connection, owner, nodes, number) for number in range(ROUNDS)]
            report.figure("marts, full build over the SQL by hand", [a / b for a, b, _ in pairs], 1.0, at_least=False)
            report.figure("the same, by hand with its settings too", [a / c for a, _, c in pairs], 1.0, at_least=False)
            full = statistics.median([a for a, _, _ in pairs])
            whole = publishing.publish_at_hand(MODELS)
            shares = [_day(url, firm, number, full) for number in range(ROUNDS)]
        report.figure("marts, last day over full build", [share for share, _ in shares], 0.12, at_least=False)
        moved = sum(each.seconds for each in whole.moved)
        told = report.median_of([seconds for _, seconds in shares])
        report.remark(f"{LEADS:,} leads, {LEADS * ACTIVITIES:,} activities; a full build's models take {full:.1f} s")
        report.remark(f"publishing everything took {moved:.1f} s, a day's news {told:.2f} s")
        began = time.monotonic()
        idle = _seconds(_build())
        report.remark(f"with nothing new: models {idle:.2f} s, the whole build {time.monotonic() - began:.1f} s")
        _keep_up(url, firm)


def _grow(owner: psycopg.Connection, firm: product.Firm) -> list[dict[str, Any]]:
    """Write the leads in steps and build all after each; return the models of the last build."""
    nodes, done = list[dict[str, Any]](), 0
    for size in STEPS:
        generate(owner, firm, done + 1, size)
        owner.execute("vacuum analyze crm.event_log")
        nodes, done = _build("--full-refresh"), size
        seconds = _seconds(nodes)
        report.remark(f"{size:>9,} leads: a full build takes {seconds:6.1f} s, {seconds / size * 1e6:.0f} µs a lead")
    return nodes


def generate(owner: psycopg.Connection, firm: product.Firm, first: int, last: int) -> None:
    """Write the events of some leads."""
    owner.execute(EVENTS, {"tenant": firm.tenant_id, "user": firm.user_id, "team": firm.team_id, "first": first,
                           "last": last, "days": DAYS, "leads": LEADS, "activities": ACTIVITIES})  # fmt: skip


def _pair(
    connection: psycopg.Connection, owner: psycopg.Connection, nodes: Sequence[dict[str, Any]], number: int
) -> tuple[float, float, float]:
    """Return the seconds of dbt's models, of the same SQL by hand, and by hand with dbt's settings, in turned order."""
    ours, by_hand, settled = 0.0, 0.0, 0.0
    for turn in range(3):
        for left_behind in ("vacuum analyze", "checkpoint"):  # by whoever built before: nobody else pays for it
            owner.execute(left_behind)
        match (turn + number) % 3:
            case 0:
                ours = _seconds(_build("--full-refresh"))
            case 1:
                by_hand = _by_hand(connection, nodes)
            case 2:
                for name, value in connections.SETTINGS.items():
                    connection.execute(f"set {name} = '{value}'")
                settled = _by_hand(connection, nodes)
                connection.execute("reset all")
    return ours, by_hand, settled


def _by_hand(connection: psycopg.Connection, nodes: Sequence[dict[str, Any]]) -> float:
    seconds = 0.0
    for node in nodes:
        if node["kind"] not in ("table", "incremental"):
            continue
        name = node["name"]
        finish = [row[0] for row in connection.execute(FINISH, {"name": f"{node['schema']}.{name}"})]
        condition = "true" if node["shared"] else "tenant_id = current_setting('app.tenant_id')::uuid"
        began = time.perf_counter()
        connection.execute(f"create table snap.{name} as {node['sql']}")
        for statement in (*finish, POLICY.format(name=name, condition=condition)):
            connection.execute(statement)
        seconds += time.perf_counter() - began
        connection.execute(f"drop table snap.{name}")
    return seconds


def _day(url: str, firm: product.Firm, number: int, full: float) -> tuple[float, float]:
    """Let one more day happen; return the share of a full build that following it takes, and publishing's seconds."""
    daily = max(1, LEADS // DAYS)
    with psycopg.connect(url, autocommit=True) as owner:
        generate(owner, firm, LEADS + number * daily + 1, LEADS + (number + 1) * daily)
    took = _seconds(_build())
    moved = publishing.publish_at_hand(MODELS).moved
    return took / full, sum(each.seconds for each in moved)


def _keep_up(url: str, firm: product.Firm) -> None:
    """Let events come while builds follow them, and print by how much readers were behind, before each publication."""
    ends, behind = time.monotonic() + SECONDS, list[float]()
    (stood,) = (each.as_of for each in publishing.publish_at_hand(MODELS).moved if each.domain == "leads")
    with _events(url, firm) as written:
        while time.monotonic() < ends or len(behind) < 2:
            _build()
            (moved,) = (each for each in publishing.publish_at_hand(MODELS).moved if each.domain == "leads")
            behind.append((datetime.now(UTC) - stood).total_seconds())
            stood = moved.as_of
            time.sleep(PAUSE_S)
    report.figure(f"marts, seconds behind at {RATE} events/s", behind, BEHIND_S, at_least=False)
    report.remark(f"at worst {max(behind):.0f} s; {written[0]:,} events came, {PAUSE_S} s between builds")


@contextmanager
def _events(url: str, firm: product.Firm) -> Iterator[list[int]]:
    """Write events at a steady rate, each in its own transaction, while the block lasts; yield how many there are."""
    written, stop = [0], threading.Event()

    def write() -> None:
        with psycopg.connect(url, autocommit=True) as owner:
            began = time.monotonic()
            while not stop.wait(max(0.0, began + written[0] / RATE - time.monotonic())):
                owner.execute(EVENT, (firm.tenant_id, LEADS))
                written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        stop.set()
        writer.join()


def _build(*arguments: str) -> list[dict[str, Any]]:
    """Build the models; return each with its seconds and its SQL."""
    wanted = [*transform.BUILD, *SELECT, *UNTESTED, "--threads", "1", transform.ARTIFACTS, *arguments]
    found = list(transform.run(wanted))
    assert {result.status for _, result in found} == {"success"}, [result.message for _, result in found]
    nodes = json.loads((project.target() / "manifest.json").read_text())["nodes"]
    results = json.loads((settings().home.resolve() / "dbt-run" / "run_results.json").read_text())["results"]
    return [_told(nodes[one["unique_id"]], one) for one in results if one["unique_id"] in nodes]


def _told(node: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": node["alias"], "schema": node["schema"], "kind": node["config"]["materialized"],
        "shared": bool(node["config"]["meta"].get("shared")), "seconds": result["execution_time"],
        "sql": result.get("compiled_code"),
    }  # fmt: skip


def _seconds(nodes: Sequence[dict[str, Any]]) -> float:
    return sum(node["seconds"] for node in nodes)


if __name__ == "__main__":
    main()
