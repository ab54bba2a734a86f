"""Looking at people and teams."""

from typing import Any
from uuid import UUID

import asyncpg

from crm import errors
from crm.db import Tx

USER = """
select u.id, u.email, u.name, u.locale, u.roles, u.team_id, t.name as team_name, u.is_active,
       u.last_login_at, u.created_at, u.updated_at
  from crm.user_account u left join crm.team t on t.tenant_id = u.tenant_id and t.id = u.team_id
 where u.tenant_id = $1::uuid
"""

TEAM = """
select t.id, t.name, t.timezone, t.region, t.lead_user_id, t.is_default, t.created_at, t.updated_at,
       (select l.name from crm.user_account l where l.tenant_id = t.tenant_id and l.id = t.lead_user_id) as lead_name,
       (select count(*)::int from crm.user_account u
         where u.tenant_id = t.tenant_id and u.team_id = t.id and u.is_active) as members
  from crm.team t
 where t.tenant_id = $1::uuid
"""


class UnknownUser(errors.NotFound):
    """There is no such user."""

    code = "user.not_found"


class UnknownTeam(errors.NotFound):
    """There is no such team."""

    code = "team.not_found"


async def user(tx: Tx, user_id: UUID) -> asyncpg.Record:
    """Return one user of the actor's tenant.

    :raises UnknownUser: when there is none.
    """
    row = await tx.fetchrow(f"{USER} and u.id = $2::uuid", tx.actor.tenant_id, user_id)
    if row is None:
        raise UnknownUser
    return row


async def users(
    tx: Tx, *, team_id: UUID | None = None, is_active: bool | None = None, after: UUID | None = None, limit: int = 50
) -> list[asyncpg.Record]:
    """Return users in the order of their making, from after the previous page's last."""
    return await tx.fetch(
        f"{USER} and ($2::uuid is null or u.team_id = $2::uuid) and ($3::bool is null or u.is_active = $3::bool)"
        " and ($4::uuid is null or u.id > $4::uuid) order by u.id limit $5::int",
        tx.actor.tenant_id, team_id, is_active, after, limit,
    )  # fmt: skip


async def team(tx: Tx, team_id: UUID) -> asyncpg.Record:
    """Return one team of the actor's tenant.

    :raises UnknownTeam: when there is none.
    """
    row = await tx.fetchrow(f"{TEAM} and t.id = $2::uuid", tx.actor.tenant_id, team_id)
    if row is None:
        raise UnknownTeam
    return row


async def teams(tx: Tx) -> list[asyncpg.Record]:
    """Return every team, by name."""
    return await tx.fetch(f"{TEAM} order by t.name, t.id", tx.actor.tenant_id)


AGENTS = """
select u.id, u.name, u.team_id, t.name as team_name, m.accepting, m.capacity, m.weight,
       (select count(*)::int from crm.lead l
         where l.tenant_id = u.tenant_id and l.owner_id = u.id and l.status <> all ($2::text[])) as open_leads,
       (select max(l.assigned_at) from crm.lead l
         where l.tenant_id = u.tenant_id and l.owner_id = u.id) as last_assigned_at
  from crm.routing_member m
  join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.user_id and u.is_active
  join crm.team t on t.tenant_id = m.tenant_id and t.id = m.team_id
 where m.tenant_id = $1::uuid and ($3::uuid is null or m.team_id = $3::uuid)
 order by t.name, u.name, u.id
"""


async def agents(tx: Tx, *, closed: list[str], team_id: UUID | None = None) -> list[dict[str, Any]]:
    """Return who takes leads, each with capacity and the leads they hold that are not in a `closed` status."""
    rows = await tx.fetch(AGENTS, tx.actor.tenant_id, closed, team_id)
    return [dict(row) for row in rows]
