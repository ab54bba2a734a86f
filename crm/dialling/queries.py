"""Looking at dialling campaigns: themselves, their leads, their attempts, their error budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import paging
from crm.db import Tx
from crm.dialling import campaigns, designs, guard, looking
from crm.dialling.guard import Verdict
from crm.paging import Filter, Page
from crm.sql import Args

COUNTS = """
select (select count(*)::int from crm.dial_entry e where e.tenant_id = $1::uuid and e.campaign_id = k.id) as leads,
       (select jsonb_object_agg(s.state, s.n) from (
          select e.state, count(*)::int as n from crm.dial_entry e
           where e.tenant_id = $1::uuid and e.campaign_id = k.id group by e.state) s) as states,
       (select count(*)::int from crm.dial_attempt a
         where a.tenant_id = $1::uuid and a.campaign_id = k.id and a.resolved_at is null) as calls,
       (select l.expires_at > clock_timestamp() from crm.dial_lease l
         where l.tenant_id = $1::uuid and l.campaign_id = k.id) as is_run
  from crm.dial_campaign k where k.tenant_id = $1::uuid and k.id = $2::uuid
"""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign with its design, how many leads are in which state, calls under way, and whether a dialer runs it."""

    row: Mapping[str, Any]
    design: designs.Design
    states: Mapping[str, int]
    calls: int
    is_run: bool


async def read(tx: Tx, campaign_id: UUID) -> Campaign:
    """Return one campaign.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    """
    row = await campaigns.get(tx, campaign_id)
    counted = await tx.fetchrow(COUNTS, tx.actor.tenant_id, campaign_id)
    assert counted is not None, "the campaign is there"
    return Campaign(row, designs.of_row(row), counted["states"] or {}, counted["calls"], bool(counted["is_run"]))


PAGE = """
select id, code, name, mode, status, queue, created_at, started_at, status_at from crm.dial_campaign
 where tenant_id = $1::uuid and deleted_at is null and ($2::uuid is null or id < $2::uuid)
   and ($3::text is null or status = $3::text)
   and ($4::boolean or status = 'running' and mode in ('manual', 'preview')
                       and (team_id is null or team_id = $5::uuid))
 order by id desc limit $6::int
"""


async def page(tx: Tx, *, after: UUID | None = None, status: str | None = None, limit: int) -> list[asyncpg.Record]:
    """Return campaigns, the latest first, after one in that order; to agents those that they can work now."""
    actor = tx.actor
    return await tx.fetch(
        PAGE, actor.tenant_id, after, status, actor.may("dialling.view"), actor.team_id, limit
    )  # fmt: skip


async def messages(tx: Tx) -> list[str]:
    """Return the codes of the announcements for people whom a campaign called and for whom nobody is free."""
    rows = await tx.fetch(
        "select distinct safe_harbour from crm.dial_campaign where tenant_id = $1::uuid and deleted_at is null"
        " order by 1",
        tx.actor.tenant_id,
    )
    return [row["safe_harbour"] for row in rows]


ENTRY = """json_build_object(
  'id', e.id, 'lead_id', e.lead_id, 'state', e.state, 'reason', e.reason, 'priority', e.priority,
  'next_at', e.next_at, 'best_hour', e.best_hour, 'answer_p', e.answer_p, 'attempts', e.attempts,
  'last_result', e.last_result, 'last_attempt_at', e.last_attempt_at, 'locked_until', e.locked_until,
  'agent_user_id', e.agent_user_id, 'call_id', e.call_id, 'updated_at', e.updated_at)::text"""
ENTRIES = {
    "state": Filter("e.state", "text"),
    "lead": Filter("e.lead_id", "uuid"),
    "reason": Filter("e.reason", "text"),
}

ATTEMPT = """json_build_object(
  'id', a.id, 'entry_id', a.entry_id, 'lead_id', a.lead_id, 'call_id', a.call_id, 'attempt_no', a.attempt_no,
  'mode', a.mode, 'agent_user_id', a.agent_user_id, 'dialed_at', a.dialed_at, 'answer_p', a.answer_p,
  'result', a.result, 'reason', a.reason, 'answered_at', a.answered_at, 'connected_at', a.connected_at,
  'ended_at', a.ended_at, 'ring_s', a.ring_s, 'connect_delay_s', a.connect_delay_s,
  'is_abandoned', a.is_abandoned)::text"""
ATTEMPTS = {
    "result": Filter("a.result", "text"), "lead": Filter("a.lead_id", "uuid"), "reason": Filter("a.reason", "text"),
    "is_abandoned": Filter("a.is_abandoned", "boolean", paging.Operator.holds),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for a list of one campaign, the latest first; `filters` by the names of `ENTRIES` or `ATTEMPTS`."""

    filters: Mapping[str, Any]
    limit: int = 50
    cursor: str | None = None


async def entries(tx: Tx, campaign_id: UUID, wanted: Wanted) -> Page:
    """Return a page of a campaign's leads.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    return await _page(tx, campaign_id, wanted, ENTRIES, f"select e.id, {ENTRY} as item from crm.dial_entry e", "e")


async def attempts(tx: Tx, campaign_id: UUID, wanted: Wanted) -> Page:
    """Return a page of a campaign's attempts, the blocked ones among them.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    return await _page(
        tx, campaign_id, wanted, ATTEMPTS, f"select a.id, {ATTEMPT} as item from crm.dial_attempt a", "a"
    )  # fmt: skip


async def _page(
    tx: Tx, campaign_id: UUID, wanted: Wanted, filters: Mapping[str, Filter], select: str, alias: str
) -> Page:  # fmt: skip
    await campaigns.get(tx, campaign_id)
    order = paging.order("-id", {"id": "uuid"}, alias=alias)
    cursor = paging.Cursor.of(f"dial-{alias}", tx.actor, filter={"campaign": campaign_id, **wanted.filters})
    args = Args()
    where = [f"{alias}.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"]
    where.append(f"{alias}.campaign_id = {args.add(campaign_id, 'uuid')}")
    where += paging.conditions(filters, wanted.filters, args)
    if wanted.cursor:
        where.append(order.after(args, cursor.read(wanted.cursor, order.kind)))
    size = max(1, min(wanted.limit, paging.LARGEST))
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    found = await tx.fetch(f"{select} where {' and '.join(where)} order by {order.sql} limit {size + 1}", *args)
    last = found[size - 1]["id"] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and cursor.sign(None, last))


async def budget(tx: Tx, campaign_id: UUID, *, now: datetime) -> tuple[designs.Design, Verdict]:
    """Return how a campaign stands with its cap now, as its dialer sees it: its design, and what the guard says.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    """
    seen = await looking.look(tx, campaign_id, now=now)
    return seen.design, guard.judge(seen.counts, seen.design.cap)
