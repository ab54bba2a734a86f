"""The do-not-contact list: addresses nobody here contacts, whoever's they are."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas.consent import (
    DncContact,
    DncCreate,
    DncEntries,
    DncFound,
    DncImport,
    DncImported,
    DncLookup,
    DncPage,
    DncQuery,
    DncRead,
    DncRemove,
)  # fmt: skip
from crm import db
from crm.consent import dnc
from crm.db import Tx

router = Router(tags=["dnc"])


@router.get("/dnc", response_model=DncPage)
@permission("dnc.view")
async def list_entries(wanted: Annotated[DncQuery, Query()], actor: CurrentActor) -> Response:
    """List the addresses nobody contacts, masked, the latest first."""
    filters = wanted.model_dump(include=dnc.FILTERS.keys())
    return pages.of_page(
        await db.run(actor, lambda tx: dnc.page(tx, filters, limit=wanted.limit, cursor=wanted.cursor))
    )


@router.post("/dnc", status_code=201, response_model=DncRead)
@permission("dnc.add")
async def add_entry(request: Request, body: DncCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Put an address on the list; one that is on it already answers with its entry."""

    async def work(tx: Tx) -> Any:
        return json.loads(await dnc.read_entry(tx, await dnc.add(tx, **body.model_dump(), now=now)))

    return await create(request, key, body, work, answer=DncRead)


@router.post("/dnc/lookup")
@permission("dnc.add")
async def look_up(body: DncLookup, actor: CurrentActor) -> DncFound:
    """Tell whether an address is on the list; it need not be anybody's we know."""
    found = await db.run(actor, lambda tx: dnc.find(tx, body.address, country=body.country))
    return DncFound(is_listed=found is not None, entry_id=found)


@router.post("/dnc/import", response_model=DncImported)
@permission("dnc.manage")
async def import_entries(request: Request, body: DncImport, now: Now, key: IdempotencyKey = None) -> Response:
    """Put up to 10,000 addresses on the list; lines that are none are told by their place."""

    async def work(tx: Tx) -> Any:
        return await dnc.import_list(tx, **body.model_dump(), now=now)

    return await create(request, key, body, work, answer=DncImported, status=200)


@router.post("/dnc/{entry_id}/remove", response_model=DncRead)
@permission("dnc.manage")
async def remove_entry(entry_id: UUID, body: DncRemove, actor: CurrentActor, now: Now) -> Response:
    """Take an address off the list; that it was there stays."""

    async def work(tx: Tx) -> str:
        await dnc.remove(tx, entry_id, reason=body.reason, now=now)
        return await dnc.read_entry(tx, entry_id)

    return pages.of_json(await db.run(actor, work))


@router.post("/contacts/{contact_id}/dnc", response_model=DncEntries)
@permission("dnc.add")
async def add_contact(contact_id: UUID, body: DncContact, actor: CurrentActor, now: Now) -> DncEntries:
    """Put a person's addresses on the list."""
    added = await db.run(actor, lambda tx: dnc.add_contact(tx, contact_id, body.kinds, reason=body.reason, now=now))
    return DncEntries(entries=added)
