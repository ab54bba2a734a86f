"""Putting recordings away: sealed under a key of their own, each once however often it is found."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import UUID

import asyncpg

from crm import audit, db, events, ids, objects, tenant_settings, vault
from crm.actor import Actor
from crm.db import Tx
from crm.operation import operation
from crm.recordings import wav
from crm.recordings.retention import RETENTION

PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording's file as it was found, open, so that it stays readable whoever deletes it meanwhile.

    `part`: the begin of its SHA-256, by which it is known again.
    """

    file: BinaryIO
    part: str
    size: int
    duration_s: float


def look(file: BinaryIO) -> Sound:
    """Return what an open file is.

    :raises wav.NotAWav: when it is no recording.
    """
    sound = wav.read(file.read(wav.HEAD))
    size = file.seek(0, 2)
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return Sound(file, digest[:32], size, sound.duration_s(size))


def object_key(tenant_id: UUID, recording_id: UUID) -> str:
    """Return the name of a recording's object: ids and nothing else."""
    return f"recordings/{tenant_id}/{recording_id}"


async def put(actor: Actor, call: asyncpg.Record, sound: Sound, *, now: datetime) -> bool:
    """Store a call's recording (`call`: its `id, contact_id, purpose, started_at`); return whether it was new.

    The bytes go to the store before the row is committed: whoever dies in between leaves an object nobody knows, which
    the sweep of orphans deletes, and the file where it was.

    :raises crm.objects.StoreUnavailable: when the store does not take it.
    """
    async with db.transaction(actor) as tx:
        if await is_known(tx, call["id"], sound.part):
            return False
    key, recording_id = (await vault.take(actor.tenant_id))[0], ids.new()
    name = object_key(actor.tenant_id, recording_id)
    await objects.put(name, vault.seal_stream(key, _pieces(sound.file)))
    is_new: bool = await db.run(actor, lambda tx: keep(tx, recording_id, key.id, call, sound, now=now))
    if not is_new:
        with suppress(objects.StoreUnavailable):  # the sweep finds what stays
            await objects.delete([name])
    return is_new


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, 0)
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


async def is_known(tx: Tx, call_id: UUID, part: str) -> bool:
    """Tell whether a call has this very recording already, deleted since or not."""
    found = await tx.fetchval(
        "select true from crm.recording where tenant_id = $1::uuid and call_id = $2::uuid and part = $3::text",
        tx.actor.tenant_id, call_id, part,
    )  # fmt: skip
    return found is not None


INSERT = """
insert into crm.recording (tenant_id, id, call_id, part, contact_id, key_id, object_key, size, duration_s, retention,
                           recorded_at, stored_at, delete_after)
values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::uuid, $6::uuid, $7::text, $8::bigint, $9::float8, $10::text,
        $11::timestamptz, $12::timestamptz, $13::timestamptz)
    on conflict (tenant_id, call_id, part) do nothing
"""


@operation("recording.store")
async def keep(tx: Tx, recording_id: UUID, key_id: UUID, call: asyncpg.Record, sound: Sound, *, now: datetime) -> bool:
    """Write the row of a recording that was put away; return False where another one was quicker."""
    began = call["started_at"] or now
    retention = await tenant_settings.value(tx, RETENTION, at=began)
    kind, days = retention.of(call["purpose"])
    done = await tx.execute(
        INSERT, tx.actor.tenant_id, recording_id, call["id"], sound.part, call["contact_id"], key_id,
        object_key(tx.actor.tenant_id, recording_id), sound.size, sound.duration_s, kind, began, now,
        began + timedelta(days=days),
    )  # fmt: skip
    if done == "INSERT 0 0":
        tx.unchanged()
        return False
    told = {"call_id": call["id"], "duration_s": sound.duration_s, "size": sound.size, "retention": kind}
    await events.record(tx, "recording", recording_id, "recording.stored", told, at=now)
    await audit.of_person(tx, "recording.store", "recording", recording_id, told, at=now)
    return True
