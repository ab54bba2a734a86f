"""Changing the status of many leads at once, by the rules of the single operation and a few statements a batch."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, errors, events, timeline, visibility
from crm.db import Tx
from crm.leads import lifecycle, rows, rules, statuses
from crm.leads.lifecycle import BadTransition, Machine, Needed
from crm.leads.rules import TERMINAL, Status
from crm.operation import operation
from crm.sql import Args

DONE, UNCHANGED, NOT_VISIBLE = "done", "unchanged", "not_visible"
"""What became of a lead; anything else is the code of the refusal."""

MOVE_MANY = """
update crm.lead l
   set status = $3::text, loss_reason = $4::text, status_changed_at = $5::timestamptz, updated_at = $5::timestamptz
  from unnest($2::uuid[]) as moved(id)
 where l.tenant_id = $1::uuid and l.id = moved.id
"""

WITH_OPEN_QUOTES = """
select q.lead_id from unnest($2::uuid[]) as asked(id)
  join crm.quote q on q.tenant_id = $1::uuid and q.lead_id = asked.id and q.status = 'open'
"""


async def lock_many(tx: Tx, lead_ids: Iterable[UUID]) -> list[asyncpg.Record]:
    """Return the visible leads among those wanted, locked in the order of their ids."""
    args = Args()
    wanted = f"unnest({args.add(sorted(set(lead_ids)), 'uuid[]')}) as wanted(id)"
    joined = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = wanted.id"
    seen = visibility.condition(tx.actor, args)
    return await tx.fetch(
        f"select {rows.COLUMNS} from {wanted} join crm.lead l on {joined} where {seen} order by l.id for update of l",
        *args,
    )


@operation("lead.status")
async def change_status_many(
    tx: Tx, lead_ids: Sequence[UUID], to: Status, *, reason: str | None = None, now: datetime
) -> dict[UUID, str]:
    """Move leads to a status and return what became of each: `done`, `unchanged`, `not_visible` or a refusal's code.

    Each lead obeys `statuses.change_status`; leads whose move ends or undoes something else are moved one by one.

    :raises crm.codes.NotACode: when the reason is free text.
    """
    if reason is not None:
        rows.require_code("reason", reason)
    found = await lock_many(tx, lead_ids)
    machine = await lifecycle.of(tx, at=now)
    verdicts = dict.fromkeys(lead_ids, NOT_VISIBLE)
    for row in found:
        verdicts[row["id"]] = await _verdict(tx, machine, row, to, reason, now=now)
    moving = [row for row in found if verdicts[row["id"]] == DONE]
    if not moving:
        tx.unchanged()
        return verdicts
    alone = await _with_consequences(tx, moving, to)
    await _move_many(tx, [row for row in moving if row["id"] not in alone], to, reason, now=now)
    for row in moving:
        if row["id"] in alone:
            await statuses.move(tx, row, to, reason=reason, now=now)
    return verdicts


async def _verdict(
    tx: Tx, machine: Machine, row: asyncpg.Record, to: Status, reason: str | None, *, now: datetime
) -> str:
    current = Status(row["status"])
    if current is to:
        return UNCHANGED
    try:
        if to is lifecycle.BY_ASSIGNMENT:
            raise BadTransition
        lifecycle.require_transition(machine, current, to)
        await statuses.require_fields(tx, machine, row, to, {Needed.reason: reason}, now=now)
        lifecycle.require_known_reason(machine, to, reason)
    except errors.CrmError as refusal:
        return refusal.code
    return DONE


async def _with_consequences(tx: Tx, moving: Sequence[asyncpg.Record], to: Status) -> set[UUID]:
    """Return the leads whose move begins a cycle, undoes a sale or withdraws a quote."""
    alone = {
        row["id"]
        for row in moving
        if row["status"] == Status.won or rules.next_cycle(Status(row["status"]), to, 0) != 0
    }
    if to in TERMINAL:
        quoted = await tx.fetch(WITH_OPEN_QUOTES, tx.actor.tenant_id, [row["id"] for row in moving])
        alone |= {row["lead_id"] for row in quoted}
    return alone


async def _move_many(
    tx: Tx, moving: Sequence[asyncpg.Record], to: Status, reason: str | None, *, now: datetime
) -> None:
    """Do what `statuses.move` does for leads whose move changes nothing else."""
    lost = reason if to is Status.lost else None
    await tx.execute(MOVE_MANY, tx.actor.tenant_id, [row["id"] for row in moving], to.value, lost, now)
    what = "lead.status_changed"
    told = [
        (row, {"from": row["status"], "to": to.value, "reason": reason, "cycle_no": row["cycle_no"]}) for row in moving
    ]
    await timeline.record_many(tx, [(row["id"], row["contact_id"], what, detail) for row, detail in told], at=now)
    await events.record_many(tx, [("lead", row["id"], what, detail) for row, detail in told], at=now)
    await audit.of_person_many(tx, "lead.status", "lead", [(row["id"], detail) for row, detail in told], at=now)
