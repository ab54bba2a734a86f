"""What changes a contact."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, names, phone, timeline, vault, visibility
from crm.contacts.queries import refuse
from crm.db import Tx
from crm.operation import operation
from crm.sql import Args

Kind = Literal["phone", "email"]


class AddressTaken(errors.Conflict):
    """This phone number or e-mail address belongs to another contact already."""

    code = "contact.address_taken"


POINTS = """
select p.id, p.kind, p.key_id, p.sealed, p.blind_index
  from crm.contact_point p join crm.contact c on c.tenant_id = p.tenant_id and c.id = p.contact_id
 where p.tenant_id = $1::uuid and p.contact_id = $2::uuid
 order by p.masked in (c.phone_masked, c.email_masked) desc nulls last, p.created_at, p.id
"""
"""A contact's addresses, of each kind the main one first: the one whose mask the contact shows."""


@dataclass(frozen=True, slots=True)
class NewContact:
    """A person entered by hand, or met otherwise (`source`, a code).

    A number without its country code is read as one of `country` (Türkiye if none).
    """

    name: str = ""
    phone: str = ""
    email: str = ""
    country: str | None = None
    language: str | None = None
    source: str = "manual"


def _canonical(kind: Kind, value: str, country: str | None) -> tuple[str, str]:
    """Return an address as it is stored, and its mask."""
    if kind == "phone":
        number = phone.parse(value, country=country or "TR")
        return number, phone.mask(number)
    address = value.strip().lower()
    return address, vault.mask_email(address)


async def lock(tx: Tx, contact_id: UUID) -> asyncpg.Record:
    """Return a visible contact's row, locked until the transaction ends.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    :raises crm.contacts.queries.ContactMerged: when it was merged into another.
    """
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(contact_id, 'uuid')}"
    row = await tx.fetchrow(
        "select c.id, c.name, c.country, c.language, c.archived_at from crm.contact c"
        f" where {which} and c.merged_into is null and {visibility.contact_condition(tx.actor, args)} for update",
        *args,
    )
    return row or await refuse(tx, contact_id)


async def _traces(
    tx: Tx, contact_id: UUID, event_type: str, action: str, detail: Mapping[str, Any], *, now: datetime
) -> None:
    """Write timeline, event and (for a person) audit row of a change; `detail` names fields, never their values."""
    await timeline.record(tx, contact_id, event_type, at=now, detail=detail)
    await events.record(tx, "contact", contact_id, event_type, detail, at=now)
    await audit.of_person(tx, action, "contact", contact_id, detail, at=now)


@operation("contact.create")
async def create(tx: Tx, contact: NewContact, *, now: datetime) -> UUID:
    """Store a person entered by hand and return the id; phone and e-mail are sealed under a key of their own.

    :raises crm.phone.NotAPhone: when the phone cannot be dialled.
    :raises AddressTaken: when phone or e-mail belong to a contact already.
    """
    contact_id = ids.new()
    country = contact.country
    if contact.phone and not country:
        country = phone.country_of(phone.parse(contact.phone))
    await tx.execute(
        "insert into crm.contact (tenant_id, id, name, name_search, country, language, created_by, created_at,"
        " updated_at) values ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::uuid, $8::timestamptz,"
        " $8::timestamptz)",
        tx.actor.tenant_id, contact_id, contact.name, names.fold(contact.name), country, contact.language,
        tx.actor.user_id, now,
    )  # fmt: skip
    for kind, value in _addresses(contact.phone, contact.email):
        await _set_address(tx, contact_id, kind, value, country, now=now)
    await _traces(tx, contact_id, "contact.created", "contact.create", {"source": contact.source}, now=now)
    return contact_id


def _addresses(number: str | None, email: str | None) -> Iterable[tuple[Kind, str]]:
    if number:
        yield "phone", number
    if email:
        yield "email", email


@operation("contact.edit")
async def update(tx: Tx, contact_id: UUID, changes: Mapping[str, str | None], *, now: datetime) -> None:
    """Change name, country, language, phone or e-mail; `None` takes a value away.

    A new phone or e-mail takes the place of the main one, which is destroyed; other addresses the person has used stay.
    Taking one away takes all of its kind.

    :raises ContactNotFound: when there is no such contact for the actor.
    :raises AddressTaken: when the new address belongs to another contact.
    :raises crm.phone.NotAPhone: when the phone cannot be dialled.
    """
    row = await lock(tx, contact_id)
    plain = {
        name: changes[name] or ("" if name == "name" else None)
        for name in ("name", "country", "language")
        if name in changes
    }
    changed = [name for name, value in plain.items() if value != row[name]]
    if changed:
        new = {**row, **plain}
        await tx.execute(
            "update crm.contact set name = $3::text, name_search = $4::text, country = $5::text, language = $6::text,"
            " updated_at = $7::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
            tx.actor.tenant_id, contact_id, new["name"], names.fold(new["name"]), new["country"], new["language"], now,
        )  # fmt: skip
    kinds: tuple[Kind, ...] = ("phone", "email")
    for kind in kinds:
        if kind in changes and await _set_address(
            tx, contact_id, kind, changes[kind], changes.get("country") or row["country"], now=now
        ):
            changed.append(kind)
    if not changed:
        tx.unchanged()
        return
    await _traces(tx, contact_id, "contact.updated", "contact.update", {"fields": sorted(changed)}, now=now)


async def _set_address(
    tx: Tx, contact_id: UUID, kind: Kind, value: str | None, country: str | None, *, now: datetime
) -> bool:
    """Make an address a contact's main one of its kind (None: take all of the kind away); return whether it changed."""
    tenant = tx.actor.tenant_id
    if not value:
        done = await tx.execute(
            "delete from crm.contact_point where tenant_id = $1::uuid and contact_id = $2::uuid and kind = $3::text",
            tenant, contact_id, kind,
        )  # fmt: skip
        await _set_mask(tx, contact_id, kind, None, now=now)
        return done != "DELETE 0"
    clear, masked = _canonical(kind, value, country)
    index = vault.blind_index(tenant, kind, clear)
    main = next((point for point in await tx.fetch(POINTS, tenant, contact_id) if point["kind"] == kind), None)
    if main and main["blind_index"] == index:
        return False
    holder = await tx.fetchrow(
        "select id, contact_id from crm.contact_point"
        " where tenant_id = $1::uuid and kind = $2::text and blind_index = $3::bytea",
        tenant, kind, index,
    )  # fmt: skip
    if holder and holder["contact_id"] != contact_id:
        raise AddressTaken(fields={kind: "belongs to another contact"})
    gone = [row["id"] for row in (main, holder) if row]
    await tx.execute("delete from crm.contact_point where tenant_id = $1::uuid and id = any($2::uuid[])", tenant, gone)
    key = (await vault.take(tenant))[0]
    await tx.execute(
        "insert into crm.contact_point (tenant_id, id, contact_id, kind, key_id, sealed, blind_index, masked,"
        " created_at) select $1::uuid, $2::uuid, c.id, $4::text, $5::uuid, $6::bytea, $7::bytea, $8::text, c.created_at"
        " from crm.contact c where c.tenant_id = $1::uuid and c.id = $3::uuid",
        tenant, main["id"] if main else ids.new(), contact_id, kind, key.id, key.seal(clear), index, masked,
    )  # fmt: skip
    await _set_mask(tx, contact_id, kind, masked, now=now)
    return True


async def _set_mask(tx: Tx, contact_id: UUID, kind: Kind, masked: str | None, *, now: datetime) -> None:
    await tx.execute(
        f"update crm.contact set {kind}_masked = $3::text, updated_at = $4::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, contact_id, masked, now,
    )  # fmt: skip


@operation("contact.archive")
async def archive(tx: Tx, contact_id: UUID, *, now: datetime) -> None:
    """Take a contact out of the lists and off every channel; a new enquiry of the person brings it back.

    :raises ContactNotFound: when there is no such contact for the actor.
    """
    row = await lock(tx, contact_id)
    if row["archived_at"] is not None:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.contact set archived_at = $3::timestamptz, updated_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, contact_id, now,
    )  # fmt: skip
    await _traces(tx, contact_id, "contact.archived", "contact.archive", {}, now=now)
