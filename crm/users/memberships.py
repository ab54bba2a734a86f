"""Who was in which team when: intervals, kept by the operations that change accounts."""

from datetime import datetime
from uuid import UUID

import asyncpg

from crm import ids
from crm.db import Tx

MEMBERS = """
select m.user_id, u.name, m.team_id, t.name as team_name, m.started_at, m.ended_at
  from crm.team_membership m
  join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.user_id
  left join crm.team t on t.tenant_id = m.tenant_id and t.id = m.team_id
 where m.tenant_id = $1::uuid
"""

INSERT = """
insert into crm.team_membership (tenant_id, id, user_id, team_id, started_at, ended_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::timestamptz, $6::timestamptz)
"""


async def move(
    tx: Tx, user_id: UUID, *, before: UUID | None, after: UUID | None, since: datetime, now: datetime
) -> None:
    """Note that a person left one team for another (None: none), within the operation that does it.

    `since` is when they came to the team they leave, for accounts older than this history.
    """
    # Who waited for the lock may have asked earlier than the one before them: no interval ends before it began.
    closed: datetime | None = await tx.fetchval(
        "update crm.team_membership set ended_at = greatest($3::timestamptz, started_at)"
        " where tenant_id = $1::uuid and user_id = $2::uuid and ended_at is null returning ended_at",
        tx.actor.tenant_id, user_id, now,
    )  # fmt: skip
    stations: list[tuple[UUID, datetime, datetime | None]] = []
    if before is not None and closed is None and not await _has_history(tx, user_id):
        stations.append((before, since, now))
    if after is not None:
        stations.append((after, closed or now, None))
    await tx.executemany(INSERT, [(tx.actor.tenant_id, ids.new(), user_id, *station) for station in stations])


async def of_user(tx: Tx, user_id: UUID) -> list[asyncpg.Record]:
    """Return the teams a person was and is in, the earliest first."""
    return await tx.fetch(
        f"{MEMBERS} and m.user_id = $2::uuid order by m.started_at, m.id", tx.actor.tenant_id, user_id
    )


async def of_team(tx: Tx, team_id: UUID, *, at: datetime) -> list[asyncpg.Record]:
    """Return who was in a team at an instant (UTC), by name."""
    return await tx.fetch(
        f"{MEMBERS} and m.team_id = $2::uuid and m.started_at <= $3::timestamptz"
        " and (m.ended_at is null or m.ended_at > $3::timestamptz) order by u.name, m.user_id",
        tx.actor.tenant_id, team_id, at,
    )  # fmt: skip


async def _has_history(tx: Tx, user_id: UUID) -> bool:
    return bool(
        await tx.fetchval(
            "select 1 from crm.team_membership where tenant_id = $1::uuid and user_id = $2::uuid limit 1",
            tx.actor.tenant_id,
            user_id,
        )
    )
