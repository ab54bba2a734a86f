"""Moving a lead through its statuses and opening its next cycle.

What belongs to a cycle: its number, the reason of its loss, its first attempt, its quotes, its sale and its procedure.
What stays with the lead: the person, where it came from, tags, answers, timeline, and its owner while they are active.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, events, timeline
from crm.db import Tx
from crm.leads import assigning, closing, lifecycle, rows, rules
from crm.leads.lifecycle import BadTransition, Machine, Needed
from crm.leads.rules import TERMINAL, Status
from crm.operation import operation

REOPENED = "reopened"
"""Why a lead left its hands: the next cycle began and its owner is gone, or it was to be given out again."""

MOVE = """
update crm.lead
   set status = $3::text, cycle_no = $4::int, loss_reason = $5::text, status_changed_at = $6::timestamptz,
       first_attempt_at = case when cycle_no = $4::int then first_attempt_at end, updated_at = $6::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""

IN_CYCLE = """
select q.quote, q.procedure_type or exists (
         select from crm.procedure p where p.tenant_id = $1::uuid and p.lead_id = $2::uuid
            and p.cycle_no = $3::int and p.type is not null) as procedure_type
  from (select count(*) > 0 as quote, count(procedure_type) > 0 as procedure_type from crm.quote
         where tenant_id = $1::uuid and lead_id = $2::uuid and cycle_no = $3::int
           and (status = 'accepted'
                or status = 'open' and (valid_until is null or valid_until > $4::timestamptz))) q
"""
"""What a lead's cycle has of that which a status may ask for."""


async def require_fields(
    tx: Tx, machine: Machine, row: asyncpg.Record, to: Status, given: Mapping[Needed, Any], *, now: datetime
) -> None:
    """:raises lifecycle.FieldsMissing: when the status asks for something neither given now nor known of the cycle."""
    known: dict[Needed, Any] = dict(given)
    if any(name in machine.required[to] and not known.get(name) for name in (Needed.quote, Needed.procedure_type)):
        found = await tx.fetchrow(IN_CYCLE, tx.actor.tenant_id, row["id"], row["cycle_no"], now)
        assert found is not None, "an aggregate has a row"
        known |= {Needed(name): known.get(Needed(name)) or value for name, value in found.items()}
    lifecycle.require_fields(machine, to, known)


async def move(
    tx: Tx, row: asyncpg.Record, to: Status, *, reason: str | None = None, note: str | None = None, now: datetime
) -> int:
    """Take a locked lead to another status with all its traces and all that ends with it; return its cycle then.

    Within an operation: the machine has been asked.
    """
    current = Status(row["status"])
    cycle_no = rules.next_cycle(current, to, row["cycle_no"])
    lost = reason if to is Status.lost else None
    await tx.execute(MOVE, tx.actor.tenant_id, row["id"], to.value, cycle_no, lost, now)
    detail = {"from": current.value, "to": to.value, "reason": reason, "cycle_no": cycle_no}
    await timeline.record(
        tx, row["contact_id"], "lead.status_changed", at=now, lead_id=row["id"], detail=detail, note=note
    )
    await events.record(tx, "lead", row["id"], "lead.status_changed", detail, at=now)
    await audit.of_person(tx, "lead.status", "lead", row["id"], detail, at=now)
    if to in TERMINAL:
        await closing.withdraw_quotes(tx, row, now=now)
    if current is Status.won and to is Status.lost:
        await closing.undo_sale(tx, row, reason=reason, now=now)
    if cycle_no != row["cycle_no"]:
        await _begin_cycle(tx, row, detail, now=now)
    return cycle_no


async def _begin_cycle(tx: Tx, row: asyncpg.Record, detail: Mapping[str, Any], *, now: datetime) -> None:
    """Say that a cycle began; an owner who left meanwhile does not have it, so that distribution gives it out."""
    owner = row["owner_id"] and await tx.fetchval(
        "select id from crm.user_account where tenant_id = $1::uuid and id = $2::uuid and is_active",
        tx.actor.tenant_id, row["owner_id"],
    )  # fmt: skip
    if row["owner_id"] and owner is None:
        await assigning.release(tx, row, reason=REOPENED, now=now)
    told = {**detail, "owner_id": owner, "team_id": row["team_id"]}
    await events.record(tx, "lead", row["id"], "lead.reopened", told, at=now)


@operation("lead.status")
async def change_status(
    tx: Tx,
    lead_id: UUID,
    to: Status,
    *,
    reason: str | None = None,
    note: str | None = None,
    is_told: bool = False,
    now: datetime,
) -> None:
    """Move a lead to another status of the tenant's machine. `reason` is a code; free text goes into `note`.

    The status it has already changes nothing. `assigned` is reached by `assign` alone. `is_told`: a source tells of
    its own past, so it is asked neither for required fields nor for a reason of the catalogue; the ways stay ours.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises BadTransition: when it cannot become that from where it stands.
    :raises FieldsMissing: when the status asks for more than was given.
    :raises UnknownReason: when it would be lost for a reason that is not in the catalogue.
    """
    if reason is not None:
        rows.require_code("reason", reason)
    row, machine = await rows.lock_with_machine(tx, lead_id, now=now)
    current = Status(row["status"])
    if current is to:
        tx.unchanged()
        return
    if to is lifecycle.BY_ASSIGNMENT:
        raise BadTransition("a lead becomes assigned by giving it to somebody", fields={"status": "assign it"})
    lifecycle.require_transition(machine, current, to)
    if not is_told:
        await require_fields(tx, machine, row, to, {Needed.reason: reason, Needed.note: note}, now=now)
        lifecycle.require_known_reason(machine, to, reason)
    await move(tx, row, to, reason=reason, note=note, now=now)


@operation("lead.status")
async def reopen(
    tx: Tx, lead_id: UUID, *, reason: str, note: str | None = None, release: bool = False, now: datetime
) -> int:
    """Open the next cycle of a lead that was won or lost, and return its number.

    It stays with its owner while they are active; `release` (which needs `lead.reassign`) or an owner who has left
    puts it back to its team's distribution.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises BadTransition: when its cycle has not ended, or the tenant does not reopen from there.
    :raises FieldsMissing: when the tenant asks for more.
    """
    rows.require_code("reason", reason)
    if release:
        tx.actor.require("lead.reassign")
    row, machine = await rows.lock_with_machine(tx, lead_id, now=now)
    current, to = Status(row["status"]), Status.recycled
    if current not in TERMINAL:
        raise BadTransition(f"a lead that is {current} is open", fields={"status": "only won or lost is reopened"})
    lifecycle.require_transition(machine, current, to)
    await require_fields(tx, machine, row, to, {Needed.reason: reason, Needed.note: note}, now=now)
    if release and row["owner_id"]:
        await assigning.release(tx, row, reason=REOPENED, now=now)
        row = await rows.lock(tx, lead_id)
    return await move(tx, row, to, reason=reason, note=note, now=now)
