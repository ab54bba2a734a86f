"""What needs a person: rows and messages that failed, contacts that may be one. Mend and send again, merge, dismiss."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.contacts import Reveal
from api.schemas.review import (
    ClearField,
    Dismiss,
    Mend,
    MergeTwins,
    OutcomeRead,
    ReviewCount,
    ReviewFilter,
    ReviewPage,
    ReviewQuery,
    ReviewRead,
    counts_of,
)  # fmt: skip
from crm import db
from crm.review import operations, queries
from crm.review.rules import Kind

router = Router("/review")


def _wanted(asked: ReviewFilter, **page: Any) -> queries.Wanted:
    filters = asked.model_dump(include={"source", "reason", "import_id", "since", "until"})
    return queries.Wanted(tuple(asked.kind), **filters, **page)


@router.get("", response_model=ReviewPage)
@permission("review.view")
async def list_items(wanted: Annotated[ReviewQuery, Query()], actor: CurrentActor) -> Response:
    """List what needs a person, the latest first, as far as one sees it."""
    asked = _wanted(wanted, limit=wanted.limit, cursor=wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.page(tx, asked)))


@router.get("/counts")
@permission("review.view")
async def count_items(wanted: Annotated[ReviewFilter, Query()], actor: CurrentActor) -> Listing[ReviewCount]:
    """Count what needs a person, by kind."""
    found = await db.run(actor, lambda tx: queries.counts(tx, _wanted(wanted)))
    return Listing(items=counts_of(found))


@router.post("/duplicate/{item_id}/merge", response_model=OutcomeRead)
@permission("contact.merge")
async def merge_twins(
    request: Request, item_id: UUID, body: MergeTwins, now: Now, key: IdempotencyKey = None
) -> Response:
    """Make the two contacts of a possible duplicate one."""
    return await create(
        request, key, body, lambda tx: operations.merge(tx, item_id, body.winner_id, now=now), answer=OutcomeRead,
        status=200,
    )  # fmt: skip


@router.get("/{kind}/{item_id}")
@permission("review.view")
async def read_item(kind: Kind, item_id: UUID, actor: CurrentActor) -> ReviewRead:
    """Return one item, its values masked, with what is wrong with each and what became of it."""
    return ReviewRead.model_validate(await db.run(actor, lambda tx: queries.read(tx, kind, item_id)))


@router.post("/{kind}/{item_id}/reveal")
@permission("contact.reveal")
async def reveal_item(kind: Kind, item_id: UUID, body: Reveal, actor: CurrentActor, now: Now) -> Listing[ClearField]:
    """Return the fields of a row or a message in clear, to mend them; who looked, when and why is written down."""
    seen = await db.run(actor, lambda tx: operations.reveal(tx, kind, item_id, body.reason, now=now))
    return Listing(items=[ClearField(name=name, value=value) for name, value in seen])


@router.post("/{kind}/{item_id}/mend", response_model=OutcomeRead)
@permission("review.resolve")
async def mend_item(
    request: Request, kind: Kind, item_id: UUID, body: Mend, now: Now, key: IdempotencyKey = None
) -> Response:
    """Put new values in the place of those named and send the row or the message again."""
    return await create(
        request, key, body, lambda tx: operations.mend(tx, kind, item_id, body.values, now=now), answer=OutcomeRead,
        status=200,
    )  # fmt: skip


@router.post("/{kind}/{item_id}/dismiss")
@permission("review.resolve")
async def dismiss_item(kind: Kind, item_id: UUID, body: Dismiss, actor: CurrentActor, now: Now) -> OutcomeRead:
    """Say that nothing is to be done about an item; two contacts are then two."""
    done = await db.run(actor, lambda tx: operations.dismiss(tx, kind, item_id, body.reason, now=now))
    return OutcomeRead.model_validate(done)
