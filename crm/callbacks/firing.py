"""Keeping promises: calls for callbacks whose turn has come, and what comes of them. The system's own work.

A customer is claimed with their person's row, without waiting, and the claim, the last question whether they may be
called, the call, and the ask of the exchange are one transaction: killed anywhere, it was never begun or it is whole.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import tenant_settings
from crm.callbacks import rows, rules, settings
from crm.callbacks.operations import PURPOSE
from crm.callbacks.rules import Line, Next, Status
from crm.calls import dialling
from crm.calls import operations as calls
from crm.calls.dialling import Dial
from crm.calls.steps import LIVE
from crm.db import Tx
from crm.operation import operation
from crm.queues import visits

PENDING = """
select exists (select from crm.callback where tenant_id = $1::uuid and ended_at is null)
    or exists (select from crm.callback_attempt where tenant_id = $1::uuid and ended_at is null)
"""
# Those of one agent wait for that agent; of a queue, those who came first: the others' turn is not before theirs.
DUE = """
select d.id
  from (select b.id, b.enqueued_at, b.agent_user_id, b.queue,
               row_number() over (partition by b.queue, b.agent_user_id is null order by b.enqueued_at, b.id) as place,
               b.queue is not null and greatest(b.promised_from, b.due_at) + $3::interval <= $2::timestamptz as is_late
          from crm.callback b
         where b.tenant_id = $1::uuid and b.status = 'scheduled' and b.due_at <= $2::timestamptz
           and b.expires_at > $2::timestamptz) d
 where d.agent_user_id is null and d.place <= 20 or d.is_late
    or exists (select from crm.agent_session s
                 join crm.agent_state i on i.tenant_id = s.tenant_id and i.session_id = s.id and i.ended_at is null
                where s.tenant_id = $1::uuid and s.user_id = d.agent_user_id and s.ended_at is null
                  and i.state = 'available')
 order by d.enqueued_at, d.id limit 200
"""
CLAIM = """
select b.* from crm.callback b join crm.contact c on c.tenant_id = b.tenant_id and c.id = b.contact_id
 where b.tenant_id = $1::uuid and b.id = $2::uuid and b.status = 'scheduled' and b.due_at <= $3::timestamptz
   and b.expires_at > $3::timestamptz
   for update of c, b skip locked
"""
ON_CALL = """
select true from crm.call where tenant_id = $1::uuid and contact_id = $2::uuid and ended_at is null
   and status in (select unnest($3::text[])) and source = 'live' limit 1
"""


async def is_pending(tx: Tx) -> bool:
    """Tell whether there is any callback to look after."""
    return bool(await tx.fetchval(PENDING, tx.actor.tenant_id))


async def due(tx: Tx, *, now: datetime) -> list[UUID]:
    """Return the callbacks whose time has come and whose agent or queue may be ready, the earliest place first."""
    wait = await _agent_wait(tx, now=now)
    return [row["id"] for row in await tx.fetch(DUE, tx.actor.tenant_id, now, wait)]


async def _agent_wait(tx: Tx, *, now: datetime) -> timedelta:
    minutes = await tenant_settings.value(tx, settings.AGENT_WAIT_MINUTES, at=now)
    return timedelta(minutes=minutes)


@operation("callback.fire")
async def fire(tx: Tx, callback_id: UUID, *, now: datetime) -> UUID | None:
    """Call the customer of a callback if it is their turn; return the call's id, or None when it is not (any more).

    :raises crm.calls.dialling.ContactOnCall: when somebody called them this instant.
    :raises crm.agents.states.AgentBusy, crm.agents.states.NotSignedOn: when the agent got another call this instant.
    """
    row = await tx.fetchrow(CLAIM, tx.actor.tenant_id, callback_id, now)
    by = await _whose_turn(tx, row, now=now) if row is not None else None
    if row is None or by is None:
        tx.unchanged()
        return None
    dialled = await dialling.dial(
        tx,
        Dial(
            contact_id=row["contact_id"], lead_id=row["lead_id"], purpose="callback", callback_id=row["id"],
            consent_purpose=PURPOSE, ring_s=await tenant_settings.value(tx, calls.RING_S, at=now), **by,
        ),
        now=now,
    )  # fmt: skip
    if dialled.call_id is None:
        reason, until = dialled.answer.reason, dialled.answer.not_before
        assert reason is not None, "a no has a reason"
        after = rules.after_denial(reason, not_before=until, expires_at=row["expires_at"])
        await rows.move(tx, row, after, happened="put_off" if after.status is Status.scheduled else None, now=now)
        return None
    if by["agent_user_id"] is None:
        await visits.reserve_place(
            tx, dialled.call_id, waits_since=row["enqueued_at"], priority=row["priority"], now=now
        )
    await _attempted(tx, row, dialled.call_id, by["agent_user_id"], now=now)
    return dialled.call_id


async def _whose_turn(tx: Tx, row: asyncpg.Record, *, now: datetime) -> dict[str, Any] | None:
    """Return who makes a claimed callback now, its agent or its queue; None: nobody yet, or the customer is talking."""
    if await tx.fetchval(ON_CALL, tx.actor.tenant_id, row["contact_id"], sorted(LIVE)):
        return None
    if row["agent_user_id"] is not None:
        if await _is_free(tx, row["agent_user_id"]):
            return {"agent_user_id": row["agent_user_id"], "queue": None}
        late_at = max(row["promised_from"], row["due_at"]) + await _agent_wait(tx, now=now)
        if row["queue"] is None or now < late_at:
            return None
    if row["queue"] is not None and rules.is_next(await line(tx, row["queue"], row["enqueued_at"], lock=True)):
        return {"agent_user_id": None, "queue": row["queue"]}
    return None


async def _is_free(tx: Tx, user_id: UUID) -> bool:
    return bool(
        await tx.fetchval(
            "select true from crm.agent_session s join crm.agent_state i on i.tenant_id = s.tenant_id"
            " and i.session_id = s.id and i.ended_at is null where s.tenant_id = $1::uuid and s.user_id = $2::uuid"
            " and s.ended_at is null and i.state = 'available'",
            tx.actor.tenant_id, user_id,
        )
    )  # fmt: skip


LINE = """
select (select count(*)::int from crm.queue_visit v
          left join crm.queue_place p on p.tenant_id = v.tenant_id and p.call_id = v.call_id
         where v.tenant_id = $1::uuid and v.queue = $2::text and v.outcome = 'waiting' and v.left_at is null
           and not v.is_historical and coalesce(p.waits_since, v.enqueued_at) < $3::timestamptz) as ahead,
       (select count(*)::int from crm.queue_visit v
         where v.tenant_id = $1::uuid and v.queue = $2::text and v.outcome = 'waiting' and v.left_at is null
           and not v.is_historical) as waiting,
       (select count(*)::int from crm.callback b
          join crm.call k on k.tenant_id = b.tenant_id and k.id = b.call_id
         where b.tenant_id = $1::uuid and b.queue = $2::text and b.status = 'attempted' and k.agent_user_id is null
           and k.connected_at is null and k.ended_at is null
           and not exists (select from crm.queue_visit v where v.tenant_id = $1::uuid and v.call_id = k.id
                              and v.outcome = 'waiting' and v.left_at is null)) as on_the_way,
       m.free, m.signed_on
  from (select count(*) filter (where i.state = 'available' and not m.is_paused)::int as free,
               count(*)::int as signed_on
          from crm.queue_member m
          join crm.agent_session s on s.tenant_id = m.tenant_id and s.endpoint = m.endpoint and s.ended_at is null
          join crm.agent_state i on i.tenant_id = s.tenant_id and i.session_id = s.id and i.ended_at is null
         where m.tenant_id = $1::uuid and m.queue = $2::text and m.is_member) m
"""


async def line(tx: Tx, queue: str, place: datetime, *, lock: bool = False) -> Line:
    """Return a queue as it is seen from a place in it; `lock`: nobody else calls back into it until we are done."""
    if lock:
        await tx.execute(
            "select from crm.queue where tenant_id = $1::uuid and code = $2::text for no key update",
            tx.actor.tenant_id, queue,
        )  # fmt: skip
    row = await tx.fetchrow(LINE, tx.actor.tenant_id, queue, place)
    assert row is not None, "counts have a row"
    return Line(**row)


ATTEMPT = """
with attempt as (
  insert into crm.callback_attempt (tenant_id, callback_id, attempt_no, call_id, agent_user_id, attempted_at)
  select $1::uuid, $2::uuid, coalesce(max(a.attempt_no), 0) + 1, $3::uuid, $4::uuid, $5::timestamptz
    from crm.callback_attempt a where a.tenant_id = $1::uuid and a.callback_id = $2::uuid
  returning attempt_no
)
update crm.callback
   set status = 'attempted', call_id = $3::uuid, reason = null, attempts = attempts + 1,
       first_attempt_at = coalesce(first_attempt_at, $5::timestamptz), last_attempt_at = $5::timestamptz,
       updated_at = $5::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
returning callback.*, (select attempt_no from attempt) as attempt_no
"""


async def _attempted(
    tx: Tx, row: Mapping[str, Any], call_id: UUID, agent_user_id: UUID | None, *, now: datetime
) -> None:  # fmt: skip
    attempted = await tx.fetchrow(ATTEMPT, tx.actor.tenant_id, row["id"], call_id, agent_user_id, now)
    assert attempted is not None, "it is locked"
    await rows.tell(tx, attempted, "attempted", now=now, call_id=call_id, attempt_no=attempted["attempt_no"])


ENDED = """
select b.*, a.attempt_no, a.call_id as attempt_call_id, k.outcome, k.started_at, k.connected_at,
       k.ended_at as call_ended_at
  from crm.callback_attempt a
  join crm.callback b on b.tenant_id = a.tenant_id and b.id = a.callback_id
  join crm.call k on k.tenant_id = a.tenant_id and k.id = a.call_id
 where a.tenant_id = $1::uuid and a.ended_at is null and k.ended_at is not null
 order by b.id limit 100 for update of b, a skip locked
"""


@operation("callback.fire")
async def settle(tx: Tx, *, now: datetime) -> int:
    """Take note of what came of calls that have ended; return of how many. Told twice or never, it is the same."""
    retries = await tenant_settings.value(tx, settings.RETRIES, at=now)
    found = await tx.fetch(ENDED, tx.actor.tenant_id)
    for row in found:
        outcome = rules.UNTRIED if row["started_at"] is None and row["outcome"] == "failed" else row["outcome"]
        uncounted = int(outcome in rules.UNCOUNTED)
        await tx.execute(
            "update crm.callback_attempt set outcome = $4::text, ended_at = $5::timestamptz"
            " where tenant_id = $1::uuid and callback_id = $2::uuid and attempt_no = $3::int",
            tx.actor.tenant_id, row["id"], row["attempt_no"], outcome, row["call_ended_at"],
        )  # fmt: skip
        await tx.execute(
            "update crm.callback set last_outcome = $3::text, attempts = attempts - $4::int"
            " where tenant_id = $1::uuid and id = $2::uuid",
            tx.actor.tenant_id, row["id"], outcome, uncounted,
        )  # fmt: skip
        if row["status"] != Status.attempted or row["call_id"] != row["attempt_call_id"]:
            stands = {**row, "attempts": row["attempts"] - uncounted}
            await rows.tell(tx, stands, "attempt_ended", now=now, call_id=row["attempt_call_id"], outcome=outcome)
            continue
        after = rules.after_call(
            outcome, was_reached=row["connected_at"] is not None, attempts=row["attempts"] - uncounted, retries=retries,
            ended_at=row["call_ended_at"], expires_at=row["expires_at"],
        )  # fmt: skip
        await rows.move(tx, row, after, reached_at=row["connected_at"], now=now, call_id=row["call_id"])
    if not found:
        tx.unchanged()
    return len(found)


REACHED = """
select b.*, k.id as other_call_id, k.connected_at, k.direction
  from crm.callback b
 cross join lateral (
   select k.id, k.connected_at, k.direction from crm.call k
    where k.tenant_id = $1::uuid and k.contact_id = b.contact_id and k.requested_at > b.requested_at - interval '1 day'
      and k.connected_at > b.requested_at and k.id is distinct from b.call_id and k.source = 'live'
    order by k.connected_at limit 1) k
 where b.tenant_id = $1::uuid and b.ended_at is null
 order by b.id limit 100 for update of b skip locked
"""


@operation("callback.fire")
async def complete_reached(tx: Tx, *, now: datetime) -> int:
    """Complete callbacks of people we have spoken to otherwise since they were promised; return how many.

    They called again and got somebody, or somebody called them: nobody calls them once more for it.
    """
    found = await tx.fetch(REACHED, tx.actor.tenant_id)
    for row in found:
        reason = "called_in" if row["direction"] == "inbound" else "called_otherwise"
        await rows.move(
            tx, row, Next(Status.completed, reason=reason), reached_at=row["connected_at"], now=now,
            call_id=row["other_call_id"],
        )  # fmt: skip
    if not found:
        tx.unchanged()
    return len(found)


LATE = """
select b.* from crm.callback b
 where b.tenant_id = $1::uuid and b.status in ('requested', 'scheduled') and b.expires_at <= $2::timestamptz
 order by b.id limit 100 for update of b skip locked
"""


@operation("callback.fire")
async def expire(tx: Tx, *, now: datetime) -> int:
    """End callbacks that nobody could make in time; return how many."""
    found = await tx.fetch(LATE, tx.actor.tenant_id, now)
    for row in found:
        await rows.move(tx, row, Next(Status.expired, reason=row["reason"] or "too_late"), now=now)
    if not found:
        tx.unchanged()
    return len(found)
