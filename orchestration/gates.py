"""Gates: which feeds a domain's numbers are made of, and for which firms a gate is closed.

Small, so that whoever publishes need not import Dagster; how a gate judges stands in `orchestration.border`.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import psycopg

FEEDS: Mapping[str, tuple[str, ...]] = {
    "ads": ("raw/ad_reports",),
    "leads": ("raw/leads", "raw/imports"),
    "money": ("raw/leads", "raw/imports", "raw/ad_reports"),
    "quality": ("raw/leads", "raw/calls", "raw/imports"),
    "telephony": ("raw/calls", "raw/imports"),
}
"""The feeds that a domain's numbers are made of. A firm for which the gate of one is closed keeps its last good numbers
of the domain (`orchestration.publishing`)."""
TOLERATED = 0.2
"""Share of a firm's news of a day (or of its reports) that may be held before its feed counts as broken."""

CLOSED = f"""
with held as (
  select tenant_id, feed, day, sum(weight) as weight, count(distinct label) as sets
    from ops.quarantine where status = 'held' and feed = any(%(feeds)s) group by tenant_id, feed, day
)
select distinct t.tenant_id, t.slug
  from held h join crm.tenant t on t.tenant_id = h.tenant_id
 where case when h.day is null
         then h.sets > {TOLERATED} * (
           select count(distinct (r.source, r.natural_key)) from raw.ad_report r where r.tenant_id = h.tenant_id)
         else h.weight > {TOLERATED} * (
           select sum(d.rows) from ops.border_day d
            where d.tenant_id = h.tenant_id and d.feed = h.feed and d.day = h.day)
       end
 order by t.slug
"""
"""Firms of which more is held than a feed of theirs can bear: of a day's rows, or of all reports, which have no day.
What nobody counts by the day (rates of exchange) closes nothing: it has not landed."""


def closed(connection: psycopg.Connection, feeds: Sequence[str]) -> dict[UUID, str]:
    """Return the firms for which the gate of one of these feeds is closed now, each with its slug."""
    return dict(connection.execute(CLOSED, {"feeds": list(feeds)}).fetchall())


def closed_over(connection: psycopg.Connection, domain: str) -> frozenset[UUID]:
    """Return the firms for which a gate before a domain is closed now."""
    return frozenset(closed(connection, FEEDS.get(domain, ())))
