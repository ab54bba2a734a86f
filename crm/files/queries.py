"""Looking at attachments: what hangs on a contact or a lead one sees. Opening one is an operation, and audited."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from crm import errors, paging, visibility
from crm.db import Tx
from crm.files.rules import NEEDED, VIEW_HEALTH, Class
from crm.paging import Page
from crm.sql import Args


class AttachmentNotFound(errors.NotFound):
    """There is no such file, or it is not yours to see."""

    code = "attachment.not_found"


def item(tx: Tx, alias: str = "f") -> str:
    """Return the JSON of one attachment; the name of a health file is for those who may open it."""
    name = (
        f"{alias}.name" if tx.actor.may(VIEW_HEALTH) else f"case when {alias}.class <> 'health' then {alias}.name end"
    )
    return (
        f"json_build_object('id', {alias}.id, 'contact_id', {alias}.contact_id, 'lead_id', {alias}.lead_id,"
        f" 'activity_id', {alias}.activity_id, 'class', {alias}.class, 'name', {name},"
        f" 'content_type', {alias}.content_type, 'size', {alias}.size, 'uploaded_by', {alias}.uploaded_by,"
        f" 'created_at', {alias}.created_at)"
    )


def visible(tx: Tx, args: Args) -> str:
    """Return the condition that the actor sees the attachment `f`: its lead, or, where it has none, its contact."""
    if visibility.sees_all(tx.actor):
        return "true"
    lead = visibility.condition(tx.actor, args)
    contact = visibility.contact_condition(tx.actor, args)
    of_lead = f"select from crm.lead l where l.tenant_id = f.tenant_id and l.id = f.lead_id and {lead}"
    of_contact = f"select from crm.contact c where c.tenant_id = f.tenant_id and c.id = f.contact_id and {contact}"
    return f"case when f.lead_id is not null then exists ({of_lead}) else exists ({of_contact}) end"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for the files of a contact or of a lead, the latest first."""

    contact_id: UUID | None = None
    lead_id: UUID | None = None
    limit: int = 50
    cursor: str | None = None


async def page(tx: Tx, wanted: Wanted) -> Page:
    """Return a page of attachments the actor sees.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    order = paging.order("-id", {"id": "uuid"}, alias="f")
    places = paging.Cursor.of("attachments", tx.actor, filter=[wanted.contact_id, wanted.lead_id])
    args = Args()
    where = [f"f.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", "f.deleted_at is null"]
    if wanted.contact_id is not None:
        where.append(f"f.contact_id = {args.add(wanted.contact_id, 'uuid')}")
    if wanted.lead_id is not None:
        where.append(f"f.lead_id = {args.add(wanted.lead_id, 'uuid')}")
    where.append(visible(tx, args))
    if wanted.cursor:
        where.append(order.after(args, places.read(wanted.cursor, order.kind)))
    size = max(1, min(wanted.limit, paging.LARGEST))
    found = await tx.fetch(
        f"select f.id, {item(tx)}::text as item from crm.attachment f"
        f" where {' and '.join(where)} order by {order.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1]["id"] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and places.sign(None, last))


async def get(tx: Tx, attachment_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """Return an attachment the actor sees.

    :raises AttachmentNotFound: when there is no such file for the actor.
    """
    args = Args()
    which = f"f.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and f.id = {args.add(attachment_id, 'uuid')}"
    row = await tx.fetchrow(
        f"select f.* from crm.attachment f where {which} and f.deleted_at is null and {visible(tx, args)}"
        f"{' for update of f' if lock else ''}",
        *args,
    )
    if row is None:
        raise AttachmentNotFound
    return row


def require_class(tx: Tx, row: asyncpg.Record) -> None:
    """:raises crm.actor.Forbidden: when the actor may not open files of the attachment's class."""
    for permission in NEEDED[Class(row["class"])]:
        tx.actor.require(permission)


async def read(tx: Tx, attachment_id: UUID) -> str:
    """Return one attachment as JSON text.

    :raises AttachmentNotFound: when there is no such file for the actor.
    """
    await get(tx, attachment_id)
    found: str = await tx.fetchval(
        f"select {item(tx)}::text from crm.attachment f where f.tenant_id = $1::uuid and f.id = $2::uuid",
        tx.actor.tenant_id, attachment_id,
    )  # fmt: skip
    return found
