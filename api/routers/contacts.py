"""Contacts: the people behind the leads, masked; in clear only with a reason."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.contacts import (
    ContactCreate,
    ContactPage,
    ContactQuery,
    ContactRead,
    ContactUpdate,
    Reveal,
    RevealedNote,
    RevealedRead,
)  # fmt: skip
from api.schemas.leads import TimelinePage
from api.schemas.review import MergeRead
from api.schemas.timeline import TimelineQuery
from crm import db
from crm.contacts import operations, queries, revealing
from crm.contacts.operations import NewContact
from crm.db import Tx
from crm.duplicates import queries as merges
from crm.timeline import queries as timelines

router = Router("/contacts")


@router.post("", status_code=201, response_model=ContactRead)
@permission("contact.create")
async def create_contact(request: Request, body: ContactCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Store a person entered by hand."""

    async def work(tx: Tx) -> Any:
        contact_id = await operations.create(tx, NewContact(**body.model_dump(exclude_none=True)), now=now)
        return json.loads(await queries.read(tx, contact_id))

    return await create(request, key, body, work, answer=ContactRead)


@router.get("", response_model=ContactPage)
@permission("contact.view")
async def list_contacts(wanted: Annotated[ContactQuery, Query()], actor: CurrentActor) -> Response:
    """List the contacts one sees: those behind one's leads, and those one entered."""
    filters = wanted.model_dump(include=queries.FILTERS.keys())
    asked = queries.Wanted(filters, wanted.q, wanted.sort, wanted.limit, wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.page(tx, asked)))


@router.get("/{contact_id}", response_model=ContactRead)
@permission("contact.view")
async def read_contact(contact_id: UUID, actor: CurrentActor) -> Response:
    """Return one contact."""
    return pages.of_json(await db.run(actor, lambda tx: queries.read(tx, contact_id)))


@router.patch("/{contact_id}", response_model=ContactRead)
@permission("contact.edit")
async def update_contact(contact_id: UUID, body: ContactUpdate, actor: CurrentActor, now: Now) -> Response:
    """Change a contact; a new phone or e-mail takes the place of the main one."""

    async def work(tx: Tx) -> str:
        await operations.update(tx, contact_id, body.model_dump(exclude_unset=True), now=now)
        return await queries.read(tx, contact_id)

    return pages.of_json(await db.run(actor, work))


@router.post("/{contact_id}/archive", status_code=204)
@permission("contact.archive")
async def archive_contact(contact_id: UUID, actor: CurrentActor, now: Now) -> Response:
    """Take a contact out of the lists and off every channel."""
    await db.run(actor, lambda tx: operations.archive(tx, contact_id, now=now))
    return Response(status_code=204)


@router.post("/{contact_id}/reveal")
@permission("contact.reveal")
async def reveal_contact(contact_id: UUID, body: Reveal, actor: CurrentActor, now: Now) -> RevealedRead:
    """Return phone and e-mail in clear; who looked, when and why is written down."""
    seen = await db.run(actor, lambda tx: revealing.reveal(tx, contact_id, body.reason, now=now))
    return RevealedRead.model_validate(seen)


@router.get("/{contact_id}/timeline", response_model=TimelinePage)
@permission("contact.view")
async def read_timeline(contact_id: UUID, wanted: Annotated[TimelineQuery, Query()], actor: CurrentActor) -> Response:
    """Return what happened with a contact, as far as one sees its leads, the newest first."""

    async def work(tx: Tx) -> Any:
        await queries.require_visible(tx, contact_id)
        return await timelines.of_contact(
            tx, contact_id, filters=wanted.filters, limit=wanted.limit, cursor=wanted.cursor
        )

    return pages.of_page(await db.run(actor, work))


@router.get("/{contact_id}/merges")
@permission("contact.view")
async def list_merges(contact_id: UUID, actor: CurrentActor) -> Listing[MergeRead]:
    """List the merges a contact took part in, the latest first."""
    rows = await db.run(actor, lambda tx: merges.of_contact(tx, contact_id))
    return Listing(items=[MergeRead.model_validate(dict(row)) for row in rows])


@router.post("/{contact_id}/timeline/{activity_id}/reveal")
@permission("contact.reveal")
async def reveal_note(contact_id: UUID, activity_id: UUID, body: Reveal, actor: CurrentActor, now: Now) -> RevealedNote:
    """Return a note as it was written; who looked, when and why is written down."""
    note = await db.run(actor, lambda tx: revealing.reveal_note(tx, contact_id, activity_id, body.reason, now=now))
    return RevealedNote(note=note)
