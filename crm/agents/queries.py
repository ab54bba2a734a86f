"""Looking at agents: whose telephone is whose, how each stands, and how they stood."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm.agents import rules
from crm.agents.rules import State
from crm.db import Tx
from crm.users import profiles
from crm.users import queries as users


async def endpoint_of(tx: Tx, user_id: UUID) -> str | None:
    """Return the endpoint (dial string) of a person's telephone; None when they have none."""
    found: str | None = await tx.fetchval(
        "select endpoint from crm.agent where tenant_id = $1::uuid and user_id = $2::uuid", tx.actor.tenant_id, user_id
    )
    return found


BY_ENDPOINT = """
select a.endpoint, a.user_id
  from unnest($2::text[]) as wanted(endpoint)
 cross join lateral (
    select endpoint, user_id from crm.agent where tenant_id = $1::uuid and endpoint = wanted.endpoint limit 1) a
"""


async def by_endpoint(tx: Tx, endpoints: Iterable[str]) -> dict[str, UUID]:
    """Return whose telephones some endpoints are; strangers' are left out."""
    wanted = list(set(endpoints))
    rows = await tx.fetch(BY_ENDPOINT, tx.actor.tenant_id, wanted) if wanted else []
    return {row["endpoint"]: row["user_id"] for row in rows}


STANDING = """
select s.id as session_id, s.started_at as signed_on_at, s.pending, s.pending_reason, s.missed,
       i.state, i.reason, i.call_id, i.until, i.started_at as since
  from crm.agent_session s
  join crm.agent_state i on i.tenant_id = s.tenant_id and i.session_id = s.id and i.ended_at is null
 where s.tenant_id = $1::uuid and s.user_id = $2::uuid and s.ended_at is null
"""


async def standing(tx: Tx, user_id: UUID) -> dict[str, Any]:
    """Return how a person stands at the telephone and since when (UTC); `offline` when they are in no session."""
    row = await tx.fetchrow(STANDING, tx.actor.tenant_id, user_id)
    return dict(row) if row is not None else {"state": State.offline.value}


FLOOR = """
select u.id, u.name, u.team_id, t.name as team_name, a.endpoint, s.id as session_id, s.started_at as signed_on_at,
       s.pending, s.pending_reason, coalesce(i.state, 'offline') as state, i.reason, i.call_id, i.until,
       coalesce(i.started_at, (select max(e.ended_at) from crm.agent_session e
                                where e.tenant_id = $1::uuid and e.user_id = u.id)) as since,
       coalesce(d.available_s, 0) as available_s, coalesce(d.busy_s, 0) as busy_s,
       coalesce(d.ringing_s, 0) as ringing_s, coalesce(d.paused_s, 0) as paused_s
  from crm.agent a
  join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.user_id and u.is_active
  left join crm.team t on t.tenant_id = u.tenant_id and t.id = u.team_id
  left join crm.agent_session s on s.tenant_id = a.tenant_id and s.user_id = a.user_id and s.ended_at is null
  left join crm.agent_state i on i.tenant_id = a.tenant_id and i.session_id = s.id and i.ended_at is null
  left join lateral (
    select sum(x.lasted) filter (where x.state = 'available') as available_s,
           sum(x.lasted) filter (where x.state in ('on_call', 'wrap_up')) as busy_s,
           sum(x.lasted) filter (where x.state = 'ringing') as ringing_s,
           sum(x.lasted) filter (where x.state = 'paused') as paused_s
      from (select p.state, extract(epoch from least(coalesce(p.ended_at, $3::timestamptz), $3::timestamptz)
                                                - greatest(p.started_at, $2::timestamptz))::float8 as lasted
              from crm.agent_state p
             where p.tenant_id = $1::uuid and p.user_id = a.user_id
               and coalesce(p.ended_at, 'infinity') > $2::timestamptz and p.started_at < $3::timestamptz) x) d on true
 where a.tenant_id = $1::uuid and ($4::uuid is null or u.team_id = $4::uuid)
   and ($5::bool or u.team_id = $6::uuid or u.id = $7::uuid)
 order by t.name, u.name, u.id
"""


async def floor(tx: Tx, *, team_id: UUID | None = None, since: datetime, now: datetime) -> list[dict[str, Any]]:
    """Return the agents that the actor may watch, how each stands, and the seconds in each state since an instant.

    Everybody's for who sees every lead, the team's for who supervises it, else one's own. `occupancy`: busy seconds
    (talking, holding, dialling, writing up: states that never overlap) by busy and available ones; None without any.
    `skills`: their profile's, each with a proficiency of 1 to 5.
    """
    actor = tx.actor
    team = actor.team_id if actor.may("agent.supervise") or actor.may("lead.view.team") else None
    rows = await tx.fetch(
        FLOOR, actor.tenant_id, since, now, team_id, actor.may("lead.view.all"), team, actor.user_id
    )  # fmt: skip
    skilled = await profiles.profiles(tx, [row["id"] for row in rows], now)
    return [
        {
            **row,
            "occupancy": rules.occupancy(row["busy_s"], row["available_s"]),
            "skills": dict(skilled[row["id"]].skills),
        }
        for row in rows
    ]


HISTORY = """
select session_id, state, reason, call_id, started_at, ended_at from crm.agent_state
 where tenant_id = $1::uuid and user_id = $2::uuid
   and coalesce(ended_at, 'infinity') > $3::timestamptz and started_at < $4::timestamptz
 order by started_at limit 5000
"""


async def history(tx: Tx, user_id: UUID, *, since: datetime, until: datetime) -> list[asyncpg.Record]:
    """Return an agent's states that touch a time, the earliest first, each with its true beginning and end (UTC).

    :raises crm.users.queries.UnknownUser: when there is no such person for the actor.
    """
    await require_watched(tx, user_id)
    return await tx.fetch(HISTORY, tx.actor.tenant_id, user_id, since, until)


async def require_watched(tx: Tx, user_id: UUID) -> None:
    """Refuse to show an agent to who may not watch them: as if there were no such person.

    :raises crm.users.queries.UnknownUser: then.
    """
    team_id = (await users.user(tx, user_id))["team_id"]
    actor = tx.actor
    is_theirs = actor.may("agent.supervise") and team_id is not None and team_id == actor.team_id
    if not (actor.user_id == user_id or is_theirs or actor.may("lead.view.all")):
        raise users.UnknownUser
