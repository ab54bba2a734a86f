"""Live figures of a firm: what the operational dashboard shows, from the rows as they stand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from crm.agents import queries as telephones
from crm.agents.rules import State, occupancy
from crm.db import Tx
from crm.leads import rules
from crm.queues import statistics
from crm.users import queries as users


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
    timezone = await _timezone(tx)
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


@dataclass(frozen=True, slots=True)
class Agents:
    """Who takes leads, each with their `telephone` where the actor may watch it, and the telephone floor in figures.

    `service_level`: of all queues in the last half hour, None where `judged` is 0.
    """

    items: Sequence[Mapping[str, Any]]
    agents_by_state: Mapping[str, int]
    occupancy: float | None
    service_level: float | None
    judged: int
    as_of: datetime
    timezone: str


async def agents(tx: Tx, *, team_id: UUID | None = None, now: datetime) -> Agents:
    """Return the agents of the firm, or of a team, at this moment."""
    people = await users.agents(tx, closed=sorted(rules.TERMINAL), team_id=team_id)
    watched = await floor(tx, team_id=team_id, now=now)
    by_id = {row["id"]: row for row in watched}
    states = Counter(row["state"] for row in watched)
    counts = (await statistics.of_late(tx, now=now)).values()
    judged, in_sl = sum(each.judged for each in counts), sum(each.in_sl for each in counts)
    return Agents(
        items=[{**row, "telephone": by_id.get(row["id"])} for row in people],
        agents_by_state={state.value: states[state] for state in State},
        occupancy=occupancy(sum(row["busy_s"] for row in watched), sum(row["available_s"] for row in watched)),
        service_level=in_sl / judged if judged else None,
        judged=judged,
        as_of=now,
        timezone=await _timezone(tx),
    )


async def floor(tx: Tx, *, team_id: UUID | None = None, now: datetime) -> list[dict[str, Any]]:
    """Return the agents at the telephone whom the actor may watch, with their day so far in the firm's zone."""
    return await telephones.floor(tx, team_id=team_id, since=day_start(now, await _timezone(tx)), now=now)


async def _timezone(tx: Tx) -> str:
    name: str = await tx.fetchval("select timezone from crm.tenant where tenant_id = $1::uuid", tx.actor.tenant_id)
    return name
