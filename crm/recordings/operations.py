"""Recordings in use: asked for with a reason, played once, kept by order of law, and gone when their time is over."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, codes, errors, events, ids, jobs, objects, vault
from crm.calls import visible
from crm.db import Tx
from crm.operation import operation
from crm.recordings import links
from crm.recordings.links import LinkUsed
from crm.sql import Args

EXPIRED = "retention"
BATCH = 500


class RecordingNotFound(errors.NotFound):
    """There is no such recording, or its call is not yours to see."""

    code = "recording.not_found"


async def get(tx: Tx, recording_id: UUID, *, call_id: UUID | None = None, lock: bool = False) -> asyncpg.Record:
    """Return a recording whose call the actor sees.

    :raises RecordingNotFound: when there is none, or it is deleted.
    """
    args = Args()
    where = [
        f"r.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", f"r.id = {args.add(recording_id, 'uuid')}",
        "r.deleted_at is null", visible.condition(tx.actor, args),
    ]  # fmt: skip
    if call_id is not None:
        where.append(f"r.call_id = {args.add(call_id, 'uuid')}")
    row = await tx.fetchrow(
        "select r.* from crm.recording r join crm.call c on c.tenant_id = r.tenant_id and c.id = r.call_id"
        f" where {' and '.join(where)}{' for update of r' if lock else ''}",
        *args,
    )
    if row is None:
        raise RecordingNotFound
    return row


LINK = """
insert into crm.recording_link (tenant_id, id, recording_id, user_id, reason, made_at, expires_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::text, $6::timestamptz, $7::timestamptz)
"""


@operation("recording.play")
async def link(tx: Tx, call_id: UUID, recording_id: UUID, *, reason: str, now: datetime) -> tuple[str, datetime]:
    """Return the token of a link that plays a recording once, and until when it may be used (UTC).

    :raises RecordingNotFound: when the call has no such recording for the actor.
    :raises crm.codes.NotACode: when the reason is none.
    """
    codes.require(reason=reason)
    row = await get(tx, recording_id, call_id=call_id)
    link_id, expires_at = ids.new(), now + links.GOOD_FOR
    await tx.execute(LINK, tx.actor.tenant_id, link_id, recording_id, tx.actor.user_id, reason, now, expires_at)
    told = {"call_id": row["call_id"], "link_id": link_id, "reason": reason}
    await events.record(tx, "recording", recording_id, "recording.link_made", told, at=now)
    await audit.of_person(tx, "recording.link", "recording", recording_id, told, at=now)
    return links.sign(tx.actor.tenant_id, link_id), expires_at


async def owner_of(tx: Tx, link_id: UUID) -> UUID | None:
    """Return whom a link was made for, None when there is none of that id (any more)."""
    found: UUID | None = await tx.fetchval(
        "select user_id from crm.recording_link where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, link_id,
    )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording that may be read now."""

    tenant_id: UUID
    key_id: UUID
    object_key: str
    size: int


USE = """
update crm.recording_link set used_at = $4::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid and user_id = $3::uuid and used_at is null
   and expires_at > $4::timestamptz
returning recording_id, reason
"""


@operation("recording.play")
async def use(tx: Tx, link_id: UUID, recording_id: UUID, *, now: datetime) -> Opened:
    """Use a link up and open its recording: that, when and by whom is written down before a byte is read.

    :raises LinkUsed: when it was used, or its minute is over.
    :raises links.BadLink: when it was made for another recording.
    :raises RecordingNotFound: when the recording is deleted, or not the person's to see any more.
    """
    used = await tx.fetchrow(USE, tx.actor.tenant_id, link_id, tx.actor.user_id, now)
    if used is None:
        raise LinkUsed
    if used["recording_id"] != recording_id:
        raise links.BadLink
    row = await get(tx, recording_id)
    told = {"call_id": row["call_id"], "link_id": link_id, "reason": used["reason"]}
    await events.record(tx, "recording", recording_id, "recording.played", told, at=now)
    await audit.of_person(tx, "recording.play", "recording", recording_id, told, at=now)
    return Opened(tx.actor.tenant_id, row["key_id"], row["object_key"], row["size"])


async def content(opened: Opened, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
    """Return a recording's bytes from one to another (both included; default: all of them), piece by piece.

    That it can be read is known when this returns: the pieces before the first byte are opened then.

    :raises crm.vault.Unreadable: when its key was destroyed, or it was altered.
    :raises crm.objects.ObjectMissing: when the store does not have it.
    :raises crm.objects.StoreUnavailable: when the store does not answer.
    """
    keys = await vault.find(opened.tenant_id, [opened.key_id])
    if opened.key_id not in keys:
        raise vault.Unreadable
    pieces = vault.open_stream(keys[opened.key_id], await objects.get(opened.object_key))
    at, piece = 0, await anext(pieces)
    while at + len(piece) <= first:
        at, piece = at + len(piece), await anext(pieces, b"")
        if not piece:
            break
    end = opened.size if last is None else last + 1

    async def part() -> AsyncIterator[bytes]:
        place, here = at, piece
        while here and place < end:
            yield here[max(0, first - place) : end - place]
            place, here = place + len(here), await anext(pieces, b"")

    return part()


@operation("recording.hold")
async def hold(tx: Tx, call_id: UUID, recording_id: UUID, *, reason: str, now: datetime) -> None:
    """Keep a recording from being deleted until it is released; one that is held stays so.

    :raises RecordingNotFound: when the call has no such recording for the actor.
    :raises crm.codes.NotACode: when the reason is none.
    """
    codes.require(reason=reason)
    row = await get(tx, recording_id, call_id=call_id, lock=True)
    if row["held_at"] is not None:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.recording set held_at = $3::timestamptz, held_by = $4::uuid, hold_reason = $5::text"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, recording_id, now, tx.actor.user_id, reason,
    )  # fmt: skip
    await _trace(tx, row, "held", reason, now=now)


@operation("recording.hold")
async def release(tx: Tx, call_id: UUID, recording_id: UUID, *, reason: str, now: datetime) -> None:
    """Let a recording that was held go its way again; one whose time is over meanwhile is deleted soon.

    :raises RecordingNotFound: when the call has no such recording for the actor.
    :raises crm.codes.NotACode: when the reason is none.
    """
    codes.require(reason=reason)
    row = await get(tx, recording_id, call_id=call_id, lock=True)
    if row["held_at"] is None:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.recording set held_at = null, held_by = null, hold_reason = null"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, recording_id,
    )  # fmt: skip
    await _trace(tx, row, "released", reason, now=now)


async def _trace(tx: Tx, row: asyncpg.Record, verb: str, reason: str, *, now: datetime) -> None:
    told = {"call_id": row["call_id"], "reason": reason}
    await events.record(tx, "recording", row["id"], f"recording.{verb}", told, at=now)
    await audit.of_person(tx, f"recording.{verb}", "recording", row["id"], told, at=now)


EXPIRE = f"""
update crm.recording r set deleted_at = $2::timestamptz, deletion_reason = '{EXPIRED}'
  from (select id from crm.recording
         where tenant_id = $1::uuid and delete_after <= $2::timestamptz and deleted_at is null and held_at is null
         order by delete_after limit {BATCH} for update skip locked) due
 where r.tenant_id = $1::uuid and r.id = due.id
returning r.id, r.call_id, r.retention
"""


@operation("recording.expire")
async def expire(tx: Tx, *, now: datetime) -> int:
    """Delete the recordings whose time is over and that nothing holds; return how many, `BATCH` at most.

    Their rows stay; what was said is destroyed soon after, with its key.
    """
    gone = await tx.fetch(EXPIRE, tx.actor.tenant_id, now)
    if not gone:
        tx.unchanged()
        return 0
    for row in gone:
        await jobs.defer(tx, "recording.destroy", recording_id=row["id"])
    happened = [
        (
            "recording", row["id"], "recording.deleted",
            {"call_id": row["call_id"], "retention": row["retention"], "reason": EXPIRED},
        )
        for row in gone
    ]  # fmt: skip
    await events.record_many(tx, happened, at=now)
    await audit.of_person(tx, "recording.expire", "recording", None, {"deleted": len(gone)}, at=now)
    return len(gone)


async def forget_links(tx: Tx, *, before: datetime) -> None:
    """Delete links that were good until before an instant; who listened stands in the audit log."""
    await tx.execute(
        "delete from crm.recording_link where tenant_id = $1::uuid and expires_at < $2::timestamptz",
        tx.actor.tenant_id, before,
    )  # fmt: skip
