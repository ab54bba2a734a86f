"""Giving leads to people and teams, and taking them out of somebody's hands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, timeline, visibility
from crm.db import Tx
from crm.leads import rows
from crm.leads.rules import Status
from crm.operation import operation
from crm.sql import Args


class UnknownAssignee(errors.Invalid):
    """There is no such active person or team to give leads to."""

    code = "assignee.unknown"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One lead to be given to a person, a team or both; `reason` is a code (`manual`, `router.round_robin`)."""

    lead_id: UUID
    user_id: UUID | None
    reason: str
    team_id: UUID | None = None
    decision_id: UUID | None = None


LOCK_TO_ASSIGN = """
select l.id, l.contact_id, l.status, l.cycle_no, l.owner_id, l.team_id as earlier_team_id,
       i.user_id, coalesce(i.team_id, u.team_id) as team_id, i.reason, i.decision_id,
       (i.user_id is null or u.is_active is true) and (i.team_id is null or t.id is not null) as is_known
  from unnest({ids}, {users}, {teams}, {reasons}, {decisions}) as i(lead_id, user_id, team_id, reason, decision_id)
  join crm.lead l on l.tenant_id = {tenant} and l.id = i.lead_id
  left join crm.user_account u on u.tenant_id = l.tenant_id and u.id = i.user_id
  left join crm.team t on t.tenant_id = l.tenant_id and t.id = i.team_id
 where {visible}
 order by l.id
   for update of l
"""

CLOSE = """
update crm.lead_assignment set ended_at = greatest(started_at, $3::timestamptz)
 where tenant_id = $1::uuid and lead_id = any($2::uuid[]) and ended_at is null
"""

GIVE = """
with given as (
  select * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[])
    as g(lead_id, assignment_id, user_id, team_id, reason, decision_id)
), opened as (
  insert into crm.lead_assignment (tenant_id, id, lead_id, user_id, team_id, reason, decision_id, assigned_by,
                                   started_at)
  select $1::uuid, assignment_id, lead_id, user_id, team_id, reason, decision_id, $9::uuid, $8::timestamptz from given
)
update crm.lead l
   set owner_id = given.user_id, team_id = given.team_id, assigned_at = $8::timestamptz, updated_at = $8::timestamptz,
       status = case when l.status = 'new' then 'assigned' else l.status end,
       status_changed_at = case when l.status = 'new' then $8::timestamptz else l.status_changed_at end
  from given
 where l.tenant_id = $1::uuid and l.id = given.lead_id
"""


@operation("lead.reassign")
async def assign_many(
    tx: Tx, assignments: Iterable[Assignment], *, only_waiting: bool = False, now: datetime
) -> list[UUID]:
    """Give leads to people and teams in a few statements, however many; return the leads that changed hands.

    Leads that are not there, not visible, or in the wanted hands already are passed over; with `only_waiting` those
    somebody owns, too. A new lead becomes `assigned`. Without a team the person's own is taken.

    :raises UnknownAssignee: when a person or team does not exist or is no longer active.
    """
    found = [
        row
        for row in await _lock_to_assign(tx, {each.lead_id: each for each in assignments}.values())
        if (row["user_id"], row["team_id"]) != (row["owner_id"], row["earlier_team_id"])
        and not (only_waiting and row["owner_id"])
    ]
    if not found:
        tx.unchanged()
        return []
    if not all(row["is_known"] for row in found):
        raise UnknownAssignee(fields={"user_id": "not an active person here, or not a team"})
    fixed = [[row[name] for row in found] for name in ("user_id", "team_id", "reason", "decision_id")]
    given = [row["id"] for row in found]
    await tx.execute(CLOSE, tx.actor.tenant_id, given, now)
    await tx.execute(
        GIVE, tx.actor.tenant_id, given, [ids.new() for _ in found], *fixed, now, tx.actor.user_id
    )  # fmt: skip
    await _record_assignments(tx, found, now=now)
    return given


async def _lock_to_assign(tx: Tx, wanted: Iterable[Assignment]) -> Sequence[asyncpg.Record]:
    """Return the visible leads among those wanted, locked in the order of their ids, with whom they shall go to."""
    each, args = list(wanted), Args()
    for one in each:
        rows.require_code("reason", one.reason)
        if one.user_id is None and one.team_id is None:
            raise UnknownAssignee("name a person, a team or both", fields={"user_id": "a person or a team"})
    places = {
        "ids": args.add([one.lead_id for one in each], "uuid[]"),
        "users": args.add([one.user_id for one in each], "uuid[]"),
        "teams": args.add([one.team_id for one in each], "uuid[]"),
        "reasons": args.add([one.reason for one in each], "text[]"),
        "decisions": args.add([one.decision_id for one in each], "uuid[]"),
        "tenant": args.add(tx.actor.tenant_id, "uuid"),
        "visible": visibility.condition(tx.actor, args),
    }
    return await tx.fetch(LOCK_TO_ASSIGN.format(**places), *args)


async def _record_assignments(tx: Tx, given: Sequence[asyncpg.Record], *, now: datetime) -> None:
    """Write timeline, events and audit rows of leads that changed hands."""
    happened: list[tuple[UUID, UUID, str, dict[str, Any]]] = []
    for row in given:
        hands = {
            "user_id": row["user_id"], "team_id": row["team_id"], "reason": row["reason"],
            "decision_id": row["decision_id"], "previous_user_id": row["owner_id"],
            "previous_team_id": row["earlier_team_id"],
        }  # fmt: skip
        happened.append((row["id"], row["contact_id"], "lead.assigned", hands))
        if row["status"] == Status.new:
            moved = {"from": "new", "to": "assigned", "reason": row["reason"], "cycle_no": row["cycle_no"]}
            happened.append((row["id"], row["contact_id"], "lead.status_changed", moved))
    await timeline.record_many(tx, happened, at=now)
    await events.record_many(tx, [("lead", lead, kind, detail) for lead, _, kind, detail in happened], at=now)
    done = [(row["id"], {"user_id": row["user_id"], "team_id": row["team_id"]}) for row in given]
    await audit.of_person_many(tx, "lead.assign", "lead", done, at=now)


@operation("lead.reassign")
async def assign(
    tx: Tx,
    lead_id: UUID,
    user_id: UUID | None,
    *,
    team_id: UUID | None = None,
    reason: str,
    decision_id: UUID | None = None,
    now: datetime,
) -> None:
    """Give one lead to a person, a team or both; see `assign_many`. The hands it is in already change nothing.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises UnknownAssignee: when the person or team does not exist or is no longer active.
    """
    await rows.lock(tx, lead_id)
    if not await assign_many(tx, [Assignment(lead_id, user_id, reason, team_id, decision_id)], now=now):
        tx.unchanged()


async def release(tx: Tx, row: asyncpg.Record, *, reason: str, now: datetime) -> None:
    """Take a locked lead out of its owner's hands within the operation that does so; its team keeps it, if any."""
    tenant, lead = tx.actor.tenant_id, row["id"]
    await tx.execute(CLOSE, tenant, [lead], now)
    if row["team_id"]:
        await tx.execute(GIVE, tenant, [lead], [ids.new()], [None], [row["team_id"]], [reason], [None], now, None)
    await tx.execute(
        "update crm.lead set owner_id = null, assigned_at = null, updated_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tenant, lead, now,
    )  # fmt: skip
    hands = {
        "user_id": None, "team_id": row["team_id"], "reason": reason, "decision_id": None,
        "previous_user_id": row["owner_id"],
    }  # fmt: skip
    await timeline.record(tx, row["contact_id"], "lead.assigned", at=now, lead_id=lead, detail=hands)
    await events.record(tx, "lead", lead, "lead.assigned", hands, at=now)
