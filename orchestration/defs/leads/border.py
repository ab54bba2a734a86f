"""Leads at the border: each form's day against its past. Nobody waits for this: agents have their leads already."""

from datetime import datetime, timedelta

import psycopg

from expectations.rules import LEADS
from orchestration import border, days

# Imports are judged by the file; tests of a form are nobody's lead. Instants become days in the firm's own zone.
COUNTED = """
select c.tenant_id, c.part, c.day, c.rows, c.figures, a.questions
  from (
    select t.tenant_id, concat_ws('/', l.source, l.form) as part,
           (l.received_at at time zone t.timezone)::date as day, count(*)::int as rows,
           jsonb_build_object(
             'without_phone', count(*) filter (where not exists (
                select from crm.contact_point p
                 where p.tenant_id = t.tenant_id and p.contact_id = l.contact_id and p.kind = 'phone')),
             'without_ad', count(*) filter (where l.ad is null),
             'from_future', count(*) filter (
                where l.acquired_at_known and l.acquired_at > l.received_at + interval '5 minutes')) as figures
      from crm.tenant t
      join crm.lead l on l.tenant_id = t.tenant_id
       and l.received_at >= %(since)s::date::timestamp at time zone t.timezone
     where l.import_id is null and not l.is_test
     group by 1, 2, 3) c
  left join (
    select tenant_id, part, day, array_agg(question order by question) as questions
      from (
        select t.tenant_id, concat_ws('/', q.source, q.form) as part,
               (q.received_at at time zone t.timezone)::date as day, q.question, count(*) as answers,
               max(count(*)) over (partition by t.tenant_id, concat_ws('/', q.source, q.form),
                                                (q.received_at at time zone t.timezone)::date) as most
          from crm.tenant t
         cross join lateral ops.lead_questions(
                      t.tenant_id, %(since)s::date::timestamp at time zone t.timezone) as q
         group by 1, 2, 3, 4) asked
     where answers >= 0.8 * most
     group by 1, 2, 3) a on (a.tenant_id, a.part, a.day) = (c.tenant_id, c.part, c.day)
"""
"""Questions: those that most people of the day answered; a question left out by many is not missed."""


def judge_new(connection: psycopg.Connection, *, now: datetime) -> int:
    """Judge the days of forms on which something changed; return how many."""
    return days.judge_new(connection, LEADS, COUNTED, now=now)


def standing(connection: psycopg.Connection, *, now: datetime) -> border.Standing:
    """Return how the days of forms stand."""
    return border.standing(connection, LEADS.asset, noun="days of forms", lately=now - timedelta(days=2))
