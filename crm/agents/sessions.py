"""Beginning a session at the telephone, and hearing that its agent is still there."""

from datetime import datetime
from uuid import UUID

import asyncpg

from crm import errors, events, ids
from crm.agents import rules, states
from crm.agents.rules import Standing, State
from crm.agents.states import Held
from crm.db import Tx


class NoEndpoint(errors.Conflict):
    """You have no telephone yet; an administrator gives you one (its endpoint)."""

    code = "agent.no_endpoint"


LOCK = "select from crm.agent where tenant_id = $1::uuid and user_id = $2::uuid for no key update"
AGENT = """
select a.endpoint, u.team_id,
       (select max(s.ended_at) from crm.agent_session s where s.tenant_id = $1::uuid and s.user_id = a.user_id)
         as last_ended_at
  from crm.agent a join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.user_id
 where a.tenant_id = $1::uuid and a.user_id = $2::uuid
"""
BEGIN = """
with begun as (
  insert into crm.agent_session (tenant_id, id, user_id, endpoint, started_at, last_beat_at)
  values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::timestamptz, $5::timestamptz))
insert into crm.agent_state (tenant_id, session_id, user_id, state, started_at, set_by)
values ($1::uuid, $2::uuid, $3::uuid, 'available', $5::timestamptz, $6::uuid)
"""


async def lock_telephone(tx: Tx, user_id: UUID) -> None:
    """Let nobody else begin a session of this person, or take their telephone, until the transaction ends.

    Before their session is locked: who finds none open then may begin one.
    """
    await tx.execute(LOCK, tx.actor.tenant_id, user_id)


async def begin(tx: Tx, user_id: UUID, *, now: datetime) -> UUID:
    """Begin a session of somebody who has none, available at once, and return its id; under `lock_telephone`.

    :raises NoEndpoint: when they have no telephone.
    """
    agent = await tx.fetchrow(AGENT, tx.actor.tenant_id, user_id)
    if agent is None:
        raise NoEndpoint
    session_id, began_at = ids.new(), max(now, agent["last_ended_at"] or now)
    await tx.execute(
        BEGIN, tx.actor.tenant_id, session_id, user_id, agent["endpoint"], began_at, tx.actor.user_id
    )  # fmt: skip
    told = {"team_id": agent["team_id"], "session_id": session_id}
    state = {"from": "offline", "to": "available", "reason": None, "call_id": None, "since": began_at, "until": None}
    await events.record_many(
        tx,
        [
            ("agent", user_id, "agent.signed_on", told),
            ("agent", user_id, "agent.state_changed", {**told, **state, "pending": None}),
        ],
        at=began_at,
    )
    await states.ask_pause(tx, agent["endpoint"], Standing(State.available), now=now)
    return session_id


BEAT = """
update crm.agent_session set last_beat_at = greatest(last_beat_at, $3::timestamptz)
 where tenant_id = $1::uuid and user_id = $2::uuid and ended_at is null
returning (select i.state from crm.agent_state i
            where i.tenant_id = $1::uuid and i.session_id = agent_session.id and i.ended_at is null) as state
"""


async def heard_of(tx: Tx, user_id: UUID, *, now: datetime) -> bool:
    """Note that an agent is there; who did not respond is back where they were. Return whether their state changed.

    :raises crm.agents.states.NotSignedOn: when they are in no session.
    """
    state = await tx.fetchval(BEAT, tx.actor.tenant_id, user_id, now)
    if state is None:
        raise states.NotSignedOn
    held = await states.lock(tx, user_id) if state == State.not_responding else None
    if held is None or held.standing.state is not State.not_responding:
        return False
    before = await _before(tx, held)
    await states.enter(tx, held, rules.after_silence(held.standing, before, now=now), now=now)
    return True


async def _before(tx: Tx, held: Held) -> Standing:
    """Return how an agent stood before they did not respond."""
    row: asyncpg.Record | None = await tx.fetchrow(
        "select state, reason, call_id, until from crm.agent_state"
        " where tenant_id = $1::uuid and session_id = $2::uuid and ended_at = $3::timestamptz",
        tx.actor.tenant_id, held.session_id, held.since,
    )  # fmt: skip
    if row is None:
        return Standing(State.available)
    return Standing(State(row["state"]), row["reason"], row["call_id"], row["until"])
