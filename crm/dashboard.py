"""Live figures of a firm: what the operational dashboard shows, from the rows as they stand."""

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from crm.db import Tx
from crm.leads import rules


@dataclass(frozen=True, slots=True)
class Stats:
    """Leads by status (test leads left out), those nobody owns, those of today, and the agents who take leads."""

    leads_by_status: dict[str, int]
    leads: int
    unassigned: int
    received_today: int
    agents: int
    agents_accepting: int
    as_of: datetime
    timezone: str


LEADS = """
select status, count(*)::int as leads,
       count(*) filter (where owner_id is null and status = 'new')::int as unassigned,
       count(*) filter (where received_at >= $2::timestamptz)::int as today
  from crm.lead where tenant_id = $1::uuid and not is_test group by status
"""
AGENTS = """
select count(distinct m.user_id)::int as agents,
       count(distinct m.user_id) filter (where m.accepting)::int as accepting
  from crm.routing_member m
  join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.is_active
 where m.tenant_id = $1::uuid
"""


def day_start(now: datetime, timezone: str) -> datetime:
    """Return the midnight that began today in a zone."""
    zone = ZoneInfo(timezone)
    return datetime.combine(now.astimezone(zone).date(), time(), zone)


async def stats(tx: Tx, *, now: datetime) -> Stats:
    """Return the firm's figures at this moment; today begins at midnight in the firm's zone."""
    tenant_id = tx.actor.tenant_id
    timezone = await tx.fetchval("select timezone from crm.tenant where tenant_id = $1::uuid", tenant_id)
    rows = await tx.fetch(LEADS, tenant_id, day_start(now, timezone))
    agents = await tx.fetchrow(AGENTS, tenant_id)
    assert agents is not None, "an aggregate always has a row"
    by_status = {status.value: 0 for status in rules.Status} | {row["status"]: row["leads"] for row in rows}
    return Stats(
        leads_by_status=by_status,
        leads=sum(by_status.values()),
        unassigned=sum(row["unassigned"] for row in rows),
        received_today=sum(row["today"] for row in rows),
        agents=agents["agents"],
        agents_accepting=agents["accepting"],
        as_of=now,
        timezone=timezone,
    )
