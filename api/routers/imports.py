"""Imports: files of leads, uploaded now and stored by a worker; how far they are, and what they could not take."""

import json
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Query, UploadFile
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

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


@router.post("/leads", status_code=202, response_model=ImportRead)
@body_limit(uploads.LARGEST + ROOM)
@permission("import.run")
async def import_leads(
    request: Request,
    actor: CurrentActor,
    now: Now,
    file: Annotated[UploadFile, File(description="CSV or Excel; its first row names the columns.")],
    mapping: Annotated[
        str,
        Form(min_length=1, max_length=50_000, description="The name of a mapping that comes along, or one in YAML."),
    ],
    dry_run: Annotated[bool, Form(description="Count and report, and store nothing.")] = False,
    key: IdempotencyKey = None,
) -> Response:
    """Take a file of leads; a worker stores it. Follow it at the address in `Location`."""
    plan = mappings.named(mapping) if mappings.NAME.fullmatch(mapping) else mappings.parse(mapping)
    mappings.require_kind(plan, "leads")
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
