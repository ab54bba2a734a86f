"""Whose calendar is which, as it was known at an instant.

A person's own weekly hours win over the team's, the team's over the firm's, those over the default hours; on a date,
what the team said wins over what the firm said, and that over public holidays.
"""

import json
from collections.abc import Collection
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from crm.calendars.rules import CLOSED, DEFAULT_HOURS, USUAL, Calendar, Day, Hours, Week
from crm.db import Tx

DEFAULT_STORED = [[each.weekday, each.opens, each.closes] for each in DEFAULT_HOURS]
OWN = "own"
"""The source of a special day that the firm said itself; public holidays carry `holidays:TR`."""

# One statement, whoever and however many are asked for: `$2` teams, `$3` persons, side by side; both null for the firm.
# A person's team is looked up.
LOAD = """
select whose.user_id,
       coalesce((select t.timezone from crm.team t where t.tenant_id = $1::uuid and t.id = whose.team_id),
                (select t.timezone from crm.tenant t where t.tenant_id = $1::uuid)) as timezone,
       (select jsonb_agg(jsonb_build_array((v.valid_from at time zone v.timezone)::date + 1, v.timezone)
                         order by v.valid_from, v.id)::text
          from crm.team_version v
         where v.tenant_id = $1::uuid and v.team_id = whose.team_id and v.valid_from <= $4::timestamptz) as zones,
       (select jsonb_agg(jsonb_build_array(w.valid_from,
                           case when w.user_id is not null then 2 when w.team_id is not null then 1 else 0 end,
                           w.timezone, w.hours)
                         order by w.created_at, w.id)::text
          from crm.calendar_week w
         where w.tenant_id = $1::uuid and w.created_at <= $4::timestamptz
           and (w.user_id is null or w.user_id = whose.user_id) and (w.team_id is null or w.team_id = whose.team_id)
       ) as weeks,
       (select jsonb_agg(jsonb_build_array(d.day, d.kind, d.closed_from, d.hours)
                         order by d.team_id is not null, d.source = 'own', d.created_at, d.id)::text
          from crm.calendar_day d
         where d.tenant_id = $1::uuid and d.created_at <= $4::timestamptz
           and (d.team_id is null or d.team_id = whose.team_id)
       ) as days
  from (select i.user_id, coalesce(i.team_id, (select u.team_id from crm.user_account u
                                                where u.tenant_id = $1::uuid and u.id = i.user_id)) as team_id
          from unnest($2::uuid[], $3::uuid[]) as i(team_id, user_id) offset 0) whose
"""


async def of_tenant(tx: Tx, at: datetime) -> Calendar:
    """Return the firm's calendar as it was known at an instant (UTC)."""
    return await _load(tx, None, None, at)


async def of_team(tx: Tx, team_id: UUID | None, at: datetime) -> Calendar:
    """Return a team's calendar as it was known at an instant (UTC); the firm's for no team."""
    return await _load(tx, team_id, None, at)


async def of_user(tx: Tx, user_id: UUID, at: datetime) -> Calendar:
    """Return a person's calendar as it was known at an instant (UTC): their own hours if set, else their team's.

    Days on which they are absent are another matter: a calendar says when their place is open.
    """
    return await _load(tx, None, user_id, at)


async def of_users(tx: Tx, user_ids: Collection[UUID], at: datetime) -> dict[UUID, Calendar]:
    """Return the same of several persons, in one statement."""
    users = list(user_ids)
    rows = await tx.fetch(LOAD, tx.actor.tenant_id, [None] * len(users), users, at) if users else []
    return {row["user_id"]: _of_row(row) for row in rows}


async def _load(tx: Tx, team_id: UUID | None, user_id: UUID | None, at: datetime) -> Calendar:
    row = await tx.fetchrow(LOAD, tx.actor.tenant_id, [team_id], [user_id], at)
    assert row is not None, "each who is asked for has a row"
    return _of_row(row)


def _of_row(row: asyncpg.Record) -> Calendar:
    return read(row["timezone"] or "UTC", row["zones"] or "[]", row["weeks"] or "[]", row["days"] or "[]")


@lru_cache(maxsize=1024)
def read(timezone: str, zones: str, weeks: str, days: str) -> Calendar:
    """Return the calendar that these rows make; the same rows give the same object, with all it has worked out."""
    moved = [(date.fromisoformat(begins), zone) for begins, zone in json.loads(zones)]
    return Calendar(ZoneInfo(timezone), _weeks(json.loads(weeks), moved), _days(json.loads(days)))


def _weeks(rows: list[list[Any]], moved: list[tuple[date, str]]) -> tuple[Week, ...]:
    """Return the weeks in effect, each from its date on: of the narrowest level that has one by then, its latest.

    Rows come in the order in which they were said: of two about one date the last one holds. `moved`: the zones the
    team was in, each from the day after it was said; the first one since ever.
    """
    said = [(date.min, 0, None, DEFAULT_STORED)]
    said += [(date.fromisoformat(begins), level, zone, hours) for begins, level, zone, hours in rows]
    found = []
    for day in sorted({*(row[0] for row in said), *(begins for begins, _ in moved)}):
        narrowest = max((row[1], row[0]) for row in said if row[0] <= day)
        _, _, zone, hours = next(row for row in reversed(said) if (row[1], row[0]) == narrowest)
        there = [at for begins, at in moved if begins <= day][-1:] or [at for _, at in moved[:1]]
        named = zone or (there[0] if there else None)
        found.append(Week(day, hours_of(hours), ZoneInfo(named) if named else None))
    return tuple(found)


def _days(rows: list[list[Any]]) -> dict[date, Day]:
    """Return what holds on each special date: rows come from the widest to the narrowest, earlier before later."""
    return {date.fromisoformat(row[0]): day_of(*row[1:]) for row in rows}


def day_of(kind: str, closed_from: int | None, hours: list[list[int]] | None) -> Day:
    """Return a special day as it is stored."""
    if kind == "hours":
        return Day(hours=hours_of(hours or []))
    if kind == "usual":
        return USUAL
    return Day(closed_from=closed_from) if closed_from else CLOSED


def hours_of(stored: list[list[int]]) -> tuple[Hours, ...]:
    """Return hours as they are stored: `[weekday, opens, closes]`, minutes of the day."""
    return tuple(Hours(*each) for each in stored)


async def days(tx: Tx, team_id: UUID | None, since: date, until: date) -> list[asyncpg.Record]:
    """Return what was said about dates (both included) for the firm and a team, in their order; the last one holds."""
    return await tx.fetch(
        "select day, team_id, kind, closed_from, hours, name, labels, source, is_estimated, created_at"
        " from crm.calendar_day where tenant_id = $1::uuid and (team_id is null or team_id = $2::uuid)"
        " and day between $3::date and $4::date"
        " order by day, team_id is not null, source = 'own', created_at, id",
        tx.actor.tenant_id, team_id, since, until,
    )  # fmt: skip


async def weeks(tx: Tx, *, team_id: UUID | None = None, user_id: UUID | None = None) -> list[asyncpg.Record]:
    """Return every weekly hours ever set for the firm, a team or a person, the latest date first."""
    return await tx.fetch(
        "select id, team_id, user_id, valid_from, timezone, hours, set_by, created_at from crm.calendar_week"
        " where tenant_id = $1::uuid and team_id is not distinct from $2::uuid"
        " and user_id is not distinct from $3::uuid order by valid_from desc, created_at desc, id desc",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip


async def countries(tx: Tx) -> list[str]:
    """Return the countries whose public holidays the firm took over."""
    rows = await tx.fetch(
        "select distinct split_part(source, ':', 2) as country from crm.calendar_day"
        " where tenant_id = $1::uuid and source <> 'own' order by 1",
        tx.actor.tenant_id,
    )
    return [row["country"] for row in rows]
