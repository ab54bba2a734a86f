"""Saved views of the list of leads: filters, sort and columns under a name, one's own or shared with everyone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, filtering, ids, paging
from crm.db import Tx
from crm.leads import columns
from crm.leads.filters import FIELDS
from crm.operation import operation

MOST = 200
"""Views a person may keep."""


class ViewNotFound(errors.NotFound):
    """There is no such view, or it is somebody else's own."""

    code = "view.not_found"


class NameTaken(errors.Conflict):
    """A view of this name is there already."""

    code = "view.name_taken"


class TooManyViews(errors.Conflict):
    """A person keeps at most 200 views; delete some."""

    code = "view.too_many"


@dataclass(frozen=True, slots=True)
class View:
    """What a view says. `is_default`: the one that opens first, for its owner; a shared one for whoever has none."""

    name: str
    filters: Sequence[str] = ()
    sort: str = columns.DEFAULT_SORT
    fields: Sequence[str] = ()
    is_shared: bool = False
    is_default: bool = False


FIND = """
select id, owner_id, name, filters, sort, fields, is_shared, is_default, created_at, updated_at,
       owner_id = $2::uuid as is_mine
  from crm.saved_view where tenant_id = $1::uuid and (is_shared or owner_id = $2::uuid)
"""


async def all_of(tx: Tx) -> list[asyncpg.Record]:
    """Return the views the actor may open: their own and the shared ones, by name."""
    return await tx.fetch(f"{FIND} order by is_shared, name, id", tx.actor.tenant_id, tx.actor.user_id)


async def get(tx: Tx, view_id: UUID) -> asyncpg.Record:
    """Return one view.

    :raises ViewNotFound: when there is none that the actor may open.
    """
    row = await tx.fetchrow(f"{FIND} and id = $3::uuid", tx.actor.tenant_id, tx.actor.user_id, view_id)
    if row is None:
        raise ViewNotFound
    return row


async def default(tx: Tx) -> asyncpg.Record | None:
    """Return the view that opens first: the actor's own default, else the shared one, else None."""
    return await tx.fetchrow(
        f"{FIND} and is_default order by is_shared limit 1", tx.actor.tenant_id, tx.actor.user_id
    )  # fmt: skip


@operation("view.manage")
async def create(tx: Tx, view: View, *, now: datetime) -> UUID:
    """Save a view and return its id; a new default takes the place of the one before.

    :raises filtering.BadFilter: when a filter cannot be read.
    :raises filtering.PersonalFilter: when it holds a name or an address.
    :raises NameTaken: when the actor (shared: anybody) has one of that name.
    """
    view, view_id = _checked(tx, view), ids.new()
    if await tx.fetchval(f"select count(*) from ({FIND} and owner_id = $2::uuid) v", *_who(tx)) >= MOST:
        raise TooManyViews
    await _make_room(tx, view, view_id, tx.actor.user_id)
    await tx.execute(
        "insert into crm.saved_view (tenant_id, id, owner_id, name, filters, sort, fields, is_shared, is_default,"
        " created_at, updated_at) values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text[], $6::text, $7::text[],"
        " $8::bool, $9::bool, $10::timestamptz, $10::timestamptz)",
        tx.actor.tenant_id, view_id, tx.actor.user_id, *_columns(view), now,
    )  # fmt: skip
    await _tell(tx, "view.saved", "view.save", view_id, view, now=now)
    return view_id


@operation("view.manage")
async def change(tx: Tx, view_id: UUID, changes: Mapping[str, Any], *, now: datetime) -> None:
    """Change fields of a view one owns, or of a shared one when one may share.

    :raises ViewNotFound: when there is none that the actor may change.
    :raises NameTaken: when another one has the name.
    """
    row = await _locked(tx, view_id)
    before = View(row["name"], row["filters"], row["sort"], row["fields"], row["is_shared"], row["is_default"])
    view = _checked(tx, replace(before, **changes))
    if _columns(view) == _columns(before):
        tx.unchanged()
        return
    await _make_room(tx, view, view_id, row["owner_id"])
    await tx.execute(
        "update crm.saved_view set name = $3::text, filters = $4::text[], sort = $5::text, fields = $6::text[],"
        " is_shared = $7::bool, is_default = $8::bool, updated_at = $9::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, view_id, *_columns(view), now,
    )  # fmt: skip
    await _tell(tx, "view.saved", "view.save", view_id, view, now=now)


@operation("view.manage")
async def delete(tx: Tx, view_id: UUID, *, now: datetime) -> None:
    """Delete a view one owns, or a shared one when one may share.

    :raises ViewNotFound: when there is none that the actor may delete.
    """
    row = await _locked(tx, view_id)
    await tx.execute("delete from crm.saved_view where tenant_id = $1::uuid and id = $2::uuid", *_which(tx, view_id))
    told = {"is_shared": row["is_shared"]}
    await events.record(tx, "view", view_id, "view.deleted", told, at=now)
    await audit.of_person(tx, "view.delete", "view", view_id, told, at=now)


def _who(tx: Tx) -> tuple[UUID, UUID | None]:
    return tx.actor.tenant_id, tx.actor.user_id


def _which(tx: Tx, view_id: UUID) -> tuple[UUID, UUID]:
    return tx.actor.tenant_id, view_id


def _columns(view: View) -> tuple[Any, ...]:
    return view.name, list(view.filters), view.sort, list(view.fields), view.is_shared, view.is_default


def _checked(tx: Tx, view: View) -> View:
    """Return a view whose filters are written in their one form, once all of it was found good."""
    if view.is_shared:
        tx.actor.require("view.share")
    clauses = filtering.parse_all(view.filters, FIELDS, at="filters")
    filtering.require_allowed(clauses, FIELDS, tx.actor)
    paging.order(view.sort, columns.SORTS, alias="l")
    fields = columns.chosen(tuple(view.fields), tx.actor) if view.fields else ()
    return replace(view, filters=[filtering.show(clause, FIELDS) for clause in clauses], fields=fields)


async def _locked(tx: Tx, view_id: UUID) -> asyncpg.Record:
    """Return a view the actor may change, locked; one shared by somebody else needs the permission to share."""
    row = await tx.fetchrow(f"{FIND} and id = $3::uuid for update", *_who(tx), view_id)
    if row is None:
        raise ViewNotFound
    if not row["is_mine"]:
        tx.actor.require("view.share")
    return row


async def _make_room(tx: Tx, view: View, view_id: UUID, owner_id: UUID | None) -> None:
    """Refuse a name that is taken and take the default from the view that has it."""
    same = "is_shared" if view.is_shared else "not is_shared and owner_id = $3::uuid"
    others = f"tenant_id = $1::uuid and id <> $2::uuid and {same} and $3::uuid is not null"
    if await tx.fetchval(
        f"select true from crm.saved_view where {others} and name = $4::text",
        tx.actor.tenant_id, view_id, owner_id, view.name,
    ):  # fmt: skip
        raise NameTaken(fields={"name": "taken"})
    if view.is_default:
        await tx.execute(
            f"update crm.saved_view set is_default = false where {others} and is_default",
            tx.actor.tenant_id, view_id, owner_id,
        )  # fmt: skip


async def _tell(tx: Tx, happened: str, action: str, view_id: UUID, view: View, *, now: datetime) -> None:
    told = {"is_shared": view.is_shared, "is_default": view.is_default, "filters": len(view.filters)}
    await events.record(tx, "view", view_id, happened, told, at=now)
    await audit.of_person(tx, action, "view", view_id, told, at=now)
