"""Check-ins after a procedure: scheduled by the plan for the day it takes place, done, skipped, or put off."""

from collections.abc import Collection
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, tenant_settings, timeline
from crm.calendars import queries as calendars
from crm.db import Tx
from crm.followups import plan
from crm.followups.plan import Wanted
from crm.leads import rows
from crm.operation import operation


class CheckInStatus(StrEnum):
    """How a check-in stands."""

    pending = "pending"
    done = "done"
    skipped = "skipped"
    rescheduled = "rescheduled"
    cancelled = "cancelled"


class CheckInNotFound(errors.NotFound):
    """There is no such check-in, or its lead is not yours to see."""

    code = "check_in.not_found"


class CheckInClosed(errors.Conflict):
    """This check-in was done, skipped, rescheduled or cancelled already."""

    code = "check_in.closed"


SCHEDULE = """
insert into crm.check_in (tenant_id, id, lead_id, procedure_id, cycle_no, day, due_at, replaces, created_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::int, $6::int, $7::timestamptz, $8::uuid, $9::timestamptz)
"""

KEPT = """
update crm.procedure set check_ins_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid
"""
"""Since when the check-ins of a procedure are those of the plan; the sweep looks for those that never were."""

CLOSE = """
update crm.check_in set status = $3::text, reason = $4::text, closed_by = $5::uuid, closed_at = $6::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""


async def keep(
    tx: Tx,
    row: asyncpg.Record,
    procedure_id: UUID,
    procedure_type: str | None,
    takes_place_on: date | None,
    *,
    now: datetime,
) -> bool:
    """Make the pending check-ins of a locked lead that is won those the plan asks for; return whether any changed.

    Within an operation. What was done or skipped is not asked for again.
    """
    await tx.execute(KEPT, tx.actor.tenant_id, procedure_id, now)
    there = await tx.fetch(
        "select id, day, status, due_at from crm.check_in where tenant_id = $1::uuid and procedure_id = $2::uuid"
        " and status in ('pending', 'done', 'skipped') order by id for update",
        tx.actor.tenant_id, procedure_id,
    )  # fmt: skip
    closed = {each["day"] for each in there if each["status"] != CheckInStatus.pending}
    pending = {each["day"]: each for each in there if each["status"] == CheckInStatus.pending}
    asked = await _asked_for(tx, row, procedure_type, takes_place_on, now=now)
    fresh = {each.day: each for each in asked if each.day not in closed}
    moved = {
        day: each["id"] for day, each in pending.items() if day in fresh and fresh[day].due_at != each["due_at"]
    }  # fmt: skip
    gone = [each["id"] for day, each in pending.items() if day not in fresh]
    await _close_many(tx, row, gone, CheckInStatus.cancelled, "procedure_moved", now=now)
    await _close_many(tx, row, list(moved.values()), CheckInStatus.rescheduled, "procedure_moved", now=now)
    new = [each for day, each in fresh.items() if day not in pending or day in moved]
    await _schedule(tx, row, procedure_id, new, moved, now=now)
    return bool(gone or new)


async def _asked_for(
    tx: Tx, row: asyncpg.Record, procedure_type: str | None, takes_place_on: date | None, *, now: datetime
) -> list[Wanted]:
    if takes_place_on is None:
        return []
    setting = await tenant_settings.value(tx, plan.PLAN, at=now)
    calendar = await calendars.of_team(tx, row["team_id"], now)
    return plan.wanted(setting, setting.days_of(procedure_type), takes_place_on, calendar, now)


async def _schedule(
    tx: Tx,
    row: asyncpg.Record,
    procedure_id: UUID,
    wanted: Collection[Wanted],
    replaced: dict[int, UUID],
    *,
    now: datetime,
) -> None:
    """Schedule check-ins: an event each, and one entry of the timeline for all."""
    if not wanted:
        return
    made = [
        {
            "check_in_id": ids.new(), "procedure_id": procedure_id, "day": each.day, "due_at": each.due_at,
            "replaces": replaced.get(each.day), "cycle_no": row["cycle_no"],
        }
        for each in wanted
    ]  # fmt: skip
    await tx.executemany(
        SCHEDULE,
        [
            (tx.actor.tenant_id, each["check_in_id"], row["id"], procedure_id, row["cycle_no"], each["day"],
             each["due_at"], each["replaces"], now)
            for each in made
        ],
    )  # fmt: skip
    shown = {"check_ins": [{name: each[name] for name in ("check_in_id", "day", "due_at")} for each in made]}
    await timeline.record(tx, row["contact_id"], "check_in.scheduled", at=now, lead_id=row["id"], detail=shown)
    await events.record_many(tx, [("lead", row["id"], "check_in.scheduled", each) for each in made], at=now)


async def _close_many(
    tx: Tx, row: asyncpg.Record, which: Collection[UUID], status: CheckInStatus, reason: str, *, now: datetime
) -> None:
    """Close check-ins that will not take place at their instant."""
    if not which:
        return
    actor = tx.actor
    await tx.executemany(CLOSE, [(actor.tenant_id, each, status.value, reason, actor.user_id, now) for each in which])
    told = [{"check_in_id": each, "reason": reason, "cycle_no": row["cycle_no"]} for each in which]
    await timeline.record(
        tx, row["contact_id"], f"check_in.{status}", at=now, lead_id=row["id"],
        detail={"check_ins": [{"check_in_id": each} for each in which], "reason": reason},
    )  # fmt: skip
    # Whoever keeps clocks on check-ins hears that this one ended; the one in its place is scheduled under its own id.
    await events.record_many(tx, [("lead", row["id"], "check_in.cancelled", each) for each in told], at=now)


async def cancel_pending(tx: Tx, row: asyncpg.Record, *, now: datetime) -> int:
    """Cancel what is pending of a locked lead's cycle, whose sale is no more; return how many. Within an operation."""
    found = await tx.fetch(
        "select id from crm.check_in where tenant_id = $1::uuid and lead_id = $2::uuid and cycle_no = $3::int"
        " and status = 'pending' order by id for update",
        tx.actor.tenant_id, row["id"], row["cycle_no"],
    )  # fmt: skip
    await _close_many(tx, row, [each["id"] for each in found], CheckInStatus.cancelled, "sale_cancelled", now=now)
    return len(found)


async def _lock(tx: Tx, check_in_id: UUID) -> tuple[asyncpg.Record, asyncpg.Record]:
    """Return a check-in that is pending and its lead, both locked, the lead first as everywhere.

    :raises CheckInNotFound: when there is none, or its lead is not the actor's to see.
    """
    lead_id = await tx.fetchval(
        "select lead_id from crm.check_in where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, check_in_id
    )
    try:
        row = await rows.lock(tx, lead_id)
    except rows.LeadNotFound as error:
        raise CheckInNotFound from error
    found = await tx.fetchrow(
        "select * from crm.check_in where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, check_in_id,
    )  # fmt: skip
    assert found is not None, "check-ins are never deleted"
    return row, found


@operation("followup.edit")
async def close(
    tx: Tx,
    check_in_id: UUID,
    how: CheckInStatus,
    *,
    reason: str | None = None,
    note: str | None = None,
    now: datetime,
) -> None:
    """Say that a check-in was `done` or is `skipped` (which needs a reason, a code). Again the same changes nothing.

    :raises CheckInNotFound: when there is none for the actor.
    :raises CheckInClosed: when it ended otherwise before.
    :raises errors.Invalid: when it is skipped without a reason.
    """
    assert how in (CheckInStatus.done, CheckInStatus.skipped), "the others have verbs of their own"
    if how is CheckInStatus.skipped and reason is None:
        raise errors.Invalid("what is skipped is skipped for a reason", fields={"reason": "required"})
    if reason is not None:
        rows.require_code("reason", reason)
    row, found = await _lock(tx, check_in_id)
    if found["status"] == how.value:
        tx.unchanged()
        return
    if found["status"] != CheckInStatus.pending:
        raise CheckInClosed
    await tx.execute(CLOSE, tx.actor.tenant_id, check_in_id, how.value, reason, tx.actor.user_id, now)
    told: dict[str, Any] = {
        "check_in_id": check_in_id, "procedure_id": found["procedure_id"], "day": found["day"],
        "due_at": found["due_at"], "reason": reason, "cycle_no": found["cycle_no"],
    }  # fmt: skip
    await timeline.record(
        tx, row["contact_id"], f"check_in.{how}", at=now, lead_id=row["id"], detail=told, note=note
    )  # fmt: skip
    await events.record(tx, "lead", row["id"], f"check_in.{how}", told, at=now)
    await audit.of_person(tx, f"check_in.{how}", "lead", row["id"], {"check_in_id": check_in_id}, at=now)


@operation("followup.edit")
async def reschedule(tx: Tx, check_in_id: UUID, due_at: datetime, *, reason: str = "agreed", now: datetime) -> UUID:
    """Agree on another instant (UTC) for a check-in; return the id of the one that takes its place.

    :raises CheckInNotFound: when there is none for the actor.
    :raises CheckInClosed: when it is no longer pending.
    :raises errors.Invalid: when the instant has passed.
    """
    rows.require_code("reason", reason)
    if due_at <= now:
        raise errors.Invalid("another time is a coming one", fields={"due_at": "lies in the future"})
    row, found = await _lock(tx, check_in_id)
    if found["status"] != CheckInStatus.pending:
        raise CheckInClosed
    if found["due_at"] == due_at:
        tx.unchanged()
        return check_in_id
    row = {**row, "cycle_no": found["cycle_no"]}
    await _close_many(tx, row, [check_in_id], CheckInStatus.rescheduled, reason, now=now)
    await _schedule(
        tx, row, found["procedure_id"], [Wanted(found["day"], due_at)], {found["day"]: check_in_id}, now=now
    )  # fmt: skip
    await audit.of_person(tx, "check_in.reschedule", "lead", row["id"], {"check_in_id": check_in_id}, at=now)
    new: UUID = await tx.fetchval(
        "select id from crm.check_in where tenant_id = $1::uuid and replaces = $2::uuid and procedure_id = $3::uuid",
        tx.actor.tenant_id, check_in_id, found["procedure_id"],
    )  # fmt: skip
    return new
