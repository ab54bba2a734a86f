"""Call detail records: lists, one call, exports; what is said of a call; its recordings. No number is anywhere here."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query
from starlette.responses import Response, StreamingResponse

from api import pages
from api.context import RequestContext
from api.deps import Context, CurrentActor, Now, Router, permission, public
from api.language import Language
from api.problems import Problem
from api.schemas.cdr import (
    CdrPage,
    CdrQuery,
    CdrRead,
    Choice,
    Choices,
    ExportQuery,
    PlayLink,
    Reason,
    Refusal,
    Said,
    Say,
    WrapUntil,
)
from api.schemas.lead_lists import FilterRead
from crm import db, errors, filtering
from crm.actor import Actor
from crm.callbacks import wished
from crm.calls import catalogue, cdr, tables, wrapping
from crm.calls.cdr import FIELDS
from crm.db import Tx
from crm.recordings import links, operations, queries
from crm.recordings.links import BadLink
from crm.users import acting
from crm.visibility import ANY as VIEW

router = Router("/cdr", tags=["calls"])

FILES = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
        "description": "The records.",
    }
}
SOUND = {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}
CONTENT = {
    200: {"content": SOUND, "description": "The recording."},
    206: {"content": SOUND, "description": "The part of it that was asked for."},
    403: {"model": Problem, "description": "The link is not good, or not for this person any more."},
    410: {"model": Problem, "description": "The link was used, its minute is over, or the recording is gone."},
}
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": 'inline; filename="recording.wav"',
    "Accept-Ranges": "bytes",
}
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@router.get("", response_model=CdrPage)
@permission(*VIEW)
async def list_calls(wanted: Annotated[CdrQuery, Query()], actor: CurrentActor, now: Now) -> Response:
    """List the calls one sees, page by page; what happens meanwhile neither repeats nor hides one."""
    clauses = filtering.parse_all(wanted.filter, FIELDS)
    question = cdr.Wanted(clauses, wanted.sort, wanted.limit, wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: cdr.page(tx, question, now=now)))


@router.get("/filters")
@permission(*VIEW)
async def read_filters(actor: CurrentActor, language: Language) -> list[FilterRead]:
    """Return what the list can be filtered by."""
    return [
        FilterRead(
            name=name, label=field.en if language == "en" else field.tr, labels={"tr": field.tr, "en": field.en},
            type=field.kind.name, operators=[str(each) for each in field.operators], words=list(field.words),
            choices=list(field.choices), in_body_only=field.is_personal,
        )
        for name, field in FIELDS.items()
        if field.permission is None or actor.may(field.permission)
    ]  # fmt: skip


@router.get("/export", response_class=Response, responses=FILES)
@permission("cdr.export")
async def export_calls(wanted: Annotated[ExportQuery, Query()], actor: CurrentActor, now: Now) -> Response:
    """Return the records of the calls one sees as a file: CSV, or Parquet. That it was taken along is audited."""
    clauses = filtering.parse_all(wanted.filter, FIELDS)
    rows = await db.run(actor, lambda tx: cdr.export(tx, clauses, now=now))
    headers = {"Content-Disposition": f'attachment; filename="cdr.{wanted.format}"'}
    if wanted.format == "parquet":
        content = await asyncio.to_thread(tables.as_parquet, rows)
        return Response(content, headers=headers, media_type="application/vnd.apache.parquet")
    return StreamingResponse(tables.as_csv(rows), headers=headers, media_type="text/csv")


@router.get("/recordings/{recording_id}/audio", response_class=Response, responses=CONTENT)
@public("the link carries a signature: who may play what, once, until when")
async def play(
    recording_id: UUID,
    context: Context,
    token: Annotated[str, Query(min_length=1, max_length=200)],
    range: Annotated[str | None, Header(max_length=100)] = None,
) -> Response:
    """Play a recording, all of it or the one part that `Range` names; the link is used up by it."""
    tenant_id, link_id = links.read(token)
    context.tenant_id = tenant_id
    person = await _listener(tenant_id, link_id, context)
    opened = await db.run(person, lambda tx: operations.use(tx, link_id, recording_id, now=context.now))
    first, last = part_of(range, opened.size)
    sound = await operations.content(opened, first=first, last=last)
    headers = {**HEADERS, "Content-Length": str(last + 1 - first)}
    if last + 1 - first == opened.size:
        return _stream(sound, 200, headers)
    return _stream(sound, 206, {**headers, "Content-Range": f"bytes {first}-{last}/{opened.size}"})


def _stream(sound: AsyncIterator[bytes], status: int, headers: dict[str, str]) -> Response:
    return StreamingResponse(sound, status, headers, media_type="audio/wav")


def part_of(asked: str | None, size: int) -> tuple[int, int]:
    """Return the first and the last byte of the one part that a `Range` header names (RFC 9110, 14.2).

    A header of another form, of several parts, or beyond the end asks for the whole.
    """
    found = RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or not (found[1] or found[2]):
        return 0, size - 1
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    else:
        first, last = max(0, size - int(found[2])), size - 1
    return (first, last) if first <= last else (0, size - 1)


async def _listener(tenant_id: UUID, link_id: UUID, context: RequestContext) -> Actor:
    """Return the person a link was made for, as they are now.

    :raises BadLink: when it was made for somebody else, or they no longer work here.
    """
    system = Actor.system(tenant_id, trace_id=context.trace_id)
    user_id = await db.run(system, lambda tx: operations.owner_of(tx, link_id))
    if user_id is None or (context.actor is not None and context.actor.user_id != user_id):
        raise BadLink
    person = await acting.as_now(tenant_id, user_id, trace_id=context.trace_id)
    if person is None:
        raise BadLink
    return person


@router.get("/{call_id}")
@permission(*VIEW)
async def read_record(call_id: UUID, actor: CurrentActor) -> CdrRead:
    """Return a call with its steps, legs, stays in queues, what was asked of the exchange, and its recordings."""

    async def work(tx: Tx) -> dict[str, Any]:
        return {**await cdr.read(tx, call_id), "recordings": await queries.of_call(tx, call_id)}

    return CdrRead.model_validate(await db.run(actor, work))


@router.get("/{call_id}/dispositions")
@permission(*VIEW)
async def read_choices(call_id: UUID, actor: CurrentActor, now: Now, language: Language) -> Choices:
    """Return what may be said of a call: the dispositions of its process, or the firm's."""

    async def work(tx: Tx) -> Any:
        record = await cdr.read(tx, call_id)
        return await catalogue.of(tx, record["process_version_id"], at=now)

    found = await db.run(actor, work)
    return Choices(
        items=[
            Choice(
                code=code, label=each.labels.by(language), labels=each.labels.model_dump(),
                lead_status=each.status and each.status.value, at_least=each.at_least,
                needs=[need.value for need in each.needs], opts_out=each.opts_out,
            )
            for code, each in found.items()
        ]
    )  # fmt: skip


@router.put("/{call_id}/disposition")
@permission("call.dispose")
async def dispose(call_id: UUID, body: Say, actor: CurrentActor, now: Now) -> Said:
    """Say what came of a call. The lead follows as far as it can; a wish to be called again is promised."""
    done = await db.run(
        actor,
        lambda tx: wished.dispose(tx, call_id, body.code, note=body.note, callback_at=body.callback_at, now=now),
    )
    return Said(
        disposition=done.disposed.code, lead_status=done.disposed.lead_status,
        lead_refusal=_refusal(done.disposed.refusal), callback_id=done.callback_id,
        callback_refusal=_refusal(done.refusal),
    )  # fmt: skip


def _refusal(refusal: errors.CrmError | None) -> Refusal | None:
    return refusal and Refusal(code=refusal.code, message=str(refusal), field_errors=refusal.fields)


@router.post("/{call_id}/wrap-up/extend")
@permission("call.dispose")
async def extend(call_id: UUID, actor: CurrentActor, now: Now) -> WrapUntil:
    """Give yourself more time, once, to say what came of a call."""
    return WrapUntil(wrap_until=await db.run(actor, lambda tx: wrapping.extend(tx, call_id, now=now)))


@router.post("/{call_id}/recordings/{recording_id}/link", status_code=201)
@permission("recording.play")
async def link_to(call_id: UUID, recording_id: UUID, body: Reason, actor: CurrentActor, now: Now) -> PlayLink:
    """Return an address that plays a recording once, within a minute, for whoever asked."""
    token, expires_at = await db.run(
        actor, lambda tx: operations.link(tx, call_id, recording_id, reason=body.reason, now=now)
    )
    return PlayLink(url=f"/cdr/recordings/{recording_id}/audio?token={token}", expires_at=expires_at)


@router.post("/{call_id}/recordings/{recording_id}/hold", status_code=204)
@permission("recording.hold")
async def hold(call_id: UUID, recording_id: UUID, body: Reason, actor: CurrentActor, now: Now) -> Response:
    """Keep a recording from being deleted until it is released."""
    await db.run(actor, lambda tx: operations.hold(tx, call_id, recording_id, reason=body.reason, now=now))
    return Response(status_code=204)


@router.post("/{call_id}/recordings/{recording_id}/release", status_code=204)
@permission("recording.hold")
async def release(call_id: UUID, recording_id: UUID, body: Reason, actor: CurrentActor, now: Now) -> Response:
    """Let a recording that was held go its way again."""
    await db.run(actor, lambda tx: operations.release(tx, call_id, recording_id, reason=body.reason, now=now))
    return Response(status_code=204)
