"""What supervisors do about a queue for a while: pause it, put a caller first, move one, send everybody on.

Each has a reason and an end. At the end it reverts by itself: what it did counts as long as it is open and not past its
end, and whoever looks next writes down that it is over.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, codes, errors, events, ids
from crm.db import Tx
from crm.operation import operation
from crm.queues import operations, sending
from crm.queues.operations import BadQueue
from crm.queues.rules import MOST_PRIORITY, Way

LONGEST = timedelta(hours=24)
"""How long at most; what is to last is a setting of the queue."""


class Kind(StrEnum):
    """What is done."""

    pause = "pause"
    """The queue's agents get none of its calls; callers wait."""
    priority = "priority"
    """A caller has so many steps of priority."""
    move = "move"
    """A caller waits in another queue; whoever is not answered there by the end comes back."""
    overflow = "overflow"
    """Everybody who waits, or comes, is sent another way."""


class UnknownAction(errors.NotFound):
    """There is no such action, or it is over."""

    code = "queue.action_not_found"


class UnknownCaller(errors.NotFound):
    """Nobody waits in a queue by this call."""

    code = "queue.caller_not_found"


class ActionOpen(errors.Conflict):
    """The same is under way already; end it first."""

    code = "queue.action_open"


class BadTime(errors.Invalid):
    """An action ends within a day, and not before it begins."""

    code = "queue.action_until"


@operation("queue.manage")
async def pause(tx: Tx, queue_id: UUID, *, reason: str, until: datetime, now: datetime) -> UUID:
    """Keep a queue's calls from its agents until an instant (UTC); callers go on waiting. Return the action's id.

    :raises crm.queues.operations.UnknownQueue, crm.queues.operations.Retired: when it is not in use.
    :raises ActionOpen: when it is paused already.
    :raises BadTime: when the end is not within a day.
    """
    await operations.lock(tx, queue_id)
    return await _begin(tx, Kind.pause, queue_id, reason=reason, until=until, now=now)


@operation("queue.manage")
async def overflow(tx: Tx, queue_id: UUID, way: Way, *, reason: str, until: datetime, now: datetime) -> UUID:
    """Send everybody who waits in a queue, or comes to it until an instant (UTC), another way; return the action's id.

    :raises crm.queues.operations.UnknownQueue, crm.queues.operations.Retired: when it is not in use.
    :raises crm.queues.operations.BadQueue: when the way leads to no other queue.
    :raises ActionOpen: when everybody is sent on already.
    :raises BadTime: when the end is not within a day.
    """
    row = await operations.lock(tx, queue_id)
    if way.queue is not None:
        await _other_queue(tx, way.queue, but=row["code"], field="way.queue")
    return await _begin(
        tx, Kind.overflow, queue_id, way=way.to, to_queue=way.queue or way.prompt, reason=reason, until=until, now=now
    )


@operation("queue.manage")
async def prioritise(tx: Tx, call_id: UUID, priority: int, *, reason: str, until: datetime, now: datetime) -> UUID:
    """Give a waiting caller so many steps of priority until an instant (UTC); return the action's id.

    :raises UnknownCaller: when nobody waits by that call.
    :raises crm.queues.operations.BadQueue: when there are not so many steps.
    :raises ActionOpen: when the caller has been given some already.
    :raises BadTime: when the end is not within a day.
    """
    if not 0 <= priority <= MOST_PRIORITY:
        raise BadQueue(fields={"priority": f"0 to {MOST_PRIORITY}"})
    caller = await waiting(tx, call_id)
    return await _begin(
        tx, Kind.priority, caller["queue_id"], call_id=call_id, priority=priority, reason=reason, until=until, now=now
    )


@operation("queue.manage")
async def move(tx: Tx, call_id: UUID, to_queue: str, *, reason: str, until: datetime, now: datetime) -> UUID:
    """Send a waiting caller to another queue; who still waits there at the end comes back. Return the action's id.

    They keep the instant by which they were promised an answer.

    :raises UnknownCaller: when nobody waits by that call.
    :raises crm.queues.operations.BadQueue: when there is no other queue of that code.
    :raises ActionOpen: when the caller has been moved already.
    :raises BadTime: when the end is not within a day.
    """
    caller = await waiting(tx, call_id)
    await _other_queue(tx, to_queue, but=caller["queue"], field="to_queue")
    action_id = await _begin(
        tx, Kind.move, caller["queue_id"], call_id=call_id, to_queue=to_queue, reason=reason, until=until, now=now
    )
    await sending.send(tx, caller, Way(to="queue", queue=to_queue), "moved", now=now)
    return action_id


@operation("queue.manage")
async def end(tx: Tx, action_id: UUID, *, now: datetime) -> None:
    """End an action before its time: resume a queue, take back a priority, stop sending callers on.

    :raises UnknownAction: when there is none, or it is over.
    """
    row = await tx.fetchrow(
        "select * from crm.queue_action where tenant_id = $1::uuid and id = $2::uuid and ended_at is null"
        " and until > $3::timestamptz for update",
        tx.actor.tenant_id, action_id, now,
    )  # fmt: skip
    if row is None:
        raise UnknownAction
    await _end(tx, row, "ended", now=now)
    told = {"action_id": action_id, "kind": row["kind"]}
    await audit.of_person(tx, "queue.action_end", "queue", row["queue_id"], told, at=now)


async def waiting(tx: Tx, call_id: UUID) -> asyncpg.Record:
    """Return the caller who waits by a call, as `sending.WAITING` shows them; locked.

    :raises UnknownCaller: when there is none, or they are on another way already.
    """
    await tx.execute(
        "select from crm.queue_visit where tenant_id = $1::uuid and call_id = $2::uuid and outcome = 'waiting'"
        " for update",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
    row = await tx.fetchrow(sending.WAITING, tx.actor.tenant_id, call_id)
    if row is None or row["queue_id"] is None or row["ask_status"] in ("waiting", "sent"):
        raise UnknownCaller
    return row


async def _other_queue(tx: Tx, code: str, *, but: str, field: str) -> None:
    known = await tx.fetchval(
        "select exists (select from crm.queue where tenant_id = $1::uuid and code = $2::text and retired_at is null)",
        tx.actor.tenant_id, code,
    )  # fmt: skip
    if not known or code == but:
        raise BadQueue(fields={field: "no other queue of that code"})


async def _begin(
    tx: Tx, kind: Kind, queue_id: UUID, *, reason: str, until: datetime, now: datetime, call_id: UUID | None = None,
    to_queue: str | None = None, way: str | None = None, priority: int | None = None,
) -> UUID:  # fmt: skip
    """Write an action; whoever asks for the same twice is told that it is under way."""
    codes.require(reason=reason)
    if not now < until <= now + LONGEST:
        raise BadTime(fields={"until": "within 24 hours from now"})
    # Those who are past their end are over, whether or not somebody has written it down yet.
    if await tx.fetchval(
        "select exists (select from crm.queue_action where tenant_id = $1::uuid and queue_id = $2::uuid"
        " and kind = $3::text and call_id is not distinct from $4::uuid and ended_at is null"
        " and until > $5::timestamptz)",
        tx.actor.tenant_id, queue_id, kind.value, call_id, now,
    ):  # fmt: skip
        raise ActionOpen
    action_id = ids.new()
    await tx.execute(
        "insert into crm.queue_action (tenant_id, id, queue_id, kind, call_id, to_queue, way, priority, reason,"
        " began_at, began_by, until) values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::uuid, $6::text, $7::text,"
        " $8::int, $9::text, $10::timestamptz, $11::uuid, $12::timestamptz)",
        tx.actor.tenant_id, action_id, queue_id, kind.value, call_id, to_queue, way, priority, reason, now,
        tx.actor.user_id, until,
    )  # fmt: skip
    told: dict[str, Any] = {
        "action_id": action_id, "kind": kind.value, "call_id": call_id, "to": to_queue, "way": way,
        "priority": priority, "reason": reason, "until": until,
    }  # fmt: skip
    await events.record(tx, "queue", queue_id, "queue.action_began", told, at=now)
    await audit.of_person(tx, f"queue.{kind.value}", "queue", queue_id, told, at=now)
    return action_id


OVER = """
select a.*, v.outcome, v.left_at from crm.queue_action a
  left join lateral (
    select outcome, left_at from crm.queue_visit v where v.tenant_id = $1::uuid and v.call_id = a.call_id
     order by visit_no desc limit 1
  ) v on true
 where a.tenant_id = $1::uuid and a.ended_at is null
   and (a.until <= $2::timestamptz or (v.outcome is not null and v.outcome <> 'waiting'))
 order by a.id for update of a skip locked
"""


async def end_due(tx: Tx, *, now: datetime) -> int:
    """Write down which actions are over, and bring back who was moved and still waits; return how many.

    Plumbing, done by whoever looks first: the process that steers the queues, or any worker. Safe to repeat.
    """
    rows = await tx.fetch(OVER, tx.actor.tenant_id, now)
    for row in rows:
        outcome = row["outcome"]
        is_gone = outcome is not None and outcome != "waiting" and row["until"] > now
        reason = ("answered" if outcome == "answered" else "left") if is_gone else "expired"
        await _end(tx, row, reason, now=now)
    return len(rows)


async def _end(tx: Tx, row: asyncpg.Record, why: str, *, now: datetime) -> None:
    await tx.execute(
        "update crm.queue_action set ended_at = $3::timestamptz, ended_by = $4::uuid, end_reason = $5::text"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["id"], now, tx.actor.user_id, why,
    )  # fmt: skip
    told = {"action_id": row["id"], "kind": row["kind"], "call_id": row["call_id"], "end_reason": why}
    await events.record(tx, "queue", row["queue_id"], "queue.action_ended", told, at=now)
    if row["kind"] == Kind.move and why in ("ended", "expired"):
        await _bring_back(tx, row, now=now)


async def _bring_back(tx: Tx, row: asyncpg.Record, *, now: datetime) -> None:
    """Send a caller back to the queue they were moved from, when they still wait where they were moved to."""
    caller = await tx.fetchrow(sending.WAITING, tx.actor.tenant_id, row["call_id"])
    home = await tx.fetchval(
        "select code from crm.queue where tenant_id = $1::uuid and id = $2::uuid and retired_at is null",
        tx.actor.tenant_id, row["queue_id"],
    )  # fmt: skip
    if caller is not None and home is not None and caller["queue"] == row["to_queue"]:
        await sending.send(tx, caller, Way(to="queue", queue=home), "moved", now=now)


async def next_end(tx: Tx) -> datetime | None:
    """Return when the next action ends (UTC); None when none is open."""
    found: datetime | None = await tx.fetchval(
        "select min(until) from crm.queue_action where tenant_id = $1::uuid and ended_at is null", tx.actor.tenant_id
    )
    return found


async def open_now(tx: Tx, *, now: datetime) -> list[asyncpg.Record]:
    """Return the actions in effect at an instant (UTC), with their queues' codes, the first begun first."""
    return await tx.fetch(
        "select a.*, q.code from crm.queue_action a join crm.queue q on q.tenant_id = $1::uuid and q.id = a.queue_id"
        " where a.tenant_id = $1::uuid and a.ended_at is null and a.until > $2::timestamptz order by a.began_at, a.id",
        tx.actor.tenant_id, now,
    )  # fmt: skip


def way_of(row: asyncpg.Record) -> Way:
    """Return the way an overflow action sends everybody."""
    if row["way"] == "queue":
        return Way(to="queue", queue=row["to_queue"])
    return Way(to="message", prompt=row["to_queue"]) if row["way"] == "message" else Way(to="callback")
