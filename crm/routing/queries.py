"""Looking at distribution: who takes part and how full they are, and why a lead went where it went."""

from typing import Any
from uuid import UUID

from crm import visibility
from crm.db import Tx
from crm.routing.operations import OPEN
from crm.sql import Args


async def members(tx: Tx, *, team_id: UUID | None = None) -> list[dict[str, Any]]:
    """Return those who take leads, of one team or of all, with what they have in hand now."""
    rows = await tx.fetch(
        f"""select m.team_id, m.user_id, u.name, m.weight, m.capacity, m.accepting, u.is_active, m.updated_at,
                  (select count(*)::int from crm.lead
                    where tenant_id = m.tenant_id and owner_id = m.user_id and {OPEN}) as open_leads
             from crm.routing_member m
             join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.user_id
            where m.tenant_id = $1::uuid and ($2::uuid is null or m.team_id = $2::uuid)
            order by m.team_id, u.name, m.user_id""",
        tx.actor.tenant_id,
        team_id,
    )
    return [dict(row) for row in rows]


async def decisions(tx: Tx, lead_id: UUID) -> list[dict[str, Any]]:
    """Return what was decided about a lead the actor sees, newest first; nothing about one they do not."""
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    rows = await tx.fetch(
        "select d.id, d.lead_id, d.team_id, d.user_id, d.strategy, d.reasons, d.decided_at"
        "  from crm.lead l join crm.routing_decision d on d.tenant_id = l.tenant_id and d.lead_id = l.id"
        f" where {which} and {visibility.condition(tx.actor, args)} order by d.decided_at desc, d.id desc",
        *args,
    )
    return [dict(row) for row in rows]
