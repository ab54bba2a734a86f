"""Running a file through the import: the next chunk is read and sealed while the database stores this one."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

import asyncpg
from sqlalchemy.exc import DBAPIError

from crm import clock, db, errors, ids, jobs, vault
from crm.actor import Actor
from crm.imports import chunks, kinds, runs, uploads
from crm.imports.cells import BadFile, RowReader
from crm.imports.chunks import Chunk, Draft, Rejection
from crm.imports.kinds import Kind
from crm.imports.parts import FileMapping
from crm.imports.rehearsal import keys as throwaway_keys
from crm.imports.runs import Run
from ingestion.files import reading
from ingestion.files.reading import Table

RARELY = (200_000, 20, 20)
"""Garbage collection while chunks pass: each is many objects that live until it is stored, and none of them in a cycle.
Looking for cycles among them takes a fifth of an import's time."""

Now = Callable[[], datetime]
Progress = Callable[[Run], None]


class Interrupted(errors.Unavailable):
    """The database went away. What was stored stays stored: run the same again and it goes on from there."""

    code = "import.interrupted"


class Busy(errors.Conflict):
    """Another process is importing this same file."""

    code = "import.busy"
    retryable = True


class Sink(Protocol):
    """Where chunks go: into the database, or into a rehearsal."""

    run: Run
    kind: Kind
    lanes: int
    """How many chunks may be under way at once."""

    async def known(self, draft: Draft) -> dict[str, bytes]:
        """Return which outside ids of a draft exist, each with the hash of its content."""

    async def keys(self, how_many: int) -> list[vault.DataKey]:
        """Return keys to seal people's data under."""

    async def take(self, chunk: Chunk, known: dict[str, bytes]) -> None:
        """Take one chunk and move `run` on."""


class Storing:
    """Stores chunks, two side by side: while one waits for the other's core, disk or Python, nothing stands still."""

    lanes = 2

    def __init__(self, actor: Actor, run: Run, now: Now) -> None:
        self.run = run
        self.kind = kinds.of(run.mapping)
        self._actor = actor
        self._now = now
        self._unfinished: dict[int, frozenset[str]] = {}

    async def known(self, draft: Draft) -> dict[str, bytes]:
        """Return what is stored of a draft; what unfinished chunks bring is left to the storing statement to see."""
        outside_ids = frozenset(row.outside_id for row in draft.rows)
        wanted = outside_ids.difference(*self._unfinished.values())
        self._unfinished[draft.first] = outside_ids
        async with db.transaction(self._actor) as tx:
            return await self.kind.known(tx, self.run.mapping.source, wanted)

    async def keys(self, how_many: int) -> list[vault.DataKey]:
        """Return fresh keys, committed in the keys database."""
        return await vault.take(self._actor.tenant_id, how_many) if how_many else []

    async def take(self, chunk: Chunk, known: dict[str, bytes]) -> None:
        """Store one chunk and note that it is done."""
        now = self._now()
        after = await db.run(self._actor, lambda tx: self.kind.take(tx, self.run, chunk, now=now))
        del self._unfinished[chunk.first]
        if after.counts.read > self.run.counts.read:
            self.run = after


class Rehearsing:
    """Counts chunks in step and keeps what is rejected, in memory: what a chunk brings is known before the next."""

    lanes = 1

    def __init__(self, actor: Actor, run: Run) -> None:
        self.run = run
        self.kind = kinds.of(run.mapping)
        self.rejections: list[Rejection] = []
        self._actor = actor
        self._rehearsal = self.kind.rehearsal()
        self._in_step = asyncio.Lock()

    async def known(self, draft: Draft) -> dict[str, bytes]:
        """Return what is stored of a draft or was rehearsed before, once the draft before it is taken."""
        await self._in_step.acquire()
        async with db.transaction(self._actor) as tx:
            stored = await self.kind.known(tx, self.run.mapping.source, [row.outside_id for row in draft.rows])
        return stored | self._rehearsal.known(draft)

    async def keys(self, how_many: int) -> list[vault.DataKey]:
        """Return keys that exist nowhere else."""
        return throwaway_keys(self._actor.tenant_id, how_many)

    async def take(self, chunk: Chunk, known: dict[str, bytes]) -> None:
        """Count one chunk."""
        async with db.transaction(self._actor) as tx:
            counts = await self._rehearsal.take(tx, chunk, known)
        self._in_step.release()
        self.rejections += chunk.rejections
        self.run = runs.moved(self.run, counts, chunk)


async def _chunks(
    actor: Actor, sink: Sink, reader: RowReader, table: Table, now: Now
) -> AsyncIterator[tuple[Chunk, dict[str, bytes]]]:
    """Yield a file's chunks; the next one is made while the caller is busy with one."""
    drafts = chunks.drafts(reader, table.rows, done=sink.run.done)

    async def make() -> tuple[Chunk, dict[str, bytes]] | None:
        draft = await asyncio.to_thread(next, drafts, None)
        if draft is None:
            return None
        known = await sink.known(draft)
        wanted = chunks.fresh(draft, known)
        keys = await sink.keys(len(wanted) * sink.kind.keys)
        return await asyncio.to_thread(sink.kind.seal, actor.tenant_id, reader, draft, wanted, keys, now=now()), known

    coming = asyncio.create_task(make())
    try:
        while (made := await coming) is not None:
            coming = asyncio.create_task(make())
            yield made
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, Exception):  # the error that ended us is the one to tell
            await coming


async def pump(actor: Actor, sink: Sink, reader: RowReader, table: Table, *, now: Now, progress: Progress) -> None:
    """Send the rows of a file that are not done to a sink.

    Chunks that share an outside id, a phone or an e-mail go one after the other, in the order of the file.
    """
    progress(sink.run)
    under_way: dict[asyncio.Task[None], frozenset[str | bytes]] = {}

    async def one_ends() -> None:
        ended, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            del under_way[task]
            task.result()
        progress(sink.run)

    collecting = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        async for chunk, known in _chunks(actor, sink, reader, table, now):
            touches = chunk.touches
            while len(under_way) >= sink.lanes or not touches.isdisjoint(frozenset().union(*under_way.values())):
                await one_ends()
            under_way[asyncio.create_task(sink.take(chunk, known))] = touches
        while under_way:
            await one_ends()
    finally:
        gc.set_threshold(*collecting)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def import_file(
    actor: Actor,
    file: BinaryIO,
    file_name: str,
    mapping: FileMapping,
    *,
    wait: bool = True,
    now: Now = clock.utc_now,
    progress: Progress = lambda run: None,
    opened: Callable[[Table], None] = lambda table: None,
) -> Run:
    """Import a file and return the finished run; an unfinished run of the same file and mapping goes on.

    :raises BadFile: when the file cannot be read with the mapping.
    :raises Busy: when another process imports it and `wait` is false.
    :raises Interrupted: when the database goes away.
    """
    with interruptions():
        digest = runs.file_digest(actor.tenant_id, reading.digest(file))
        async with runs.alone(actor.tenant_id, digest, wait=wait) as held:
            if not held:
                raise Busy
            table = reading.table(file, mapping)
            opened(table)
            await make_reader(actor, mapping, table)  # a file that does not fit begins no run
            run = await db.run(
                actor,
                lambda tx: runs.begin(tx, mapping, file_name=file_name, digest=digest, columns=table.header, now=now()),
            )
            return await proceed(actor, run, table, now=now, progress=progress)


async def proceed(actor: Actor, run: Run, table: Table, *, now: Now, progress: Progress) -> Run:
    """Take a run from its next row to the end of its file. Call it while `runs.alone`."""
    sink = Storing(actor, run, now)
    reader = await make_reader(actor, run.mapping, table, run=run)
    await pump(actor, sink, reader, table, now=now, progress=progress)
    await db.run(actor, lambda tx: runs.finish(tx, sink.run, now=now()))
    return sink.run


async def rehearse(
    actor: Actor,
    file: BinaryIO,
    mapping: FileMapping,
    *,
    now: Now = clock.utc_now,
    progress: Progress = lambda run: None,
    opened: Callable[[Table], None] = lambda table: None,
) -> tuple[Run, list[Rejection]]:
    """Return what importing a file would come to, and the rows it would reject; nothing is written.

    :raises BadFile: when the file cannot be read with the mapping.
    """
    with interruptions():
        table = reading.table(file, mapping)
        opened(table)
        sink = Rehearsing(actor, Run(ids.new(), mapping, table.header))
        reader = await make_reader(actor, mapping, table)
        await pump(actor, sink, reader, table, now=now, progress=progress)
        return sink.run, sink.rejections


@jobs.task(uploads.TASK)
async def import_upload(actor: Actor, *, import_id: UUID) -> None:
    """Import an uploaded file for the person who sent it; run again after a crash, it goes on."""
    row, file = await uploads.content(actor, import_id)
    if row["status"] in ("done", "failed"):
        return
    sender = replace(actor, user_id=row["created_by"])
    run, now = runs.of_row(row), clock.utc_now
    try:
        if row["is_dry_run"]:
            rehearsal, rejections = await rehearse(sender, file, run.mapping)
            rehearsal.id = import_id
            await db.run(sender, lambda tx: uploads.rehearsed(tx, rehearsal, rejections, now=now()))
            return
        table = reading.table(file, run.mapping)
        await make_reader(sender, run.mapping, table)
        run.columns = table.header
        digest = runs.file_digest(actor.tenant_id, reading.digest(file))
        async with runs.alone(actor.tenant_id, digest, wait=True):
            await db.run(sender, lambda tx: uploads.open_run(tx, run, now=now()))
            await proceed(sender, run, reading.table(file, run.mapping), now=now, progress=lambda run: None)
    except BadFile as error:
        refusal = error
        await db.run(sender, lambda tx: uploads.refuse(tx, import_id, refusal, now=now()))


async def make_reader(actor: Actor, mapping: FileMapping, table: Table, *, run: Run | None = None) -> RowReader:
    """Return the reader of a file for the actor's tenant.

    :raises BadFile: when the file lacks columns that the mapping names.
    """
    async with db.transaction(actor) as tx:
        country = await tx.fetchval("select country from crm.tenant where tenant_id = $1::uuid", actor.tenant_id)

    def digest(content: str) -> bytes:
        return vault.blind_index(actor.tenant_id, "import", content)

    return kinds.reader(mapping, table.header, digest=digest, country=country or "TR", import_id=run and run.id)


GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    DBAPIError,
    OSError,
)
"""How a server that goes away shows itself, depending on what was being said to it just then."""


@contextmanager
def interruptions() -> Iterator[None]:
    """Say that the database went away in one sentence instead of a driver's error."""
    try:
        yield
    except GONE as error:
        raise Interrupted from error
