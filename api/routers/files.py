"""Attachments: files on the timelines of contacts and leads, and the short-lived links that open them."""

import asyncio
import json
from hashlib import file_digest
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import File, Form, Query, UploadFile
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import pages
from api.context import context_of
from api.deps import Context, CurrentActor, IdempotencyKey, Now, Router, body_limit, permission, public
from api.idempotent import create
from api.pages import CursorText, Limit
from api.problems import Problem
from api.schemas import Note
from api.schemas.files import AttachmentPage, AttachmentRead, Deletion, LinkRead
from crm import db
from crm.contacts.queries import require_visible
from crm.db import Tx
from crm.files import links, operations, queries
from crm.files.links import BadLink
from crm.files.operations import Where
from crm.files.rules import Class
from crm.users import acting

router = Router(tags=["attachments"])

ROOM = 64 * 1024
"""Bytes a body may have beside its file."""
CONTENT = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "description": "The file.",
    },
    403: {"model": Problem, "description": "The link is not good, or no longer, or not for this person any more."},
}
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""A file is handed over to be kept, never to run here."""

Sent = Annotated[
    UploadFile, File(description="Its content decides what it is: picture, PDF, Word, Excel, text, sound.")
]
Kind = Annotated[Class, Form(alias="class", description="`health` for pictures of a body and findings.")]
Remark = Annotated[Note | None, Form(description="For the timeline; numbers and addresses in it are hidden.")]
Activity = Annotated[UUID | None, Form(description="An activity it belongs to; without one it makes its own.")]


class _Upload(BaseModel):
    """What makes an upload the same as another one."""

    model_config = ConfigDict(frozen=True)

    file: str
    name: str
    kind: Class
    note: str | None
    activity_id: UUID | None


async def _attach(
    request: Request, key: str | None, file: UploadFile, where: Where, kind: Class, note: str | None
) -> Response:
    """Put a file away, hang it on its timeline, and answer with it."""
    context = context_of(request.scope)
    actor, now = context.actor, context.now
    assert actor is not None, "uploading declares a permission"
    digest = (await asyncio.to_thread(file_digest, file.file, "sha256")).hexdigest()
    sent = _Upload(file=digest, name=file.filename or "", kind=kind, note=note, activity_id=where.activity_id)
    async with operations.putting_away(actor, file.file, file.filename, now=now) as stored:

        async def work(tx: Tx) -> Any:
            attachment_id = await operations.attach(tx, stored, where, kind, note=note, now=now)
            return json.loads(await queries.read(tx, attachment_id))

        answer = await create(request, key, sent, work, answer=AttachmentRead)
        stored.is_attached = UUID(json.loads(bytes(answer.body))["id"]) == stored.id
    return answer


@router.post("/leads/{lead_id}/attachments", status_code=201, response_model=AttachmentRead)
@body_limit(operations.LARGEST + ROOM)
@permission("attachment.create")
async def attach_to_lead(
    request: Request,
    lead_id: UUID,
    file: Sent,
    kind: Kind = Class.general,
    note: Remark = None,
    activity_id: Activity = None,
    key: IdempotencyKey = None,
) -> Response:
    """Add a file to a lead's timeline."""
    return await _attach(request, key, file, Where(lead_id=lead_id, activity_id=activity_id), kind, note)


@router.post("/contacts/{contact_id}/attachments", status_code=201, response_model=AttachmentRead)
@body_limit(operations.LARGEST + ROOM)
@permission("attachment.create")
async def attach_to_contact(
    request: Request,
    contact_id: UUID,
    file: Sent,
    kind: Kind = Class.general,
    note: Remark = None,
    activity_id: Activity = None,
    key: IdempotencyKey = None,
) -> Response:
    """Add a file to a person's timeline."""
    return await _attach(request, key, file, Where(contact_id=contact_id, activity_id=activity_id), kind, note)


@router.get("/leads/{lead_id}/attachments", response_model=AttachmentPage)
@permission("attachment.view")
async def list_of_lead(lead_id: UUID, actor: CurrentActor, limit: Limit = 50, cursor: CursorText = None) -> Response:
    """List a lead's files, the latest first; none where one does not see the lead."""
    wanted = queries.Wanted(lead_id=lead_id, limit=limit, cursor=cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.page(tx, wanted)))


@router.get("/contacts/{contact_id}/attachments", response_model=AttachmentPage)
@permission("attachment.view")
async def list_of_contact(
    contact_id: UUID, actor: CurrentActor, limit: Limit = 50, cursor: CursorText = None
) -> Response:
    """List a person's files, as far as one sees their leads, the latest first."""
    wanted = queries.Wanted(contact_id=contact_id, limit=limit, cursor=cursor)

    async def work(tx: Tx) -> Any:
        await require_visible(tx, contact_id)
        return await queries.page(tx, wanted)

    return pages.of_page(await db.run(actor, work))


@router.get("/attachments/{attachment_id}", response_model=AttachmentRead)
@permission("attachment.view")
async def read_attachment(attachment_id: UUID, actor: CurrentActor) -> Response:
    """Return what is known of a file."""
    return pages.of_json(await db.run(actor, lambda tx: queries.read(tx, attachment_id)))


@router.post("/attachments/{attachment_id}/delete", status_code=204)
@permission("attachment.delete")
async def delete_attachment(attachment_id: UUID, body: Deletion, actor: CurrentActor, now: Now) -> Response:
    """Delete a file for good."""
    await db.run(actor, lambda tx: operations.delete(tx, attachment_id, reason=body.reason, now=now))
    return Response(status_code=204)


@router.get("/attachments/{attachment_id}/link")
@permission("attachment.view")
async def link_to(attachment_id: UUID, actor: CurrentActor, now: Now) -> LinkRead:
    """Return an address that opens a file for a few minutes, for whoever asked."""

    async def work(tx: Tx) -> None:
        queries.require_class(tx, await queries.get(tx, attachment_id))

    await db.run(actor, work)
    assert actor.user_id is not None, "who signs in is a person"
    token, expires_at = links.make(actor.tenant_id, actor.user_id, attachment_id, now=now)
    return LinkRead(url=f"/attachments/{attachment_id}/content?token={token}", expires_at=expires_at)


@router.get("/attachments/{attachment_id}/content", response_class=Response, responses=CONTENT)
@public("the link carries a signature: who may open what, until when")
async def read_content(
    attachment_id: UUID, context: Context, token: Annotated[str, Query(min_length=1, max_length=200)]
) -> Response:
    """Return a file. Who opened it, and when, is written down; what the person may by now is asked again."""
    link = links.read(token, attachment_id, now=context.now)
    if context.actor is not None and context.actor.user_id != link.user_id:
        raise BadLink("this link was made for somebody else")
    context.tenant_id = link.tenant_id
    person = await acting.as_now(link.tenant_id, link.user_id, trace_id=context.trace_id)
    if person is None:
        raise BadLink
    opened = await db.run(person, lambda tx: operations.open_file(tx, attachment_id, now=context.now))
    headers = {
        **HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(opened.name)}",
        "Content-Length": str(opened.size),
    }
    return StreamingResponse(await operations.content(opened), media_type=opened.content_type, headers=headers)
