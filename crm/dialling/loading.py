"""Putting leads into a campaign: listed ones, or all that match a filter as the person sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, errors, events, filtering, ids
from crm.db import Tx
from crm.dialling import campaigns
from crm.filtering import Clause
from crm.leads import lists
from crm.leads.filters import FIELDS
from crm.leads.rules import TERMINAL, Status
from crm.operation import operation
from crm.sql import Args

MOST = 100_000
"""Leads taken in at once."""
CLOSED = frozenset({*TERMINAL, Status.blocked, Status.wrong_number})
"""Statuses of leads that are not dialled."""


class TooManyLeads(errors.Invalid):
    """At most 100,000 leads are taken in at once; narrow the filters."""

    code = "dial_entry.too_many"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the leads asked for: new in the campaign, known before (excluded ones are asked anew), and left
    out because they are closed or for trying things out."""

    added: int
    known: int
    left_out: int


INSERT = """
with made as (
  insert into crm.dial_entry (tenant_id, id, campaign_id, lead_id, contact_id, priority, next_at, created_at,
                              updated_at)
  select $1::uuid, e.id, $2::uuid, e.lead_id, e.contact_id, $6::int, $7::timestamptz, $7::timestamptz,
         $7::timestamptz
    from unnest($3::uuid[], $4::uuid[], $5::uuid[]) as e(id, lead_id, contact_id)
   order by e.lead_id
      on conflict (tenant_id, campaign_id, lead_id) do update
     set state = 'listed', reason = null, next_at = excluded.next_at, updated_at = excluded.updated_at
   where dial_entry.state = 'excluded'
  returning xmax = 0 as is_new
)
select count(*) filter (where is_new) from made
"""


@operation("dialling.manage")
async def load(
    tx: Tx, campaign_id: UUID, *, lead_ids: Sequence[UUID] | None = None, clauses: Sequence[Clause] = (),
    priority: int = 0, now: datetime,
) -> Loaded:  # fmt: skip
    """Put the leads listed, else those that match the filters now, into a campaign; each stands in it once.

    Whether they may be called is asked when their turn comes. `priority`: the higher, the sooner.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    :raises TooManyLeads: when there are more than `MOST`.
    :raises crm.filtering.FilterNotAllowed: when the actor may not see what a filter looks at.
    """
    await campaigns.get(tx, campaign_id, lock=True)
    rows = await _wanted(tx, lead_ids, clauses, now=now)
    if len(rows) > MOST:
        raise TooManyLeads
    fit = [row for row in rows if row["is_fit"]]
    columns = [ids.new() for _ in fit], [row["id"] for row in fit], [row["contact_id"] for row in fit]
    added = await tx.fetchval(INSERT, tx.actor.tenant_id, campaign_id, *columns, priority, now) if fit else 0
    told = {"added": added, "known": len(fit) - added, "left_out": len(rows) - len(fit)}
    await events.record(tx, "dial_campaign", campaign_id, "dial_campaign.loaded", told, at=now)
    await audit.of_person(tx, "dial_campaign.loaded", "dial_campaign", campaign_id, told, at=now)
    return Loaded(**told)


async def _wanted(
    tx: Tx, lead_ids: Sequence[UUID] | None, clauses: Sequence[Clause], *, now: datetime
) -> list[asyncpg.Record]:
    """Return the leads that were asked for and that the actor sees, each with its person, and whether it is dialled."""
    filtering.require_allowed(clauses, FIELDS, tx.actor)
    scene, args = await lists.scene_of(tx, clauses, now=now), Args()
    tenant, closed = args.add(tx.actor.tenant_id, "uuid"), args.add(sorted(CLOSED), "text[]")
    where = [f"l.tenant_id = {tenant}", lists.matching(clauses, scene, args)]
    if lead_ids is not None:
        where.append(f"l.id = any({args.add(sorted(set(lead_ids)), 'uuid[]')})")
    sql = f"select l.id, l.contact_id, not l.is_test and l.status <> all({closed}) as is_fit from crm.lead l"
    await tx.execute("set local plan_cache_mode = force_custom_plan")
    rows = await tx.fetch(f"{sql} where {' and '.join(where)} limit {MOST + 1}", *args)
    await tx.execute("set local plan_cache_mode = force_generic_plan")
    return rows
