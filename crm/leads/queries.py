"""Looking at one lead: itself and its history. What the actor may not see is not there."""

from uuid import UUID

import asyncpg

from crm import visibility
from crm.db import Tx
from crm.leads import columns
from crm.leads.rows import LeadNotFound
from crm.leads.rules import LABELS, Status
from crm.sql import Args


async def read(tx: Tx, lead_id: UUID, *, language: str) -> str:
    """Return one lead, all its columns, as JSON text.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    item: str | None = await tx.fetchval(
        f"select {columns.item(tuple(columns.COLUMNS), language)} from crm.lead l {columns.JOINS}"
        f" where {which} and {visibility.condition(tx.actor, args)}",
        *args,
    )
    if item is None:
        raise LeadNotFound
    return item


async def require_visible(tx: Tx, lead_id: UUID) -> None:
    """:raises LeadNotFound: when there is no such lead for the actor."""
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    if not await tx.fetchval(
        f"select true from crm.lead l where {which} and {visibility.condition(tx.actor, args)}", *args
    ):
        raise LeadNotFound


STATUS_HISTORY = """
select coalesce(a.detail ->> 'to', a.detail ->> 'status') as status, a.detail ->> 'from' as previous,
       a.detail ->> 'reason' as reason, coalesce((a.detail ->> 'cycle_no')::int, 1) as cycle_no, a.note,
       a.actor_user_id, u.name as actor_name, a.occurred_at as started_at,
       lead(a.occurred_at) over (order by a.occurred_at, a.id) as ended_at
  from crm.activity a
  left join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.actor_user_id
 where a.tenant_id = $1::uuid and a.lead_id = $2::uuid and a.kind in ('lead.created', 'lead.status_changed')
 order by a.occurred_at, a.id
"""


async def status_history(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return every status a lead has had, the first first: who set it, when, why, and until when it lasted.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    await require_visible(tx, lead_id)
    return await tx.fetch(STATUS_HISTORY, tx.actor.tenant_id, lead_id)


ASSIGNMENTS = """
select a.id, a.user_id, u.name as user_name, a.team_id, t.name as team_name, a.reason, a.decision_id,
       d.strategy, d.reasons as decision_reasons, a.assigned_by, b.name as assigned_by_name, a.started_at, a.ended_at
  from crm.lead_assignment a
  left join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.user_id
  left join crm.team t on t.tenant_id = a.tenant_id and t.id = a.team_id
  left join crm.user_account b on b.tenant_id = a.tenant_id and b.id = a.assigned_by
  left join crm.routing_decision d on d.tenant_id = a.tenant_id and d.id = a.decision_id
 where a.tenant_id = $1::uuid and a.lead_id = $2::uuid
 order by a.started_at, a.id
"""


async def assignments(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return every pair of hands a lead has been in, the first first: whose, since when, given by whom, why.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    await require_visible(tx, lead_id)
    return await tx.fetch(ASSIGNMENTS, tx.actor.tenant_id, lead_id)


def labels(language: str) -> dict[Status, str]:
    """Return the statuses with what people call them."""
    return {status: label[language] for status, label in LABELS.items()}
