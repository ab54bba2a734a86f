"""What a firm's attempts tell of when people answer, read from the attempts themselves."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from crm.db import Tx
from crm.dialling.rules import LIVE
from crm.dialling.timing import MOST_COUNTED, Learned, Tally, part_of

BACK = timedelta(days=90)
"""Older attempts tell of other people's habits."""
OWN_TRIES = 20
"""Attempts of one lead that are looked at."""

LEARN = """
select a.local_weekday, a.local_hour, least(a.attempt_no - 1, $4::int) as before, l.source,
       count(*)::int as tries, count(*) filter (where a.result in (select unnest($3::text[])))::int as live
  from crm.dial_attempt a join crm.lead l on l.tenant_id = a.tenant_id and l.id = a.lead_id
 where a.tenant_id = $1::uuid and a.dialed_at >= $2::timestamptz and a.result <> 'blocked_by_policy'
 group by grouping sets ((a.local_weekday, a.local_hour), (least(a.attempt_no - 1, $4::int)), (l.source), ())
"""


async def of_firm(tx: Tx, *, now: datetime) -> Learned:
    """Return what the attempts of the last 90 days, whatever the campaign, tell of when people answer."""
    rows = await tx.fetch(LEARN, tx.actor.tenant_id, now - BACK, sorted(LIVE), MOST_COUNTED)
    total: Tally = (0, 0)
    by_hour: dict[tuple[int, int], Tally] = {}
    by_attempts: dict[int, Tally] = {}
    by_source: dict[str, Tally] = {}
    for row in rows:
        tally = (row["tries"], row["live"])
        if row["local_hour"] is not None:
            by_hour[row["local_weekday"], row["local_hour"]] = tally
        elif row["before"] is not None:
            by_attempts[row["before"]] = tally
        elif row["source"] is not None:
            by_source[row["source"]] = tally
        else:
            total = tally
    return Learned(total, by_hour, by_attempts, by_source)


TRIES = """
select w.id as lead_id, a.local_hour, a.result in (select unnest($4::text[])) as is_live
  from unnest($2::uuid[]) as w(id)
 cross join lateral (
   select local_hour, result from crm.dial_attempt
    where tenant_id = $1::uuid and lead_id = w.id and dialed_at >= $3::timestamptz and result <> 'blocked_by_policy'
    order by dialed_at desc limit $5::int) a
"""


async def tries_of(tx: Tx, lead_ids: Iterable[UUID], *, now: datetime) -> Mapping[UUID, Mapping[int, Tally]]:
    """Return the recent attempts of leads by part of the day; leads without any are left out."""
    rows = await tx.fetch(TRIES, tx.actor.tenant_id, list(lead_ids), now - BACK, sorted(LIVE), OWN_TRIES)
    found: dict[UUID, dict[int, Tally]] = defaultdict(dict)
    for row in rows:
        own, part = found[row["lead_id"]], part_of(row["local_hour"])
        tries, live = own.get(part, (0, 0))
        own[part] = (tries + 1, live + row["is_live"])
    return found
