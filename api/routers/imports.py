"""Imports: files of leads and of past calls, uploaded now, stored by a worker; how far they are, what they left."""

import json
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Query, UploadFile
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.context import context_of
from api.deps import CurrentActor, IdempotencyKey, Now, Router, body_limit, permission
from api.idempotent import create
from api.schemas.imports import ImportPage, ImportRead
from crm import cursors, db
from crm.db import Tx
from crm.imports import mapping as mappings
from crm.imports import reports, runs, uploads

router = Router("/import")

REPORT = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The rejected rows."}}
ROOM = 64 * 1024
"""Bytes a body may have beside its file."""


class _Sent(BaseModel):
    """What makes an upload the same as another one."""

    file: str
    mapping: str
    dry_run: bool


Content = Annotated[UploadFile, File(description="CSV, TSV or Excel; its first row names the columns.")]
ByMapping = Annotated[
    str, Form(min_length=1, max_length=50_000, description="The name of a mapping that comes along, or one in YAML.")
]
DryRun = Annotated[bool, Form(description="Count and report, and store nothing.")]


@router.post("/leads", status_code=202, response_model=ImportRead)
@body_limit(uploads.LARGEST + ROOM)
@permission("import.run")
async def import_leads(
    request: Request, file: Content, mapping: ByMapping, dry_run: DryRun = False, key: IdempotencyKey = None
) -> Response:
    """Take a file of leads; a worker stores it. Follow it at the address in `Location`."""
    return await _take(request, "leads", file, mapping, dry_run=dry_run, key=key)


@router.post("/calls", status_code=202, response_model=ImportRead)
@body_limit(uploads.LARGEST + ROOM)
@permission("import.run")
async def import_calls(
    request: Request, file: Content, mapping: ByMapping, dry_run: DryRun = False, key: IdempotencyKey = None
) -> Response:
    """Take a file of calls that another system handled; a worker stores them as history. Follow it like leads."""
    return await _take(request, "calls", file, mapping, dry_run=dry_run, key=key)


async def _take(
    request: Request, kind: str, file: UploadFile, mapping: str, *, dry_run: bool, key: str | None
) -> Response:
    """Store an upload and want its import."""
    context = context_of(request.scope)
    actor, now = context.actor, context.now
    assert actor is not None, "uploading declares a permission"
    named = mappings.NAME.fullmatch(mapping)
    plan = mappings.require_kind(mappings.named(mapping) if named else mappings.parse(mapping), kind)
    content = await file.read()
    name = (file.filename or "file").replace("\x00", "")[:200]
    sent = _Sent(file=sha256(content).hexdigest(), mapping=mapping, dry_run=dry_run)
    upload = await uploads.seal(actor.tenant_id, name, content)

    async def work(tx: Tx) -> ImportRead:
        return ImportRead.of(await runs.get(tx, await uploads.queue(tx, upload, plan, is_dry_run=dry_run, now=now)))

    answer = await create(request, key, sent, work, answer=ImportRead, status=202)
    answer.headers["Location"] = f"/import/{json.loads(bytes(answer.body))['id']}"
    return answer


@router.get("")
@permission("import.view")
async def list_imports(
    actor: CurrentActor,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=1000)] = "",
) -> ImportPage:
    """List imports, the latest first."""
    here = {"purpose": "imports", "tenant_id": actor.tenant_id, "bound_to": ""}
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(actor, lambda tx: runs.page(tx, after=after, limit=limit + 1))
    items = [ImportRead.of(row) for row in rows[:limit]]
    following = cursors.sign(items[-1].id, **here) if len(rows) > limit else None
    return ImportPage(items=items, next_cursor=following)


@router.get("/{import_id}")
@permission("import.view")
async def read_import(import_id: UUID, actor: CurrentActor) -> ImportRead:
    """Return one import as it stands."""
    return ImportRead.of(await db.run(actor, lambda tx: runs.get(tx, import_id)))


@router.get("/{import_id}/report", response_class=Response, responses=REPORT)
@permission("import.view")
async def read_report(import_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Return the rejected rows as CSV, with what is wrong in the column `error`: mend it and send it like the file.

    Who sent the file gets the rows as they were; for others (but administrators) numbers and addresses are hidden.
    """
    run, clear = await db.run(actor, lambda tx: reports.consult(tx, import_id, now=now))
    lines = reports.as_csv(run, reports.rejected(actor, import_id), clear=clear)
    headers = {"Content-Disposition": f'attachment; filename="import-{import_id}.rejected.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)
