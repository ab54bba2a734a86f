"""Looking at distribution: who takes part and how full they are, and why a lead went where it went."""

from typing import Any
from uuid import UUID

from crm import visibility
from crm.db import Tx
from crm.leads.queries import require_visible
from crm.routing import explain, facts
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


WHY = """
select d.id, d.lead_id, d.team_id, d.user_id, d.strategy, d.reasons, d.decided_at, d.run_no, d.rule, d.rule_set_id,
       s.version as rule_set_version, d.standing, o.body as roster
  from crm.routing_decision d
  left join crm.routing_rule_set s on s.tenant_id = d.tenant_id and s.id = d.rule_set_id
  left join crm.routing_run r on r.tenant_id = d.tenant_id and r.no = d.run_no
  left join crm.routing_roster o on o.tenant_id = r.tenant_id and o.digest = r.roster
 where d.tenant_id = $1::uuid and d.lead_id = $2::uuid
 order by d.decided_at desc, d.id desc limit 50
"""

STANDS = f"""
select l.owner_id, l.status, l.is_test, a.decision_id, h.since, h.next_at, h.lead_id is not null as waits,
       case when h.queue = l.status and not {facts.HANDED} then h.queue end as queue,
       ({facts.ASKS_FOR_SOMEBODY}) as asks
  from crm.lead l
  left join crm.routing_hold h on h.tenant_id = l.tenant_id and h.lead_id = l.id
  left join crm.lead_assignment a on a.tenant_id = l.tenant_id and a.lead_id = l.id and a.ended_at is null
 where l.tenant_id = $1::uuid and l.id = $2::uuid
"""

MOVES = """
select status, from_user_id, to_team_id, moved_at from crm.routing_move
 where tenant_id = $1::uuid and lead_id = $2::uuid order by moved_at desc
"""


async def why(tx: Tx, lead_id: UUID) -> dict[str, Any]:
    """Return why a lead went to whom it went, or to nobody: where it stands, decisions the latest first, its moves.

    Each decision comes in codes, in a sentence of Turkish and of English, and with everybody who was considered.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    await require_visible(tx, lead_id)
    decided = []
    for row in await tx.fetch(WHY, tx.actor.tenant_id, lead_id):
        told = dict(row)
        packed, roster = told.pop("standing"), told.pop("roster")
        told["considered"] = explain.unpack(packed, facts.unpack_seats(roster)) if packed and roster else []
        told["sentence"] = explain.sentences(row["rule"], row["reasons"])
        decided.append(told)
    stands = await tx.fetchrow(STANDS, tx.actor.tenant_id, lead_id)
    assert stands is not None, "it is visible, so it is there"
    answer = explain.answer(stands)
    waits = {name: stands[name] for name in ("since", "next_at", "queue")}
    moves = await tx.fetch(MOVES, tx.actor.tenant_id, lead_id)
    return {
        "answer": answer,
        "decisions": decided,
        "waits": waits if answer["code"] in ("waits", "in_queue") else None,
        "moves": [dict(move) for move in moves],
    }
