"""A callback's row: locked, changed, and told of. Within the operation that is the reason for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, timeline
from crm.callbacks.rules import FOLLOWS, OPEN, Next, Status
from crm.db import Tx
from crm.sql import Args


class CallbackNotFound(errors.NotFound):
    """There is no such callback, or it is not yours to see."""

    code = "callback.not_found"


class Closed(errors.Conflict):
    """This callback has ended."""

    code = "callback.closed"


class InProgress(errors.Conflict):
    """The customer is being called right now; wait for what comes of it."""

    code = "callback.in_progress"


SHOWN = frozenset({"requested", "rescheduled", "taken", "completed", "failed", "expired", "cancelled"})
"""What people see of a callback on the timeline; its calls stand there by themselves."""


def is_mine(args: Args, user_id: UUID | None) -> str:
    """Return the condition that a callback `b` is a person's: theirs to make, promised by them, or their queue's."""
    me = args.add(user_id, "uuid")
    return (
        f"(b.agent_user_id = {me} or b.requested_by = {me} or (b.agent_user_id is null and exists ("
        "select from crm.agent a join crm.queue_member m on m.tenant_id = a.tenant_id and m.endpoint = a.endpoint"
        f" where a.tenant_id = b.tenant_id and a.user_id = {me} and m.queue = b.queue and m.is_member)))"
    )


async def lock(tx: Tx, callback_id: UUID) -> asyncpg.Record:
    """Return a callback of the actor's that nobody is called for now, locked until the transaction ends.

    :raises CallbackNotFound: when there is none for the actor.
    :raises Closed: when it has ended.
    :raises InProgress: when its customer is being called.
    """
    args = Args([tx.actor.tenant_id, callback_id])
    mine = "true" if tx.actor.may("callback.manage") else is_mine(args, tx.actor.user_id)
    row = await tx.fetchrow(
        f"select b.* from crm.callback b where b.tenant_id = $1::uuid and b.id = $2::uuid and {mine} for update of b",
        *args,
    )
    if row is None:
        raise CallbackNotFound
    if row["status"] not in OPEN:
        raise Closed
    if row["status"] == Status.attempted:
        raise InProgress
    return row


async def promise_anew(
    tx: Tx, row: Mapping[str, Any], begins: datetime, ends: datetime, expires_at: datetime
) -> None:  # fmt: skip
    """Give a locked callback another time (UTC), which is its place in line, too."""
    await tx.execute(
        "update crm.callback set promised_from = $3::timestamptz, promised_until = $4::timestamptz,"
        " expires_at = $5::timestamptz, enqueued_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["id"], begins, ends, expires_at,
    )  # fmt: skip


MOVE = """
update crm.callback
   set status = $3::text, reason = $4::text, due_at = coalesce($5::timestamptz, due_at),
       ended_at = case when $6::boolean then $7::timestamptz end,
       reached_at = coalesce($8::timestamptz, reached_at), updated_at = $7::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
returning *
"""


async def move(
    tx: Tx, row: Mapping[str, Any], to: Next, *, happened: str | None = None, reached_at: datetime | None = None,
    now: datetime, **detail: Any,
) -> None:  # fmt: skip
    """Bring a locked callback to where it stands next, and tell it (`happened`: when the status is no word for it)."""
    assert to.status in FOLLOWS[Status(row["status"])], f"{row['status']} is never followed by {to.status}"
    is_over = to.status not in OPEN
    moved = await tx.fetchrow(
        MOVE, tx.actor.tenant_id, row["id"], to.status.value, to.reason, to.due_at, is_over, now, reached_at
    )
    assert moved is not None, "it is locked"
    told = {"reason": to.reason, "due_at": to.due_at or (None if is_over else row["due_at"])}
    if reached_at is not None:
        told |= {"reached_at": reached_at, "was_kept": reached_at <= row["promised_until"]}
    await tell(tx, moved, happened or to.status.value, now=now, **told, **detail)


STANDS = ("status", "requested_at", "promised_from", "promised_until", "first_attempt_at", "reached_at", "ended_at",
          "attempts", "source_call_id")  # fmt: skip
"""What every event of a callback says of how it stands, so that the latest one says all."""


async def tell(tx: Tx, row: Mapping[str, Any], happened: str, *, now: datetime, **detail: Any) -> None:
    """Write the event of a callback (its row, as it stands now), the audit row when a person did it, and what people
    see of it."""
    told = {
        "contact_id": row["contact_id"], "lead_id": row["lead_id"], "kind": row["kind"], "queue": row["queue"],
        "agent_user_id": row["agent_user_id"], **detail,
    }  # fmt: skip
    stands = {name: row[name] for name in STANDS}
    await events.record(tx, "callback", row["id"], f"callback.{happened}", {**stands, **told}, at=now)
    await audit.of_person(tx, f"callback.{happened}", "callback", row["id"], told, at=now)
    if happened in SHOWN:
        seen = {"callback_id": row["id"], "kind": row["kind"], **detail}
        await timeline.record(
            tx, row["contact_id"], f"callback.{happened}", at=now, lead_id=row["lead_id"], channel="call",
            outcome=detail.get("reason"), detail=seen,
        )  # fmt: skip
