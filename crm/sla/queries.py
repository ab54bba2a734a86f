"""Looking at clocks and rules."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import visibility
from crm.calendars import queries as calendars
from crm.calendars.rules import ALWAYS
from crm.db import Tx
from crm.paging import Cursor
from crm.sla.clock import FAR
from crm.sql import Args

CLOCK = """c.id, c.kind, c.cycle_no, c.state, c.status, c.rule_code, c.rule_version, c.time_basis, c.target_s,
  c.team_id as promised_by, c.check_in_id, c.started_at, c.consumed_s, c.counted_until, c.due_at, c.breached_at,
  c.ended_at, c.end_reason, c.late_by_s, c.pauses"""


async def clocks_of(tx: Tx, lead_id: UUID, now: datetime) -> list[dict[str, Any]]:
    """Return a lead's clocks, the open ones first, then by their beginning; nothing for a lead one does not see.

    Each has `kind, state, due_at, remaining_s, is_paused, target_s, rule`. `remaining_s` counts in the clock's own
    time (business seconds of the team's calendar, or all) and is negative by how late it is; None when it has ended.
    """
    args = Args()
    rows = await tx.fetch(
        f"select {CLOCK} from crm.sla_clock c join crm.lead l on l.tenant_id = c.tenant_id and l.id = c.lead_id"
        f" where c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.lead_id = {args.add(lead_id, 'uuid')}"
        f" and {visibility.condition(tx.actor, args)} order by c.ended_at is not null, c.started_at, c.id",
        *args,
    )
    return [await _as_it_stands(tx, dict(row), now) for row in rows]


async def _as_it_stands(tx: Tx, row: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Add to a clock as it is kept what depends on the instant at which one looks."""
    if row["state"] == "running" and row["due_at"] <= now:
        row |= {"state": "breached", "breached_at": row["due_at"]}
    rule = row.pop("rule_code")
    remaining = None if row["ended_at"] else await _remaining(tx, row, now)
    if row["due_at"] == FAR:
        row["due_at"] = None
    return {**row, "rule": rule, "is_paused": row["state"] == "paused", "remaining_s": remaining}


async def _remaining(tx: Tx, row: dict[str, Any], now: datetime) -> float:
    left: float = row["target_s"] - row["consumed_s"]
    if row["due_at"] is None:
        return left
    calendar = ALWAYS if row["time_basis"] == "calendar" else await calendars.of_team(tx, row["promised_by"], now)
    if row["due_at"] == FAR:
        return left - calendar.open_seconds(row["counted_until"], now)
    return calendar.open_seconds(now, row["due_at"]) or -calendar.open_seconds(row["due_at"], now)


async def overdue(
    tx: Tx,
    *,
    kind: str | None = None,
    team_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
    now: datetime,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return open clocks that are due, the longest overdue first, of the leads one sees; and where the next begins.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    place = Cursor.of("sla.overdue", tx.actor, sort="due_at", filter=[kind, team_id])
    args = Args([tx.actor.tenant_id, now])
    wanted = ["c.tenant_id = $1::uuid", "c.ended_at is null", "c.state in ('running', 'breached')",
              "c.due_at <= $2::timestamptz", visibility.condition(tx.actor, args)]  # fmt: skip
    if kind:
        wanted.append(f"c.kind = {args.add(kind, 'text')}")
    if team_id:
        wanted.append(f"l.team_id = {args.add(team_id, 'uuid')}")
    if cursor:
        after = place.read(cursor, "timestamptz")
        wanted.append(f"(c.due_at, c.id) > ({args.add(after.value, 'timestamptz')}, {args.add(after.row_id, 'uuid')})")
    rows = await tx.fetch(
        f"select {CLOCK}, c.lead_id, l.owner_id, l.team_id, l.status as lead_status"
        " from crm.sla_clock c join crm.lead l on l.tenant_id = c.tenant_id and l.id = c.lead_id"
        f" where {' and '.join(wanted)} order by c.due_at, c.id limit {args.add(limit + 1, 'int')}",
        *args,
    )
    page = [await _as_it_stands(tx, dict(row), now) for row in rows[:limit]]
    return page, place.sign(rows[limit - 1]["due_at"], rows[limit - 1]["id"]) if len(rows) > limit else None


async def rule_sets(tx: Tx) -> list[asyncpg.Record]:
    """Return every rule set ever published, the latest version first."""
    return await tx.fetch(
        "select version, valid_from, rules, published_by, created_at from crm.sla_rule_set"
        " where tenant_id = $1::uuid order by version desc", tx.actor.tenant_id,
    )  # fmt: skip
