"""Files that came over HTTP: sealed in the transaction that starts their run, imported by a worker, thrown away."""

import asyncio
import hashlib
import io
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import db, errors, ids, jobs, vault
from crm.actor import Actor
from crm.db import Tx
from crm.imports import runs
from crm.imports.chunks import Rejection
from crm.imports.parts import FileMapping
from crm.imports.runs import Run
from crm.operation import operation

LARGEST = 64 * 1024**2
"""Bytes of a file that may be uploaded."""
PART = 1024**2
TASK = "import.run"
"""The job that a worker does for each upload; its one argument is `import_id`."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file received: its name, the SHA-256 of its bytes in hex, and the bytes sealed in parts under one key."""

    file_name: str
    sha256: str
    key_id: UUID
    parts: Sequence[bytes]


async def seal(tenant_id: UUID, file_name: str, content: bytes) -> Upload:
    """Return a file ready to be stored."""
    key = (await vault.take(tenant_id))[0]

    def work() -> Upload:
        parts = [key.seal(b64encode(content[at : at + PART]).decode()) for at in range(0, len(content), PART)]
        return Upload(file_name, hashlib.sha256(content).hexdigest(), key.id, parts)

    return await asyncio.to_thread(work)


@operation("import.run")
async def queue(tx: Tx, upload: Upload, mapping: FileMapping, *, is_dry_run: bool, now: datetime) -> UUID:
    """Store an upload and want its import; return the import's id."""
    run = Run(ids.new(), mapping, [])
    digest = runs.file_digest(tx.actor.tenant_id, upload.sha256)
    await runs.insert(
        tx, run, file_name=upload.file_name, digest=digest, status="queued", is_dry_run=is_dry_run, now=now
    )
    await tx.execute(
        "insert into crm.import_upload (tenant_id, import_id, part_no, key_id, sealed)"
        " select $1::uuid, $2::uuid, n, $3::uuid, sealed from unnest($4::bytea[]) with ordinality as p(sealed, n)",
        tx.actor.tenant_id, run.id, upload.key_id, upload.parts,
    )  # fmt: skip
    await jobs.defer(tx, TASK, lock=f"import-{digest.hex()}", import_id=run.id)
    return run.id


async def content(actor: Actor, import_id: UUID) -> tuple[asyncpg.Record, io.BytesIO]:
    """Return an upload's run and its file.

    :raises runs.RunNotFound: when there is no such import.
    """
    async with db.transaction(actor) as tx:
        row = await runs.get(tx, import_id)
        parts = await tx.fetch(
            "select key_id, sealed from crm.import_upload"
            " where tenant_id = $1::uuid and import_id = $2::uuid order by part_no",
            actor.tenant_id, import_id,
        )  # fmt: skip
    keys = await vault.find(actor.tenant_id, {part["key_id"] for part in parts})
    return row, io.BytesIO(b"".join(b64decode(keys[part["key_id"]].open(part["sealed"])) for part in parts))


async def _discard(tx: Tx, import_id: UUID) -> None:
    await tx.execute(
        "delete from crm.import_upload where tenant_id = $1::uuid and import_id = $2::uuid",
        tx.actor.tenant_id, import_id,
    )  # fmt: skip


@operation("import.run")
async def open_run(tx: Tx, run: Run, *, now: datetime) -> None:
    """Note that a worker has opened a queued upload and what its columns are."""
    await tx.execute(
        "update crm.import_run set status = 'running', notes = notes || $3::jsonb, updated_at = $4::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, run.id, db.to_json(run.notes), now,
    )  # fmt: skip
    await runs.trace(tx, run.id, "import.opened", {}, at=now)


@operation("import.run")
async def rehearsed(tx: Tx, run: Run, rejections: Sequence[Rejection], *, now: datetime) -> None:
    """Keep the numbers of a dry run and its rejected rows, and throw its file away."""
    counts = run.counts
    await tx.execute(
        "delete from crm.import_rejection where tenant_id = $1::uuid and import_id = $2::uuid",
        tx.actor.tenant_id,
        run.id,
    )
    await runs.reject(tx, run.id, rejections, now=now)
    await tx.execute(
        "update crm.import_run set status = 'done', read = $3::int, created = $4::int,"
        " merged = $5::int, unchanged = $6::int, rejected = $7::int, notes = $8::jsonb, updated_at = $9::timestamptz,"
        " finished_at = $9::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, run.id, counts.read, counts.created, counts.merged, counts.unchanged,
        counts.rejected, db.to_json(run.notes), now,
    )  # fmt: skip
    await _discard(tx, run.id)
    await runs.trace(tx, run.id, "import.finished", {"is_dry_run": True}, at=now)


@operation("import.run")
async def refuse(tx: Tx, import_id: UUID, error: errors.CrmError, *, now: datetime) -> None:
    """Note that a file cannot be read with its mapping, and throw it away."""
    await tx.execute(
        "update crm.import_run set status = 'failed', last_error = $3::text, updated_at = $4::timestamptz,"
        " finished_at = $4::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, import_id, str(error), now,
    )  # fmt: skip
    await _discard(tx, import_id)
    await runs.trace(tx, import_id, "import.failed", {"code": error.code}, at=now)
