"""Telephony at the border: each day of calls against its past. Nobody at a telephone waits for this."""

from datetime import datetime, timedelta

import psycopg

from expectations.rules import CALLS
from orchestration import border, days

# A call counts for the day of its request. Four hours is longer than any conversation: a call that began before that
# and has no end is one whose end nobody told us of.
COUNTED = """
select t.tenant_id, case when c.direction = 'inbound' then 'inbound' else 'outbound' end as part,
       (c.requested_at at time zone t.timezone)::date as day, count(*)::int as rows,
       jsonb_build_object(
         'unended', count(*) filter (
            where c.ended_at is null and c.requested_at < %(now)s::timestamptz - interval '4 hours'),
         'from_future', count(*) filter (where exists (
            select from crm.call_fact f
             where f.tenant_id = c.tenant_id and f.call_id = c.id and f.at > f.heard_at + interval '5 seconds'))
       ) as figures,
       null::text[] as questions
  from crm.tenant t
  join crm.call c on c.tenant_id = t.tenant_id and c.source = 'live'
   and c.requested_at >= %(since)s::date::timestamp at time zone t.timezone
 group by 1, 2, 3
"""


def judge_new(connection: psycopg.Connection, *, now: datetime) -> int:
    """Judge the days of calls on which something changed; return how many."""
    return days.judge_new(connection, CALLS, COUNTED, now=now)


def standing(connection: psycopg.Connection, *, now: datetime) -> border.Standing:
    """Return how the days of calls stand."""
    return border.standing(connection, CALLS.asset, noun="days of calls", lately=now - timedelta(days=2))
