"""Messages that were given up: worked off again as they are, or mended first. Each says why it was given up."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, errors, events
from crm.db import Tx
from crm.inbox import versions
from crm.inbox.queries import UnknownMessage
from crm.operation import operation


class NotFailed(errors.Conflict):
    """Only a message that was given up can be mended."""

    code = "inbox.not_failed"


class Erased(errors.Conflict):
    """What the message said was erased."""

    code = "inbox.erased"


@operation("inbox.replay")
async def replay(tx: Tx, message_id: UUID, *, now: datetime) -> None:
    """Have a message worked off again from the beginning; what it brought already changes nothing the second time.

    :raises UnknownMessage: when there is none.
    """
    row = await _lock(tx, message_id)
    await _again(tx, [message_id], now)
    detail = {"was": row["status"]}
    await events.record(tx, "inbox_message", message_id, "inbox.replayed", detail, at=now)
    await audit.of_person(tx, "inbox.replayed", "inbox_message", message_id, detail, at=now)


@operation("inbox.replay")
async def replay_failed(
    tx: Tx, *, reason: str | None = None, connection_id: UUID | None = None, at_most: int = 1000, now: datetime
) -> int:
    """Replay messages that were given up by now, oldest first, of one reason or connection if asked; return how many.

    Called again with the same `now` it goes on with the rest, and comes to an end whatever fails again meanwhile.
    """
    rows = await tx.fetch(
        """select id from crm.inbox_message
            where tenant_id = $1::uuid and status = 'failed' and ($2::text is null or last_error = $2::text)
              and ($3::uuid is null or connection_id = $3::uuid) and processed_at <= $5::timestamptz
            order by id limit $4::int for update skip locked""",
        tx.actor.tenant_id, reason, connection_id, at_most, now,
    )  # fmt: skip
    if not rows:
        tx.unchanged()
        return 0
    found = [row["id"] for row in rows]
    await _again(tx, found, now)
    detail = {"was": "failed", "reason": reason}
    await events.record_many(tx, [("inbox_message", each, "inbox.replayed", detail) for each in found], at=now)
    await audit.of_person(
        tx, "inbox.replayed", "connection", connection_id, {**detail, "messages": len(found)}, at=now
    )  # fmt: skip
    return len(found)


@operation("inbox.replay")
async def resubmit(tx: Tx, message_id: UUID, body: bytes, *, now: datetime) -> None:
    """Put a mended body in the place of a failed message's own and have it worked off; the earlier body is kept.

    The same message delivered again by its source is still recognised as the one that came first.

    :raises UnknownMessage: when there is none.
    :raises NotFailed: when it was not given up: it may be being worked off, or has brought its leads.
    :raises Erased: when what it said was erased.
    """
    row = await _lock(tx, message_id)
    if row["status"] != "failed":
        raise NotFailed
    sealed = await versions.seal(tx.actor.tenant_id, row["key_id"], body)
    if sealed is None:
        raise Erased
    await versions.replace(tx, message_id, sealed, "mended", now=now)
    await _again(tx, [message_id], now)
    detail = {"was": row["status"], "mended": True, "reason": row["last_error"]}
    await events.record(tx, "inbox_message", message_id, "inbox.replayed", detail, at=now)
    await audit.of_person(tx, "inbox.resubmitted", "inbox_message", message_id, detail, at=now)


async def _lock(tx: Tx, message_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(
        "select status, key_id, last_error from crm.inbox_message"
        " where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, message_id,
    )  # fmt: skip
    if row is None:
        raise UnknownMessage
    return row


async def _again(tx: Tx, message_ids: Sequence[UUID], now: datetime) -> None:
    await tx.execute(
        """update crm.inbox_message m set status = 'pending', attempts = 0, next_attempt_at = $3::timestamptz,
                  processed_at = null
             from unnest($2::uuid[]) as wanted(id)
            where m.tenant_id = $1::uuid and m.id = wanted.id""",
        tx.actor.tenant_id, list(message_ids), now,
    )  # fmt: skip
