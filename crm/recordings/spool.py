"""The folder in which an exchange leaves its recordings: each is stored, then deleted there, whatever dies in between.

A file is named after its call (`<id>.wav`, by our id or the exchange's). It is taken when its call has ended and nobody
has written to it for a while; what belongs to no call that is known yet stays for the next look.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog

from crm import db
from crm.actor import Actor
from crm.calls import keeping
from crm.recordings import storing, wav

log = structlog.get_logger("crm.recordings")

SETTLED = timedelta(seconds=5)
"""A file that was written to since may not be finished."""
UNREADABLE = ".unreadable"
"""What the name of a file ends in that is no recording: it is set aside for a person to look at."""
AT_ONCE = 100
"""Files one sweep stores at most."""

CALLS = """
select c.id, c.contact_id, c.purpose, c.started_at, c.ended_at from unnest($2::uuid[]) as wanted(id)
 cross join lateral (select * from crm.call where tenant_id = $1::uuid and id = wanted.id limit 1) c
"""


@dataclass(slots=True)
class Swept:
    """What a sweep did: files stored; those still to wait for; those that are no recordings."""

    stored: int = 0
    waiting: int = 0
    unreadable: int = 0


async def sweep(actor: Actor, folder: Path, *, now: datetime) -> Swept:
    """Store the recordings in a folder and delete them there.

    Safe to repeat, and to be killed at any moment: a file goes when its row is committed, and one that was stored
    before is known by its content. `now` (UTC) is compared with when files were written, by this machine's clock.

    :raises crm.objects.StoreUnavailable: when the store does not answer; what was not taken stays.
    """
    done = Swept()
    found = await asyncio.to_thread(_settled, folder, now)
    which = {path: keeping.call_id_of(actor.tenant_id, path.stem) for path in found}
    calls = await _calls(actor, list(which.values()))
    for path, call_id in which.items():
        call = calls.get(call_id)
        if call is None or call["ended_at"] is None:
            done.waiting += 1
        elif done.stored < AT_ONCE:
            await _take(actor, path, call, done, now=now)
    return done


def _settled(folder: Path, now: datetime) -> list[Path]:
    """Return the recordings that nobody writes to any more, the oldest first."""
    found = []
    for path in folder.glob("*.wav"):
        try:
            written = path.stat().st_mtime
        except FileNotFoundError:  # another sweep was quicker
            continue
        if datetime.fromtimestamp(written, UTC) <= now - SETTLED:
            found.append((written, path))
    return [path for _, path in sorted(found)]


async def _calls(actor: Actor, call_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    if not call_ids:
        return {}
    async with db.transaction(actor) as tx:
        return {row["id"]: row for row in await tx.fetch(CALLS, actor.tenant_id, call_ids)}


async def _take(actor: Actor, path: Path, call: asyncpg.Record, done: Swept, *, now: datetime) -> None:
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:  # another sweep was quicker
        return
    with file:
        try:
            sound = await asyncio.to_thread(storing.look, file)
        except wav.NotAWav:
            log.warning("recording_unreadable", tenant_id=str(actor.tenant_id), call_id=str(call["id"]))
            await asyncio.to_thread(path.rename, path.with_name(path.name + UNREADABLE))
            done.unreadable += 1
            return
        done.stored += await storing.put(actor, call, sound, now=now)
    await asyncio.to_thread(path.unlink, missing_ok=True)
