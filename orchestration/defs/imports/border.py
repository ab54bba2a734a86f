"""Imported files at the border: whole, mostly readable, about as long as their source's files are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from expectations.rules import IMPORTS
from orchestration import border

FEED = IMPORTS.asset

# Judged when it changed since the last look. One that rests for an hour without having ended has lost its process.
UNJUDGED = """
select r.tenant_id, r.id::text as set_key, r.read as weight, r.status = 'done' as is_whole,
       (r.created_at at time zone t.timezone)::date as day,
       t.slug || ', import ' || r.id || ' from ' || r.source as label,
       r.rejected::float8 / nullif(r.read, 0) as rejected_share, r.unchanged::float8 / nullif(r.read, 0) as known_share,
       case when usual.files >= 3 then r.read / nullif(usual.rows, 0) end as volume_ratio
  from crm.import_run r
  join crm.tenant t on t.tenant_id = r.tenant_id
  left join ops.border_day d on d.tenant_id = r.tenant_id and d.feed = %(feed)s and d.part = r.id::text
  left join lateral (
    select count(*) as files, percentile_cont(0.5) within group (order by o.read) as rows
      from crm.import_run o
     where o.tenant_id = r.tenant_id and o.source = r.source and o.status = 'done' and not o.is_dry_run
       and o.id <> r.id and o.created_at between r.created_at - interval '28 days' and r.created_at) as usual on true
 where not r.is_dry_run and r.created_at > %(now)s::timestamptz - interval '28 days'
   and (r.status in ('done', 'failed')
        or r.status = 'running' and r.updated_at < %(now)s::timestamptz - interval '1 hour')
   and (%(anew)s or d.counted_at is null or r.updated_at > d.counted_at)
"""

COUNT = """
insert into ops.border_day as d (tenant_id, feed, part, day, rows, figures, counted_at)
values (%(tenant_id)s, %(feed)s, %(set_key)s, %(day)s, %(weight)s, '{}', %(now)s)
on conflict (tenant_id, feed, part, day) do update set rows = excluded.rows, counted_at = excluded.counted_at
"""


def judge_new(connection: psycopg.Connection, *, now: datetime) -> int:
    """Judge the imports that ended since the last look; return how many."""
    told = {"feed": FEED, "now": now.astimezone(UTC)}
    cursor = connection.cursor(row_factory=dict_row)
    runs = cursor.execute(UNJUDGED, told | {"anew": False}).fetchall()
    if not runs:
        return 0
    # Imported here: it takes seconds, and most looks find nothing to judge.
    import pandas as pd

    from expectations import gate

    frame: list[dict[str, Any]] = [run | {"name": border.name_of(run)} for run in runs]
    for run in runs:
        cursor.execute(COUNT, run | told)
    border.keep(connection, FEED, runs, gate.judge(pd.DataFrame(frame), IMPORTS, key="name"), now=now)
    return len(runs)


def recent(connection: psycopg.Connection, *, now: datetime) -> list[dict[str, Any]]:
    """Return the imports of the last four weeks with what the rules ask of them, judged already or not."""
    told = {"feed": FEED, "now": now.astimezone(UTC), "anew": True}
    return connection.cursor(row_factory=dict_row).execute(UNJUDGED, told).fetchall()


def standing(connection: psycopg.Connection, *, now: datetime) -> border.Standing:
    """Return how imported files stand."""
    return border.standing(connection, FEED, noun="imports", lately=now - timedelta(days=2))
