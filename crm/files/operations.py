"""Files on timelines (COMM-7): put away first, attached then, opened under permission with an audit row, deleted whole.

The bytes go to the store before the row is committed: whoever dies in between leaves an object nobody knows, which
`jobs.sweep` deletes, and never a row without its file.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, BinaryIO
from uuid import UUID

from pydantic import Field

from crm import audit, codes, db, errors, events, ids, jobs, objects, tenant_settings, timeline, vault, visibility
from crm.actor import Actor
from crm.contacts.queries import require_visible
from crm.db import Tx
from crm.files import queries, rules
from crm.files.rules import VIEW, Class, Type
from crm.operation import operation
from crm.sql import Args

LARGEST = 100 * 1024 * 1024
"""Bytes no firm can raise its own limit over."""

LIMIT = tenant_settings.declare(
    "attachment.largest_bytes",
    Annotated[int, Field(ge=1024, le=LARGEST)],
    25 * 1024 * 1024,
    tr="Bir dosyanın en büyük boyutu (bayt)",
    en="Bytes a file may have at most",
)


class TooLarge(errors.Invalid):
    """This file is larger than files may be here."""

    code = "attachment.too_large"


class NothingToAttachTo(errors.NotFound):
    """There is no such lead, contact or activity, or it is not yours to see."""

    code = "attachment.no_place"


@dataclass(slots=True)
class PutAway:
    """A file in the store that no row knows yet."""

    id: UUID
    key_id: UUID
    object_key: str
    name: str
    type: Type
    size: int
    is_attached: bool = False


def object_key(tenant_id: UUID, attachment_id: UUID) -> str:
    """Return the name of an attachment's object: ids and nothing else."""
    return f"attachments/{tenant_id}/{attachment_id}"


@asynccontextmanager
async def putting_away(actor: Actor, file: BinaryIO, name: str | None, *, now: datetime) -> AsyncIterator[PutAway]:
    """Store a file sealed, yield it to be attached, and take it out of the store again when that was refused.

    When it is not known whether the row was committed (a lost connection, a cancelled request), the file stays.

    :raises TooLarge: when it is larger than the firm allows.
    :raises rules.TypeNotTaken: when its content is nothing we take.
    :raises crm.objects.StoreUnavailable: when the store does not take it.
    """
    size = await asyncio.to_thread(file.seek, 0, 2)
    limit = await db.run(actor, lambda tx: tenant_settings.value(tx, LIMIT, at=now))
    if size > limit:
        raise TooLarge(f"a file may have {limit} bytes here", fields={"file": f"more than {limit} bytes"})
    kind = await asyncio.to_thread(rules.type_of, file)
    key = (await vault.take(actor.tenant_id))[0]
    attachment_id = ids.new()
    stored = PutAway(
        attachment_id, key.id, object_key(actor.tenant_id, attachment_id), rules.name_of(name, kind), kind, size
    )
    try:
        await objects.put(stored.object_key, vault.seal_stream(key, _parts(file)))
        yield stored
    except errors.CrmError:  # refused; whatever else went wrong, the row may have been committed: the sweep looks
        await _take_back(stored)
        raise
    if not stored.is_attached:
        await _take_back(stored)


async def _take_back(stored: PutAway) -> None:
    with suppress(objects.StoreUnavailable):  # the sweep finds what stays
        await objects.delete([stored.object_key])


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, 0)
    while part := await asyncio.to_thread(file.read, 1024 * 1024):
        yield part


INSERT = """
insert into crm.attachment (tenant_id, id, contact_id, lead_id, activity_id, class, name, content_type, size, key_id,
                            object_key, uploaded_by, created_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::text, $7::text, $8::text, $9::bigint, $10::uuid,
        $11::text, $12::uuid, $13::timestamptz)
"""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a file hangs: on a contact or a lead, and on an activity that is there already where one is named."""

    contact_id: UUID | None = None
    lead_id: UUID | None = None
    activity_id: UUID | None = None


@operation("attachment.create")
async def attach(tx: Tx, stored: PutAway, where: Where, kind: Class, *, note: str | None = None, now: datetime) -> UUID:
    """Hang a file that was put away on a timeline and return its id; without an activity it makes one.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    :raises NothingToAttachTo: when there is no such lead for the actor, or no such activity of it.
    """
    contact_id = await _contact_of(tx, where)
    activity_id = where.activity_id or await timeline.record(
        tx, contact_id, "attachment", at=now, lead_id=where.lead_id, note=note,
        detail={"attachment_id": stored.id, "class": kind.value},
    )  # fmt: skip
    await tx.execute(
        INSERT, tx.actor.tenant_id, stored.id, contact_id, where.lead_id, activity_id, kind.value, stored.name,
        stored.type.mime, stored.size, stored.key_id, stored.object_key, tx.actor.user_id, now,
    )  # fmt: skip
    told = {
        "contact_id": contact_id, "lead_id": where.lead_id, "activity_id": activity_id, "class": kind.value,
        "content_type": stored.type.mime, "size": stored.size,
    }  # fmt: skip
    await events.record(tx, "attachment", stored.id, "attachment.added", told, at=now)
    await audit.of_person(tx, "attachment.create", "attachment", stored.id, told, at=now)
    return stored.id


async def _contact_of(tx: Tx, where: Where) -> UUID:
    """Return the contact a file comes to belong to."""
    contact_id = where.contact_id
    if where.lead_id is not None:
        args = Args()
        which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(where.lead_id, 'uuid')}"
        contact_id = await tx.fetchval(
            f"select l.contact_id from crm.lead l where {which} and {visibility.condition(tx.actor, args)} for share",
            *args,
        )
    elif contact_id is not None:
        await require_visible(tx, contact_id)
    if contact_id is None:
        raise NothingToAttachTo
    if where.activity_id is not None and not await tx.fetchval(
        "select true from crm.activity where tenant_id = $1::uuid and id = $2::uuid and contact_id = $3::uuid"
        " and lead_id is not distinct from $4::uuid",
        tx.actor.tenant_id, where.activity_id, contact_id, where.lead_id,
    ):  # fmt: skip
        raise NothingToAttachTo
    return contact_id


@operation("attachment.delete")
async def delete(tx: Tx, attachment_id: UUID, *, reason: str, now: datetime) -> None:
    """Delete a file for good: its row stays without a name, its object and its key are destroyed soon after.

    :raises queries.AttachmentNotFound: when there is no such file for the actor.
    :raises crm.codes.NotACode: when the reason is none.
    """
    codes.require(reason=reason)
    await queries.get(tx, attachment_id, lock=True)
    await tx.execute(
        "update crm.attachment set deleted_at = $3::timestamptz, deleted_by = $4::uuid, deletion_reason = $5::text,"
        " name = null where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, attachment_id, now, tx.actor.user_id, reason,
    )  # fmt: skip
    await jobs.defer(tx, "attachment.destroy", attachment_id=attachment_id)
    await events.record(tx, "attachment", attachment_id, "attachment.deleted", {"reason": reason}, at=now)
    await audit.of_person(tx, "attachment.delete", "attachment", attachment_id, {"reason": reason}, at=now)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that may be read now."""

    tenant_id: UUID
    key_id: UUID
    object_key: str
    name: str
    content_type: str
    size: int


@operation(VIEW)
async def open_file(tx: Tx, attachment_id: UUID, *, now: datetime) -> Opened:
    """Open a file: that, when and by whom is written down before a byte is read.

    :raises queries.AttachmentNotFound: when there is no such file for the actor.
    :raises crm.actor.Forbidden: when the actor may not open files of its class.
    """
    row = await queries.get(tx, attachment_id)
    queries.require_class(tx, row)
    told = {"class": row["class"], "contact_id": row["contact_id"], "lead_id": row["lead_id"]}
    await events.record(tx, "attachment", attachment_id, "attachment.opened", told, at=now)
    await audit.record(tx, "attachment.open", "attachment", attachment_id, told, at=now)
    return Opened(
        tx.actor.tenant_id, row["key_id"], row["object_key"], row["name"], row["content_type"], row["size"]
    )  # fmt: skip


async def content(opened: Opened) -> AsyncIterator[bytes]:
    """Return the bytes of a file as they were sent, piece by piece; that it can be read is known when this returns.

    :raises crm.vault.Unreadable: when its key was destroyed, or its beginning altered; later, while it is read, when
        something further on was.
    :raises crm.objects.ObjectMissing: when the store does not have it.
    :raises crm.objects.StoreUnavailable: when the store does not answer.
    """
    keys = await vault.find(opened.tenant_id, [opened.key_id])
    if opened.key_id not in keys:
        raise vault.Unreadable
    pieces = vault.open_stream(keys[opened.key_id], await objects.get(opened.object_key))
    first = await anext(pieces)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return whole()
