"""Feeds that are judged by the day: counting what came, filling days on which nothing did, comparing, judging."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from expectations.rules import Suite
from expectations.usual import WINDOW, Day, against_usual
from orchestration import border

SINCE = """
select least((select max(counted_at)::date - 1 from ops.border_day where feed = %(feed)s),
             (select min(day) from ops.quarantine where feed = %(feed)s and status = 'held')) as since
"""

COUNT = """
with counted as ({counted})
insert into ops.border_day as d (tenant_id, feed, part, day, rows, figures, questions, counted_at)
select tenant_id, %(feed)s, part, day, rows, figures, coalesce(questions, '{{}}'), %(now)s from counted
on conflict (tenant_id, feed, part, day) do update
   set rows = excluded.rows, figures = excluded.figures, questions = excluded.questions,
       counted_at = excluded.counted_at
 where (d.rows, d.figures, d.questions) is distinct from (excluded.rows, excluded.figures, excluded.questions)
returning tenant_id, part, day
"""

EMPTY = """
insert into ops.border_day (tenant_id, feed, part, day, rows, figures, counted_at)
select p.tenant_id, %(feed)s, p.part, s.day::date, 0, p.figures, %(now)s
  from (select d.tenant_id, d.part, min(d.day) as first_day,
               (select jsonb_object_agg(f.key, 0) from jsonb_each((array_agg(d.figures))[1]) f) as figures
          from ops.border_day d
         where d.feed = %(feed)s and d.day >= %(since)s::date - 28 and d.rows > 0
         group by d.tenant_id, d.part) p
  join crm.tenant t on t.tenant_id = p.tenant_id
 cross join lateral generate_series(greatest(%(since)s::date, p.first_day + 1),
                                    (%(now)s::timestamptz at time zone t.timezone)::date - 1, '1 day') as s(day)
on conflict (tenant_id, feed, part, day) do nothing
returning tenant_id, part, day
"""
"""Days that are over and on which nothing came, in parts that lately brought something: silence is news, too."""

PAST = """
select d.tenant_id, d.part, d.day, d.rows, d.figures, d.questions, t.slug,
       d.day < (%(now)s::timestamptz at time zone t.timezone)::date as is_over, q.status
  from ops.border_day d
  join crm.tenant t on t.tenant_id = d.tenant_id
  left join ops.quarantine q
    on q.tenant_id = d.tenant_id and q.feed = d.feed and q.set_key = d.part || ' ' || d.day
 where d.feed = %(feed)s and d.day >= %(since)s::date - 28
   and (d.tenant_id, d.part) in (select * from unnest(%(tenants)s::uuid[], %(parts)s::text[]))
"""

RECENT = timedelta(days=2)
"""Days back that are judged; older ones are the past to compare with, unless they are held and wait for correction."""
Key = tuple[UUID, str, date]


def judge_new(connection: psycopg.Connection, suite: Suite, counted: str, *, now: datetime) -> int:
    """Count what came since the last look, judge the days that changed, keep what was found; return how many.

    `counted`: the statement that counts a feed from the day %(since)s on: tenant_id, part, day, rows, figures (how many
    rows have each trait), questions (null where there are none).
    """
    feed = suite.asset
    changed = _count(connection, feed, counted, now=now)
    frame = _frame(connection, feed, changed, now=now) if changed else []
    if not frame:
        return 0
    # Imported here: it takes seconds, and most looks find nothing to judge.
    import pandas as pd

    from expectations import gate

    faults = gate.judge(pd.DataFrame(frame), suite, key="name")
    border.keep(connection, feed, [{k: row[k] for k in SET} for row in frame], faults, now=now)
    return len(frame)


SET = ("tenant_id", "set_key", "label", "day", "weight")


def recent(connection: psycopg.Connection, suite: Suite, *, now: datetime) -> list[dict[str, Any]]:
    """Return the last days of a feed with what the rules ask of them, judged already or not."""
    told = {"feed": suite.asset, "since": (now - RECENT).date()}
    keys = connection.execute(
        "select tenant_id, part, day from ops.border_day where feed = %(feed)s and day >= %(since)s", told
    ).fetchall()
    return _frame(connection, suite.asset, set(keys), now=now) if keys else []


def _count(connection: psycopg.Connection, feed: str, counted: str, *, now: datetime) -> set[Key]:
    """Bring the counts up to date and return which days changed."""
    row = connection.execute(SINCE, {"feed": feed}).fetchone()
    since = (row[0] if row else None) or (now - WINDOW).date()
    told = {"feed": feed, "since": since, "now": now.astimezone(UTC)}
    changed = set(connection.execute(COUNT.format(counted=counted), told).fetchall())
    changed |= set(connection.execute(EMPTY, told).fetchall())
    return changed


def _frame(connection: psycopg.Connection, feed: str, changed: set[Key], *, now: datetime) -> list[dict[str, Any]]:
    """Return one row per day that changed, with what the rules ask of it."""
    parts = {key[:2] for key in changed}
    told = {
        "feed": feed,
        "since": min(key[2] for key in changed),
        "now": now.astimezone(UTC),
        "tenants": [tenant for tenant, _ in parts],
        "parts": [part for _, part in parts],
    }
    rows = connection.cursor(row_factory=dict_row).execute(PAST, told).fetchall()
    past: dict[tuple[UUID, str], list[Day]] = defaultdict(list)
    for row in rows:
        if row["status"] != "held":  # what is held is no example for what is usual
            past[row["tenant_id"], row["part"]].append(_day(row))
    return [
        _set(row, past[row["tenant_id"], row["part"]])
        for row in rows
        if (row["tenant_id"], row["part"], row["day"]) in changed
        and (row["status"] == "held" or row["day"] >= (now - RECENT).date())
    ]


def _day(row: dict[str, Any]) -> Day:
    return Day(row["day"], row["rows"], row["figures"], frozenset(row["questions"]))


def _set(row: dict[str, Any], past: Sequence[Day]) -> dict[str, Any]:
    key = f"{row['part']} {row['day']}"
    return {
        "tenant_id": row["tenant_id"],
        "set_key": key,
        "name": border.name_of({"tenant_id": row["tenant_id"], "set_key": key}),
        "label": f"{row['slug']}, {row['part']}, {row['day']}",
        "day": row["day"],
        "weight": row["rows"],
        **against_usual(_day(row), past, is_over=row["is_over"]),
    }
