"""Automatic moves (SLA-2): a lead with a wrong number, or who blocked us, goes from its owner to the administrators.

Each change of status moves a lead at most once, whoever asks and however often: the move is a row of its own under the
lead and the instant of the change. There an administrator gives it to somebody, or a rule that names the queue does.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from crm import events, tenant_settings
from crm.db import Tx
from crm.leads import operations as leads
from crm.leads.operations import Assignment
from crm.operation import operation
from crm.routing import settings

BATCH = 200
"""Leads moved in one transaction."""

DUE = f"""
select l.id, l.status, l.owner_id, l.status_changed_at
  from crm.lead l
 where l.tenant_id = $1::uuid and l.status in (select unnest($2::text[])) and l.owner_id is not null
   and ($3::uuid[] is null or l.id in (select unnest($3::uuid[])))
   and ($4::timestamptz is null or l.updated_at >= $4::timestamptz)
   and (l.assigned_at is null or l.assigned_at <= l.status_changed_at)
   and not exists (select from crm.routing_move m where m.tenant_id = $1::uuid and m.lead_id = l.id
                    and m.status_changed_at = l.status_changed_at)
 order by l.id limit {BATCH} for update of l
"""

MOVED = """
insert into crm.routing_move (tenant_id, lead_id, status_changed_at, status, from_user_id, to_team_id, moved_at)
values ($1::uuid, $2::uuid, $3::timestamptz, $4::text, $5::uuid, $6::uuid, $7::timestamptz)
"""
QUEUED = """
insert into crm.routing_hold (tenant_id, lead_id, since, queue) values ($1::uuid, $2::uuid, $3::timestamptz, $4::text)
on conflict (tenant_id, lead_id) do update
   set since = excluded.since, queue = excluded.queue, demand = null, next_at = null, said = null
"""


@operation("routing.route")
async def take_back(
    tx: Tx, among: Collection[UUID] | None = None, *, since: datetime | None = None, now: datetime
) -> list[UUID]:
    """Move leads whose status takes them from their owner to the administrators' queue; return which.

    `among`: look at these leads only; `since`: only at those touched since then (UTC).
    """
    statuses = [status.value for status in await tenant_settings.value(tx, settings.QUEUED, at=now)]
    team_id = await _queue_team(tx, now)
    rows = await tx.fetch(
        DUE, tx.actor.tenant_id, statuses, None if among is None else list(among), since
    ) if team_id and statuses else []  # fmt: skip
    if not rows or team_id is None:
        tx.unchanged()
        return []
    tenant = tx.actor.tenant_id
    await tx.executemany(
        MOVED,
        [(tenant, r["id"], r["status_changed_at"], r["status"], r["owner_id"], team_id, now) for r in rows],
    )
    await tx.executemany(QUEUED, [(tenant, row["id"], now, row["status"]) for row in rows])
    assignments = [Assignment(row["id"], None, f"auto.{row['status']}", team_id) for row in rows]
    await leads.assign_many(tx, assignments, now=now)
    await events.record_many(
        tx,
        [
            ("lead", row["id"], "lead.queued",
             {"reason": f"auto.{row['status']}", "from_user_id": row["owner_id"], "team_id": team_id})
            for row in rows
        ],
        at=now,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def _queue_team(tx: Tx, now: datetime) -> UUID | None:
    """Return the team of the administrators' queue: the one that is set, else the default team."""
    wanted = await tenant_settings.value(tx, settings.QUEUE_TEAM, at=now)
    found: UUID | None = await tx.fetchval(
        "select id from crm.team where tenant_id = $1::uuid and (id = $2::uuid or is_default)"
        " order by (id = $2::uuid) is true desc, id limit 1",
        tx.actor.tenant_id, wanted,
    )  # fmt: skip
    return found
