"""One import of one file: begun or resumed, taken chunk by chunk, finished; and what it left to be mended.

Each chunk is one transaction: leads, rejections, counts, which rows are done. Whatever dies in between, the same file
with the same mapping goes on with the rows that are not.
"""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from crm import audit, db, errors, events, ids, vault
from crm.db import Tx, to_json
from crm.imports import faults
from crm.imports import mapping as mappings
from crm.imports.chunks import Chunk, Rejection, Row
from crm.imports.parts import FileMapping
from crm.operation import operation

MOST_NOTED = 200
"""Different unmapped values a run remembers."""


UNSTORABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, asyncpg.CheckViolationError)
"""What the database says when a row cannot be stored as it is, whoever sends it."""

T = TypeVar("T")
S = TypeVar("S")


class RunNotFound(errors.NotFound):
    """There is no such import."""

    code = "import.not_found"


class Overtaken(errors.Conflict):
    """Another process is importing this same file; let it finish, then run this again."""

    code = "import.overtaken"
    retryable = True


@dataclass(slots=True)
class Counts:
    """Rows so far: read = created + merged + unchanged + rejected."""

    read: int = 0
    created: int = 0
    merged: int = 0
    unchanged: int = 0
    rejected: int = 0

    def add(self, other: "Counts") -> None:
        """Add another count to this one."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass(slots=True)
class Run:
    """One import as it stands. `done`: rows stored, as ranges without their ends.

    `unmapped` counts status values that no table knew: column → value → rows.
    """

    id: UUID
    mapping: FileMapping
    columns: list[str]
    done: list[tuple[int, int]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    unmapped: dict[str, dict[str, int]] = field(default_factory=dict)

    def note(self, found: Counter[tuple[str, str]]) -> None:
        """Remember unmapped values, scrubbed; beyond `MOST_NOTED` different ones they count together."""
        for (column, value), count in found.items():
            of_column = self.unmapped.setdefault(column, {})
            shown = vault.scrub(value)
            shown = shown if shown in of_column or len(of_column) < MOST_NOTED else "…"
            of_column[shown] = of_column.get(shown, 0) + count

    @property
    def notes(self) -> dict[str, Any]:
        """What is kept with the run beside its counts."""
        return {"columns": self.columns, "unmapped": self.unmapped}


def file_digest(tenant_id: UUID, sha256: str) -> bytes:
    """Return the tenant's keyed hash under which a file is recognised, from the SHA-256 of its bytes."""
    return vault.blind_index(tenant_id, "file", sha256)


@asynccontextmanager
async def alone(tenant_id: UUID, digest: bytes, *, wait: bool) -> AsyncIterator[bool]:
    """Hold the right to import one file; the database gives it back when this process dies.

    Yields False at once when another process holds it and `wait` is false.
    """
    key = int.from_bytes(hashlib.sha256(tenant_id.bytes + digest).digest()[:8], "big", signed=True)
    async with db.engine().connect() as connection:
        driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
        held = await driver.fetchval("select pg_try_advisory_lock($1::bigint)", key)
        if not held and wait:
            held = await driver.fetchval("select true from pg_advisory_lock($1::bigint)", key)
        try:
            yield held
        finally:
            if held and not driver.is_closed():
                await driver.execute("select pg_advisory_unlock($1::bigint)", key)


UNFINISHED = """
select id, done, read, created, merged, unchanged, rejected, notes
  from crm.import_run
 where tenant_id = $1::uuid and content_hash = $2::bytea and mapping = $3::jsonb and not is_dry_run
   and status <> 'done'
 order by created_at desc limit 1
"""


@operation("import.run")
async def begin(
    tx: Tx, mapping: FileMapping, *, file_name: str, digest: bytes, columns: Sequence[str], now: datetime
) -> Run:
    """Return the unfinished run of the same file and mapping, or a new one. Call it while `alone`."""
    given = mapping.model_dump(mode="json")
    row = await tx.fetchrow(UNFINISHED, tx.actor.tenant_id, digest, to_json(given))
    if row is not None:
        tx.unchanged()
        return _run(row, mapping, columns)
    run = Run(ids.new(), mapping, list(columns))
    await insert(tx, run, file_name=file_name, digest=digest, status="running", now=now)
    return run


async def insert(
    tx: Tx, run: Run, *, file_name: str, digest: bytes, status: str, is_dry_run: bool = False, now: datetime
) -> None:
    """Write a new run with its event and audit row."""
    await tx.execute(
        "insert into crm.import_run (tenant_id, id, source, file_name, content_hash, mapping, status, is_dry_run,"
        " notes, created_by, created_at, updated_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::text, $5::bytea, $6::jsonb,"
        " $7::text, $8::boolean, $9::jsonb, $10::uuid, $11::timestamptz, $11::timestamptz)",
        tx.actor.tenant_id, run.id, run.mapping.source, file_name, digest,
        to_json(run.mapping.model_dump(mode="json")), status, is_dry_run, to_json(run.notes), tx.actor.user_id, now,
    )  # fmt: skip
    told = {"source": run.mapping.source, "is_dry_run": is_dry_run}
    await trace(tx, run.id, "import.started", told, at=now)


async def trace(tx: Tx, run_id: UUID, happened: str, told: Mapping[str, Any], *, at: datetime) -> None:
    """Write the event, and for a person the audit row."""
    await events.record(tx, "import", run_id, happened, told, at=at)
    await audit.of_person(tx, happened, "import_run", run_id, told, at=at)


def _run(row: asyncpg.Record, mapping: FileMapping, columns: Sequence[str]) -> Run:
    counts = Counts(row["read"], row["created"], row["merged"], row["unchanged"], row["rejected"])
    done = [(each.lower, each.upper) for each in row["done"]]
    return Run(row["id"], mapping, list(columns), done, counts, row["notes"].get("unmapped", {}))


ADVANCE = """
update crm.import_run
   set status = 'running', done = done + int4multirange(int4range($3::int, $4::int)), read = $5::int, created = $6::int,
       merged = $7::int, unchanged = $8::int, rejected = $9::int, notes = $10::jsonb, updated_at = $11::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""


async def advance(tx: Tx, run: Run, counts: Counts, chunk: Chunk, *, now: datetime) -> Run:
    """Note that a chunk is done and return the run as it stands then. Chunks stored side by side meet here, in turn.

    :raises Overtaken: when rows of it were done before.
    """
    row = await tx.fetchrow(
        f"select {COLUMNS}, done && int4multirange(int4range($3::int, $4::int)) or status = 'done' as is_past"
        " from crm.import_run where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, run.id, chunk.first, chunk.next,
    )  # fmt: skip
    if row is None or row["is_past"]:
        raise Overtaken
    after = moved(_run(row, run.mapping, run.columns), counts, chunk)
    total = after.counts
    await tx.execute(
        ADVANCE, tx.actor.tenant_id, run.id, chunk.first, chunk.next, total.read, total.created, total.merged,
        total.unchanged, total.rejected, to_json(after.notes), now,
    )  # fmt: skip
    await trace(tx, run.id, "import.advanced", asdict(total), at=now)
    return after


def moved(run: Run, counts: Counts, chunk: Chunk) -> Run:
    """Return the run as it stands after a chunk."""
    total = Counts(**asdict(run.counts))
    total.add(counts)
    unmapped = {column: dict(values) for column, values in run.unmapped.items()}
    after = Run(run.id, run.mapping, run.columns, [*run.done, (chunk.first, chunk.next)], total, unmapped)
    after.note(chunk.unmapped)
    return after


async def halving(
    tx: Tx, rows: Sequence[Row], prepared: Sequence[T], store: Callable[[Sequence[T]], Awaitable[Sequence[S]]]
) -> list[tuple[Row, T, S | str]]:
    """Store rows, in halves where the database refuses one among them; a refused one comes back with a sentence."""
    if not rows:
        return []
    await tx.execute("savepoint rows")
    try:
        stored = await store(prepared)
    except UNSTORABLE as error:
        await tx.execute("rollback to savepoint rows")
        if len(rows) == 1:
            return [(rows[0], prepared[0], f"the database cannot hold it ({type(error).__name__})")]
        half = len(rows) // 2
        first = await halving(tx, rows[:half], prepared[:half], store)
        return first + await halving(tx, rows[half:], prepared[half:], store)
    await tx.execute("release savepoint rows")
    return list(zip(rows, prepared, stored, strict=True))


async def reject(tx: Tx, run_id: UUID, rejections: Sequence[Rejection], *, now: datetime) -> None:
    """Keep rejected rows, sealed under one key for the chunk."""
    if not rejections:
        return
    key = (await vault.take(tx.actor.tenant_id))[0]
    await tx.execute(
        "insert into crm.import_rejection (tenant_id, import_id, row_no, key_id, sealed, errors, codes, created_at)"
        " select $1::uuid, $2::uuid, n, $3::uuid, sealed, faults, string_to_array(codes, ' '), $4::timestamptz"
        " from unnest($5::int[], $6::bytea[], $7::jsonb[], $8::text[]) as r(n, sealed, faults, codes)",
        tx.actor.tenant_id, run_id, key.id, now,
        [each.number for each in rejections],
        # Plain ASCII: cells may hold what is no text at all, and come back as they were.
        [key.seal(json.dumps(each.cells)) for each in rejections],
        [to_json(each.faults) for each in rejections],
        [" ".join(faults.codes(each.faults)) for each in rejections],
    )  # fmt: skip


@operation("import.run")
async def finish(tx: Tx, run: Run, *, now: datetime) -> None:
    """Close a run whose file is read to the end; an uploaded file is thrown away."""
    await tx.execute(
        "update crm.import_run set status = 'done', finished_at = $3::timestamptz, updated_at = $3::timestamptz,"
        " last_error = null where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, run.id, now,
    )  # fmt: skip
    await tx.execute(
        "delete from crm.import_upload where tenant_id = $1::uuid and import_id = $2::uuid", tx.actor.tenant_id, run.id
    )
    await trace(tx, run.id, "import.finished", asdict(run.counts), at=now)


COLUMNS = """
id, source, file_name, status, is_dry_run, done, read, created, merged, unchanged, rejected, notes, mapping,
last_error, created_by, created_at, updated_at, finished_at
"""


async def get(tx: Tx, run_id: UUID) -> asyncpg.Record:
    """Return the row of one run.

    :raises RunNotFound: when there is none.
    """
    row = await tx.fetchrow(
        f"select {COLUMNS} from crm.import_run where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, run_id
    )
    if row is None:
        raise RunNotFound
    return row


async def page(tx: Tx, *, after: UUID | None = None, limit: int) -> list[asyncpg.Record]:
    """Return runs, latest first, after one in that order."""
    return await tx.fetch(
        f"select {COLUMNS} from crm.import_run where tenant_id = $1::uuid and ($2::uuid is null or id < $2::uuid)"
        " order by id desc limit $3::int",
        tx.actor.tenant_id, after, limit,
    )  # fmt: skip


def of_row(row: Mapping[str, Any]) -> Run:
    """Return the run that a row of `import_run` describes."""
    mapping = mappings.of(row["mapping"])
    return _run(row, mapping, row["notes"].get("columns", []))
