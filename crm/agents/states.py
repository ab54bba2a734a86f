"""Moving an agent from state to state, within the operation that is the reason for it.

A session's states follow each other without gap or overlap. The session's row is locked first, so that of two changes
at once the second one sees what the first one made; a change that is told late begins when the present state began.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from crm import errors, events, exchange, tenant_settings
from crm.agents import rules, settings
from crm.agents.rules import By, Pending, Standing, State
from crm.db import Tx

SIGNED_OFF = "signed_off"
RESERVED_FOR = timedelta(seconds=90)
"""How long an agent waits at most for a call that is about to ring."""
OURS = "santral."
"""How the reasons begin with which we pause at the exchange: our own word coming back is known by it."""
QUEUE_PAUSED = OURS + "queue_paused"
"""The reason of a pause of a whole queue: it says nothing of the agent."""


class NotSignedOn(errors.Conflict):
    """Sign on at the telephone first."""

    code = "agent.not_signed_on"


class AgentBusy(errors.Conflict):
    """This agent has a call, or takes none now."""

    code = "agent.busy"


@dataclass(frozen=True, slots=True)
class Held:
    """An open session under our lock: who, where, how they stand and since when (UTC)."""

    session_id: UUID
    user_id: UUID
    team_id: UUID | None
    endpoint: str
    last_beat_at: datetime
    since: datetime
    standing: Standing


LOCK = """
select s.id, s.endpoint, s.last_beat_at, s.missed, s.pending, s.pending_reason, s.pending_by
  from crm.agent_session s
 where s.tenant_id = $1::uuid and s.user_id = $2::uuid and s.ended_at is null
   for no key update
"""
OPEN = """
select i.state, i.reason, i.call_id, i.until, i.started_at,
       (select u.team_id from crm.user_account u where u.tenant_id = $1::uuid and u.id = i.user_id) as team_id
  from crm.agent_state i
 where i.tenant_id = $1::uuid and i.session_id = $2::uuid and i.ended_at is null
"""


async def lock(tx: Tx, user_id: UUID) -> Held | None:
    """Return a person's open session, locked until the transaction ends; None when there is none."""
    session = await tx.fetchrow(LOCK, tx.actor.tenant_id, user_id)
    if session is None:
        return None
    # A statement of its own: what a waiter for the lock reads is what the one before has made.
    row = await tx.fetchrow(OPEN, tx.actor.tenant_id, session["id"])
    assert row is not None, "an open session has an open state"
    pending = None
    if session["pending"] is not None:
        pending = Pending(State(session["pending"]), session["pending_reason"], session["pending_by"])
    return Held(
        session["id"],
        user_id,
        row["team_id"],
        session["endpoint"],
        session["last_beat_at"],
        row["started_at"],
        Standing(State(row["state"]), row["reason"], row["call_id"], row["until"], pending, session["missed"]),
    )


LOCK_ALL = """
select s.id from crm.agent_session s
 where s.tenant_id = $1::uuid and s.user_id in (select unnest($2::uuid[])) and s.ended_at is null
 order by s.user_id for no key update
"""


async def lock_all(tx: Tx, user_ids: Collection[UUID]) -> None:
    """Lock the open sessions of several people who are about to be moved, in the order of their ids."""
    if len(user_ids) > 1:
        await tx.fetch(LOCK_ALL, tx.actor.tenant_id, list(user_ids))


async def move(
    tx: Tx, user_id: UUID, to: State, *, call_id: UUID | None = None, reason: str | None = None,
    until: datetime | None = None, by: By = By.calls, now: datetime,
) -> bool:  # fmt: skip
    """Move an agent as a call (or whoever `by` names) demands; return whether anything changed.

    False when they are in no session, the step is not possible from where they are, or they are there already. The
    state ends by itself at `until`. The interval, the event and what the exchange is to do are written here; the
    operation that calls it is the one that was permitted.
    """
    held = await lock(tx, user_id)
    if held is None:
        return False
    new = rules.step(held.standing, to, by=by, call_id=call_id, reason=reason, until=until)
    if new is None:
        return False
    # Whoever speaks is there; that a telephone rings says nothing of anybody.
    spoke = by is By.calls and State.on_call in (held.standing.state, new.state)
    await enter(tx, held, new, now=now, is_sign_of_life=spoke or by is By.person)
    return True


async def reserve(tx: Tx, user_id: UUID, call_id: UUID, *, now: datetime) -> None:
    """Keep an agent for a call that is about to ring at their telephone.

    Who calls somebody by themselves may do so from a pause or a wrap-up; everyone else gets free agents only.

    :raises NotSignedOn: when they are in no session.
    :raises AgentBusy: when they have a call, or are not free.
    """
    held = await lock(tx, user_id)
    if held is None:
        raise NotSignedOn
    free = rules.FREE_FOR_OWN if tx.actor.user_id == user_id else rules.FREE
    new = rules.step(held.standing, State.reserved, by=By.calls, call_id=call_id, until=now + RESERVED_FOR)
    if held.standing.state not in free or new is None:
        raise AgentBusy
    await enter(tx, held, new, now=now, is_sign_of_life=tx.actor.user_id == user_id)


async def missed(tx: Tx, user_id: UUID, call_id: UUID, *, now: datetime) -> bool:
    """Take note that an agent did not answer a call, and pause them after too many; return whether anything changed.

    Safe to repeat: what does not ring here any more is not missed again.
    """
    held = await lock(tx, user_id)
    if held is None:
        return False
    at_most = await tenant_settings.value(tx, settings.MISSED_AT_MOST, at=now)
    new = rules.miss(held.standing, call_id, at_most=at_most)
    if new is None:
        return False
    await enter(tx, held, new, now=now, is_sign_of_life=False)
    if new.reason == rules.MISSED:
        detail = {"team_id": held.team_id, "session_id": held.session_id, "missed": held.standing.missed + 1}
        await events.record(tx, "agent", user_id, "agent.auto_paused", detail, at=now)
    return True


IN_PLACE = """
with kept as (
  update crm.agent_session
     set missed = $7::int, pending = $8::text, pending_reason = $9::text, pending_by = $10::uuid,
         last_beat_at = greatest(last_beat_at, $11::timestamptz)
   where tenant_id = $1::uuid and id = $2::uuid)
update crm.agent_state
   set state = $3::text, reason = $4::text, call_id = $5::uuid, until = $6::timestamptz, set_by = $12::uuid
 where tenant_id = $1::uuid and session_id = $2::uuid and ended_at is null
"""
NEXT = """
with kept as (
  update crm.agent_session
     set missed = $7::int, pending = $8::text, pending_reason = $9::text, pending_by = $10::uuid,
         last_beat_at = greatest(last_beat_at, $11::timestamptz)
   where tenant_id = $1::uuid and id = $2::uuid),
closed as (
  update crm.agent_state set ended_at = $13::timestamptz
   where tenant_id = $1::uuid and session_id = $2::uuid and ended_at is null
  returning user_id, ended_at)
insert into crm.agent_state
  (tenant_id, session_id, user_id, state, reason, call_id, until, started_at, follows, set_by)
select $1::uuid, $2::uuid, user_id, $3::text, $4::text, $5::uuid, $6::timestamptz, ended_at, ended_at, $12::uuid
  from closed
"""


async def enter(
    tx: Tx, held: Held, new: Standing, *, now: datetime, at: datetime | None = None, is_sign_of_life: bool = True
) -> None:
    """Write how a locked session stands from an instant on (UTC; default: now), tell it, have the exchange follow.

    The same state of the same call goes on with other words; another one begins, never before the present one began.
    """
    if new.state is State.offline:
        await end(tx, held, reason=new.reason or SIGNED_OFF, at=at, now=now)
        return
    old = held.standing
    at = max(at or now, held.since)
    goes_on = (old.state, old.reason, old.call_id) == (new.state, new.reason, new.call_id)
    pending = new.pending or Pending(State.offline, "")
    args = [
        tx.actor.tenant_id, held.session_id, new.state.value, new.reason, new.call_id, new.until, new.missed,
        new.pending and pending.to.value, new.pending and pending.reason, new.pending and pending.by,
        now if is_sign_of_life else held.last_beat_at, _whose(tx, held, new.state),
    ]  # fmt: skip
    if goes_on or at == held.since:
        await tx.execute(IN_PLACE, *args)
    else:
        await tx.execute(NEXT, *args, at)
    await _tell(tx, held, new, since=held.since if goes_on else at, now=now)


END = """
with kept as (
  update crm.agent_session
     set ended_at = $3::timestamptz, end_reason = $4::text, ended_by = $5::uuid, pending = null, pending_reason = null,
         pending_by = null
   where tenant_id = $1::uuid and id = $2::uuid),
emptied as (
  delete from crm.agent_state
   where tenant_id = $1::uuid and session_id = $2::uuid and ended_at is null and started_at >= $3::timestamptz)
update crm.agent_state set ended_at = $3::timestamptz
 where tenant_id = $1::uuid and session_id = $2::uuid and ended_at is null and started_at < $3::timestamptz
"""


async def end(tx: Tx, held: Held, *, reason: str, now: datetime, at: datetime | None = None) -> None:
    """End a locked session at an instant (UTC; default: now), never before its present state began; tell it."""
    ended_at = max(at or now, held.since)
    await tx.execute(
        END, tx.actor.tenant_id, held.session_id, ended_at, reason, _whose(tx, held, State.offline)
    )  # fmt: skip
    await _tell(tx, held, Standing(State.offline, reason), since=ended_at, now=now)
    detail = {"team_id": held.team_id, "session_id": held.session_id, "reason": reason, "ended_at": ended_at}
    await events.record(tx, "agent", held.user_id, "agent.signed_off", detail, at=ended_at)


def _whose(tx: Tx, held: Held, to: State) -> UUID | None:
    """Return who has an agent stand so: the person who acts, or the one whose wish comes true."""
    wished = held.standing.pending
    return wished.by if tx.actor.user_id is None and wished is not None and wished.to is to else tx.actor.user_id


async def _tell(tx: Tx, held: Held, new: Standing, *, since: datetime, now: datetime) -> None:
    """Write the event of a change and ask the exchange to leave the agent alone, or not to any more."""
    old = held.standing
    detail = {
        "team_id": held.team_id, "session_id": held.session_id, "from": old.state.value, "to": new.state.value,
        "reason": new.reason, "call_id": new.call_id, "since": since, "until": new.until,
        "pending": new.pending and new.pending.to.value, "from_call_id": old.call_id, "from_since": held.since,
    }  # fmt: skip
    await events.record(tx, "agent", held.user_id, "agent.state_changed", detail, at=since)
    is_paused = rules.is_paused_there(new.state)
    has_new_reason = new.state is State.paused and (old.state, old.reason) != (new.state, new.reason)
    if is_paused is not None and (is_paused != rules.is_paused_there(old.state) or has_new_reason):
        await ask_pause(tx, held.endpoint, new, now=now)


IS_MEMBER = "select exists (select from crm.agent_mirror where tenant_id = $1::uuid and endpoint = $2::text)"


async def ask_pause(tx: Tx, endpoint: str, standing: Standing, *, now: datetime) -> None:
    """Ask the exchange to pause or unpause an endpoint in all its queues, as its agent stands.

    Where it has told of none, there is nothing to pause; one it tells of later is set right then (`crm.agents.mirror`).
    """
    if not await tx.fetchval(IS_MEMBER, tx.actor.tenant_id, endpoint):
        return
    words = [standing.state.value, *([standing.reason] if standing.reason else [])]
    args = {
        "endpoint": endpoint, "is_paused": standing.state is not State.available, "reason": OURS + ".".join(words)
    }  # fmt: skip
    await exchange.ask(tx, exchange.Kind.queue_pause, args, now=now)
