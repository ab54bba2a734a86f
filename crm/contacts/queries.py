"""Looking at contacts, masked. One sees the people behind the leads one sees, and those one entered oneself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from crm import errors, paging, search, visibility
from crm.contacts import rules
from crm.db import Tx
from crm.paging import Filter, Operator, Page
from crm.sql import Args


class ContactNotFound(errors.NotFound):
    """There is no such contact, or it is not yours to see."""

    code = "contact.not_found"


COLUMNS = (
    "id", "name", "country", "language", "phone_masked", "email_masked", "consented", "opted_out",
    "archived_at", "created_at", "updated_at",
)  # fmt: skip
PAIRS = ", ".join(f"'{name}', c.{name}" for name in COLUMNS)
ITEM = f"json_build_object({PAIRS}, {rules.CAPABILITIES})::text"

FILTERS = {
    "is_archived": Filter("(c.archived_at is not null)", "boolean", Operator.holds),
}
SORTS = {"id": "uuid"}
"""Ids follow the time of storing, so that the order of ids is the order of arrival, without an index of its own."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for contacts: filters by name, free text (`search`), order."""

    filters: Mapping[str, Any] = field(default_factory=dict)
    q: str | None = None
    sort: str = "-id"
    limit: int = 50
    cursor: str | None = None


async def page(tx: Tx, wanted: Wanted) -> Page:
    """Return one page of the contacts the actor sees, in a single statement.

    :raises paging.UnknownName: when the list has no such filter or sort.
    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    order = paging.order(wanted.sort, SORTS, alias="c")
    cursor = paging.Cursor.of("contacts", tx.actor.tenant_id, wanted.sort, wanted.filters, wanted.q)
    args = Args()
    where = [f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"]
    where += paging.conditions(FILTERS, wanted.filters, args)
    if wanted.q:
        where.append(search.people(tx.actor.tenant_id, wanted.q, args, contact_id="c.id"))
    if wanted.cursor:
        where.append(order.after(args, cursor.read(wanted.cursor, order.kind)))
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    size = max(1, min(wanted.limit, paging.LARGEST))
    seen = " union ".join(
        f"(select c.id from crm.contact c where {' and '.join([*where, branch])} order by {order.sql} limit {size + 1})"
        for branch in visibility.contact_branches(tx.actor, args)
    )
    found = await tx.fetch(
        f"select c.id, {ITEM} as item from ({seen}) s join crm.contact c using (id)"
        f" where {where[0]} order by {order.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1]["id"] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and cursor.sign(None, last))


async def read(tx: Tx, contact_id: UUID) -> str:
    """Return one contact as JSON text.

    :raises ContactNotFound: when there is no such contact for the actor.
    """
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(contact_id, 'uuid')}"
    item: str | None = await tx.fetchval(
        f"select {ITEM} from crm.contact c where {which} and {visibility.contact_condition(tx.actor, args)}", *args
    )
    if item is None:
        raise ContactNotFound
    return item


async def require_visible(tx: Tx, contact_id: UUID) -> None:
    """:raises ContactNotFound: when there is no such contact for the actor."""
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(contact_id, 'uuid')}"
    visible = visibility.contact_condition(tx.actor, args)
    if not await tx.fetchval(f"select true from crm.contact c where {which} and {visible}", *args):
        raise ContactNotFound
