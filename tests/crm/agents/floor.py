"""A small floor: agents with telephones, and what stands in the tables about them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import db, ids
from crm.actor import Actor
from crm.agents import endpoints, mirror, operations, states
from crm.agents.rules import By, State
from crm.users import operations as users
from crm.users import rules
from tests.conftest import Tenant


async def telephone(tenant: Tenant, now: datetime, *, actor: Actor | None = None, endpoint: str = "PJSIP/a-1") -> Actor:
    """Give somebody (default: the firm's agent) a telephone."""
    who = actor or tenant.sales_agent
    await db.run(tenant.admin, lambda tx: endpoints.give(tx, who.user_id, endpoint, now=now))
    return who


async def signed_on(tenant: Tenant, now: datetime, *, actor: Actor | None = None, endpoint: str = "PJSIP/a-1") -> Actor:
    """Give somebody a telephone and sign them on."""
    who = await telephone(tenant, now, actor=actor, endpoint=endpoint)
    await db.run(who, lambda tx: operations.sign_on(tx, now=now))
    return who


async def in_queue(tenant: Tenant, now: datetime, *, endpoint: str = "PJSIP/a-1") -> None:
    """Let the exchange have told that a telephone is in one of its queues, not paused."""
    await db.run(tenant.system, lambda tx: mirror.heard(tx, endpoint, False, "", queue="sales", now=now))


async def hire(tenant: Tenant, n: int, now: datetime, *, team_id: UUID | None = None) -> list[Actor]:
    """Make more agents of a team (default: the firm's)."""
    hired = []
    for each in range(n):
        where = team_id or tenant.team_id
        user_id = await db.run(
            tenant.admin,
            lambda tx, each=each, where=where: users.create(
                tx, email=f"agent{each}-{ids.new().hex[-6:]}@acme.example", name=f"Agent {each}",
                roles=[rules.Role.sales_agent], team_id=where, password_hash=None, now=now,
            ),
        )  # fmt: skip
        role = frozenset({"sales_agent"})
        hired.append(Actor(tenant.id, user_id, where, role, rules.permissions_of(role)))
    return hired


async def move(tenant: Tenant, who: Actor, to: State, now: datetime, *, by: By = By.calls, **detail: Any) -> bool:
    """Move an agent as the exchange's facts do."""
    return await db.run(tenant.system, lambda tx: states.move(tx, who.user_id, to, by=by, now=now, **detail))


async def intervals(tenant: Tenant, who: Actor) -> list[asyncpg.Record]:
    """Return an agent's states, the earliest first."""
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(
            "select session_id, state, reason, call_id, until, started_at, ended_at from crm.agent_state"
            " where user_id = $1::uuid order by started_at",
            who.user_id,
        )


async def sessions(tenant: Tenant, who: Actor) -> list[asyncpg.Record]:
    """Return an agent's sessions, the earliest first."""
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(
            "select * from crm.agent_session where user_id = $1::uuid order by started_at, id", who.user_id
        )


async def standing(tenant: Tenant, who: Actor) -> tuple[str, str | None]:
    """Return an agent's state and its reason; offline when there is no session."""
    found = [row for row in await intervals(tenant, who) if row["ended_at"] is None]
    return (found[0]["state"], found[0]["reason"]) if found else ("offline", None)


async def pauses_asked(tenant: Tenant) -> list[tuple[str, bool, str]]:
    """Return what the exchange was asked about pauses: endpoint, paused or not, with which word."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select args from crm.exchange_ask where kind = 'queue_pause' order by id")
    return [(row["args"]["endpoint"], row["args"]["is_paused"], row["args"]["reason"]) for row in rows]


async def told(tenant: Tenant, kind: str, who: Actor | None = None) -> list[dict[str, Any]]:
    """Return the payloads of the events of one kind (about one agent, or all), in their order."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch(
            "select payload_json from crm.event_log where event_type = $1::text"
            " and ($2::uuid is null or aggregate_id = $2::uuid) order by id",
            kind,
            who and who.user_id,
        )
    return [row[0] for row in rows]


async def audited(tenant: Tenant) -> list[str]:
    """Return what was audited of agents, in its order."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select action from crm.audit_log where target_type = 'agent' order by id")
    return [row["action"] for row in rows]


async def require_tiled(tenant: Tenant, who: Actor) -> None:
    """Check that states tile their sessions and that sessions do not overlap."""
    before = None
    rows = await intervals(tenant, who)
    for session in await sessions(tenant, who):
        own = [row for row in rows if row["session_id"] == session["id"]]
        assert before is None or before <= session["started_at"], "sessions do not overlap"
        assert [row["ended_at"] for row in own[:-1]] == [row["started_at"] for row in own[1:]], (
            "neither gap nor overlap"
        )
        if own:
            assert own[0]["started_at"] == session["started_at"]
            assert own[-1]["ended_at"] == session["ended_at"]
        else:
            assert session["started_at"] == session["ended_at"]
        before = session["ended_at"]
