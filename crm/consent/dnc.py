"""The do-not-contact list: addresses that nobody here contacts, whoever's they are, of people not yet known too.

An address is kept as its blind index and its mask: the list finds it again and shows nobody.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from crm import audit, codes, errors, events, ids, paging, phone, timeline, vault
from crm.consent import standing
from crm.contacts.queries import require_visible
from crm.db import Tx
from crm.operation import operation
from crm.paging import Filter, Page
from crm.sql import Args

Kind = Literal["phone", "email"]

EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")
"""What is taken for an e-mail address: the same as everywhere people come in."""


class EntryNotFound(errors.NotFound):
    """There is no such entry on the list."""

    code = "dnc.not_found"


class NotAnAddress(errors.Invalid):
    """This is neither a phone number that can be dialled nor an e-mail address."""

    code = "dnc.address"


class NothingToList(errors.Invalid):
    """This contact has no address that could be put on the list."""

    code = "dnc.no_address"


@dataclass(frozen=True, slots=True)
class Address:
    """An address as the list keeps it."""

    kind: Kind
    index: bytes
    masked: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list: entries added, known before, and which lines (from 1) are no address."""

    added: int
    known: int
    rejected: list[int]


def read(tenant_id: UUID, text: str, *, country: str = "TR") -> Address:
    """Return an address as the list keeps it; a number without its country code is read as one of `country`.

    :raises NotAnAddress: when it is neither a number nor an e-mail address. The message never repeats it.
    """
    text = text.strip()
    if EMAIL.fullmatch(text):
        email = text.lower()
        return Address("email", vault.blind_index(tenant_id, "email", email), vault.mask_email(email))
    try:
        number = phone.read(text, country=country)
    except phone.NotAPhone as error:
        raise NotAnAddress(fields={"address": "a number with its country code, or an e-mail address"}) from error
    return Address("phone", vault.blind_index(tenant_id, "phone", number.number), number.masked)


ADD = """
insert into crm.dnc_entry (tenant_id, id, kind, blind_index, masked, reason, source, added_by, added_at)
select $1::uuid, i.id, i.kind, i.blind_index, i.masked, $6::text, $7::text, $8::uuid, $9::timestamptz
  from unnest($2::uuid[], $3::text[], $4::bytea[], $5::text[]) as i(id, kind, blind_index, masked)
 order by i.kind, i.blind_index
    on conflict (tenant_id, kind, blind_index) where removed_at is null do nothing
returning id, kind, blind_index
"""

HOLDERS = """
select distinct p.contact_id, i.id as entry_id
  from unnest($2::uuid[], $3::text[], $4::bytea[]) as i(id, kind, blind_index)
  join crm.contact_point p on p.tenant_id = $1::uuid and p.kind = i.kind and p.blind_index = i.blind_index
 order by p.contact_id
"""


async def _add(tx: Tx, addresses: Sequence[Address], *, reason: str, source: str, now: datetime) -> list[UUID]:
    """Put addresses on the list and return the entries that are new; people who hold one see it on their timeline."""
    codes.require(reason=reason, source=source)
    unique = list({(each.kind, each.index): each for each in addresses}.values())
    rows = await tx.fetch(
        ADD, tx.actor.tenant_id, [ids.new() for _ in unique], [each.kind for each in unique],
        [each.index for each in unique], [each.masked for each in unique], reason, source, tx.actor.user_id, now,
    )  # fmt: skip
    await _tell(tx, rows, "added", {"reason": reason, "source": source}, now=now)
    return [row["id"] for row in rows]


async def _tell(tx: Tx, rows: Sequence[Any], what: str, detail: Mapping[str, str], *, now: datetime) -> None:
    """Write events of entries, and hints and timelines of the people who hold their addresses."""
    if not rows:
        return
    told = [("dnc_entry", row["id"], f"dnc.{what}", {"kind": row["kind"], **detail}) for row in rows]
    await events.record_many(tx, told, at=now)
    columns = [[row[name] for row in rows] for name in ("id", "kind", "blind_index")]
    holders = await tx.fetch(HOLDERS, tx.actor.tenant_id, *columns)
    shown = [
        (None, row["contact_id"], f"contact.dnc_{what}", {"entry_id": row["entry_id"], **detail}) for row in holders
    ]
    await timeline.record_many(tx, shown, at=now)
    if holders:
        await standing.refresh(tx, {row["contact_id"] for row in holders}, now=now)


@operation("dnc.add")
async def add(tx: Tx, address: str, *, country: str = "TR", reason: str, source: str = "manual", now: datetime) -> UUID:
    """Put a phone number or an e-mail address on the list and return the entry's id, known before or new.

    :raises NotAnAddress: when it is neither.
    :raises crm.codes.NotACode: when reason or source is none.
    """
    wanted = read(tx.actor.tenant_id, address, country=country)
    added = await _add(tx, [wanted], reason=reason, source=source, now=now)
    if not added:
        tx.unchanged()
        return await _entry_of(tx, wanted)
    await audit.of_person(tx, "dnc.add", "dnc_entry", added[0], {"reason": reason, "source": source}, at=now)
    return added[0]


@operation("dnc.add")
async def add_contact(
    tx: Tx, contact_id: UUID, kinds: Iterable[Kind], *, reason: str, source: str = "manual", now: datetime
) -> list[UUID]:
    """Put a person's addresses on the list, nothing unsealed, and return the new entries.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    :raises NothingToList: when they have no address of those kinds.
    """
    await require_visible(tx, contact_id)
    points = await tx.fetch(
        "select kind, blind_index, masked from crm.contact_point where tenant_id = $1::uuid and contact_id = $2::uuid"
        " and kind in (select unnest($3::text[]))",
        tx.actor.tenant_id, contact_id, list(kinds),
    )  # fmt: skip
    if not points:
        raise NothingToList
    wanted = [Address(point["kind"], point["blind_index"], point["masked"]) for point in points]
    added = await _add(tx, wanted, reason=reason, source=source, now=now)
    if not added:
        tx.unchanged()
        return []
    await audit.of_person(tx, "dnc.add", "contact", contact_id, {"entries": added, "reason": reason}, at=now)
    return added


@operation("dnc.manage")
async def import_list(
    tx: Tx, addresses: Sequence[str], *, country: str = "TR", reason: str, source: str, now: datetime
) -> Imported:
    """Put a list of numbers and addresses on the list; lines that are neither are told by their place (from 1)."""
    # Ten thousand numbers take a second to parse: others are served meanwhile.
    good, rejected = await asyncio.to_thread(_sort, tx.actor.tenant_id, addresses, country)
    added = await _add(tx, good, reason=reason, source=source, now=now) if good else []
    if not added:
        tx.unchanged()
    else:
        counted = {"added": len(added), "rejected": len(rejected), "reason": reason, "source": source}
        await audit.of_person(tx, "dnc.import", "tenant", tx.actor.tenant_id, counted, at=now)
    return Imported(len(added), len(good) - len(added), rejected)


def _sort(tenant_id: UUID, addresses: Sequence[str], country: str) -> tuple[list[Address], list[int]]:
    """Return the addresses among some lines, and which lines (from 1) are none."""
    good: list[Address] = []
    rejected: list[int] = []
    for line, text in enumerate(addresses, start=1):
        try:
            good.append(read(tenant_id, text, country=country))
        except NotAnAddress:
            rejected.append(line)
    return good, rejected


@operation("dnc.manage")
async def remove(tx: Tx, entry_id: UUID, *, reason: str, now: datetime) -> None:
    """Take an address off the list; that it was there, and why it no longer is, stays. Again changes nothing.

    :raises EntryNotFound: when there is no such entry.
    :raises crm.codes.NotACode: when the reason is none.
    """
    codes.require(reason=reason)
    row = await tx.fetchrow(
        "select id, kind, blind_index, removed_at from crm.dnc_entry"
        " where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, entry_id,
    )  # fmt: skip
    if row is None:
        raise EntryNotFound
    if row["removed_at"] is not None:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.dnc_entry set removed_at = $3::timestamptz, removed_by = $4::uuid, removal_reason = $5::text"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, entry_id, now, tx.actor.user_id, reason,
    )  # fmt: skip
    await _tell(tx, [row], "removed", {"reason": reason}, now=now)
    await audit.of_person(tx, "dnc.remove", "dnc_entry", entry_id, {"reason": reason}, at=now)


ITEM = """json_build_object(
  'id', d.id, 'kind', d.kind, 'masked', d.masked, 'reason', d.reason, 'source', d.source, 'added_at', d.added_at,
  'added_by', case when a.id is not null then json_build_object('id', a.id, 'name', a.name) end,
  'removed_at', d.removed_at, 'removal_reason', d.removal_reason,
  'removed_by', case when r.id is not null then json_build_object('id', r.id, 'name', r.name) end)::text"""

SOURCE = """from crm.dnc_entry d
  left join crm.user_account a on a.tenant_id = d.tenant_id and a.id = d.added_by
  left join crm.user_account r on r.tenant_id = d.tenant_id and r.id = d.removed_by"""

FILTERS = {
    "kind": Filter("d.kind", "text"),
    "is_removed": Filter("(d.removed_at is not null)", "boolean", paging.Operator.holds),
}


async def page(tx: Tx, filters: Mapping[str, Any], *, limit: int = 50, cursor: str | None = None) -> Page:
    """Return a page of the list, masked, the latest entry first.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    order = paging.order("-id", {"id": "uuid"}, alias="d")
    places = paging.Cursor.of("dnc", tx.actor, filter=filters)
    args = Args()
    where = [f"d.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", *paging.conditions(FILTERS, filters, args)]
    if cursor:
        where.append(order.after(args, places.read(cursor, order.kind)))
    size = max(1, min(limit, paging.LARGEST))
    found = await tx.fetch(
        f"select d.id, {ITEM} as item {SOURCE} where {' and '.join(where)} order by {order.sql} limit {size + 1}", *args
    )
    last = found[size - 1]["id"] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and places.sign(None, last))


async def read_entry(tx: Tx, entry_id: UUID) -> str:
    """Return one entry as JSON text.

    :raises EntryNotFound: when there is no such entry.
    """
    item: str | None = await tx.fetchval(
        f"select {ITEM} {SOURCE} where d.tenant_id = $1::uuid and d.id = $2::uuid", tx.actor.tenant_id, entry_id
    )
    if item is None:
        raise EntryNotFound
    return item


async def find(tx: Tx, address: str, *, country: str = "TR") -> UUID | None:
    """Return the entry under which an address is on the list now, or None; it need be nobody's we know.

    :raises NotAnAddress: when it is neither a number nor an e-mail address.
    """
    return await _find(tx, read(tx.actor.tenant_id, address, country=country))


async def _find(tx: Tx, address: Address) -> UUID | None:
    entry: UUID | None = await tx.fetchval(
        "select id from crm.dnc_entry where tenant_id = $1::uuid and kind = $2::text and blind_index = $3::bytea"
        " and removed_at is null",
        tx.actor.tenant_id, address.kind, address.index,
    )  # fmt: skip
    return entry


async def _entry_of(tx: Tx, address: Address) -> UUID:
    entry = await _find(tx, address)
    if entry is None:
        raise EntryNotFound("the entry was taken off the list at this very moment; try again")
    return entry
