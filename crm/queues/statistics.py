"""The figures of queues, counted over stays: per day of the queue's zone, per queue, and live."""

from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

import asyncpg

from crm.db import Tx
from crm.queues.figures import Counts

LIVE = timedelta(minutes=30)
"""The span of live figures."""

COUNTED = """
       count(*) filter (where v.in_hours)::int as offered,
       count(*) filter (where not v.in_hours)::int as offered_ooh,
       count(*) filter (where v.in_hours and v.outcome = 'answered')::int as answered,
       count(*) filter (where v.in_hours and v.outcome = 'answered' and v.wait_s <= v.sl_s)::int as in_sl,
       count(*) filter (where v.in_hours and v.outcome = 'abandoned')::int as abandoned,
       count(*) filter (where v.in_hours and v.outcome = 'abandoned' and v.wait_s <= v.short_s and v.short_s > 0)::int
         as short_abandons,
       count(*) filter (where v.in_hours and v.outcome = 'abandoned' and v.wait_s <= v.sl_s)::int as abandoned_in_sl,
       count(*) filter (where v.in_hours and v.outcome = 'overflow')::int as overflow,
       count(*) filter (where v.in_hours and v.outcome = 'timeout')::int as timeout,
       count(*) filter (where v.in_hours and v.outcome = 'callback')::int as callback,
       coalesce(sum(v.wait_s) filter (where v.in_hours and v.outcome = 'answered'), 0) as answered_wait_s,
       coalesce(sum(v.wait_s) filter (where v.in_hours and v.outcome = 'abandoned'
                                        and not (v.wait_s <= v.short_s and v.short_s > 0)), 0) as abandoned_wait_s,
       coalesce(sum(v.talk_s) filter (where v.in_hours and v.outcome = 'answered'), 0) as talk_s
"""
"""`short_s` 0 switches short abandons off."""
SPAN = f"""
select case when $5::boolean then (v.enqueued_at at time zone v.timezone)::date end as day,
       case when $6::boolean then v.queue end as queue, {COUNTED},
       percentile_cont(0.5) within group (order by v.wait_s) filter (where v.in_hours and v.outcome = 'answered')
         as wait_p50,
       percentile_cont(0.9) within group (order by v.wait_s) filter (where v.in_hours and v.outcome = 'answered')
         as wait_p90
  from crm.queue_visit v
 where v.tenant_id = $1::uuid and v.outcome <> 'system' and not v.is_test
   and v.enqueued_at >= $2::date::timestamp at time zone 'UTC' - interval '1 day'
   and v.enqueued_at < $3::date::timestamp at time zone 'UTC' + interval '2 days'
   and (v.enqueued_at at time zone v.timezone)::date between $2::date and $3::date
   and ($4::text[] is null or v.queue in (select unnest($4::text[])))
 group by 1, 2 order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of a day, a queue, or both; percentiles of the waits of those answered, in seconds."""

    day: date | None
    queue: str | None
    counts: Counts
    wait_p50: float | None = None
    wait_p90: float | None = None


async def of_days(
    tx: Tx, since: date, until: date, *, queues: list[str] | None = None, by_day: bool = True, by_queue: bool = True
) -> list[Figures]:
    """Return the figures of days (both included) of each queue's own zone, by day, by queue, by both, or in all."""
    rows = await tx.fetch(SPAN, tx.actor.tenant_id, since, until, queues, by_day, by_queue)
    return [Figures(row["day"], row["queue"], _counts(row), row["wait_p50"], row["wait_p90"]) for row in rows]


OF_LATE = f"""
select v.queue, {COUNTED} from crm.queue_visit v
 where v.tenant_id = $1::uuid and v.outcome <> 'system' and not v.is_test and not v.is_historical
   and v.enqueued_at >= $2::timestamptz and v.enqueued_at < $3::timestamptz
 group by v.queue
"""


async def of_late(tx: Tx, *, now: datetime, span: timedelta = LIVE) -> dict[str, Counts]:
    """Return what was counted of each queue since a while (half an hour), now left out; nothing of a quiet queue."""
    rows = await tx.fetch(OF_LATE, tx.actor.tenant_id, now - span, now)
    return {row["queue"]: _counts(row) for row in rows}


def _counts(row: asyncpg.Record) -> Counts:
    return Counts(**{each.name: row[each.name] for each in fields(Counts)})
