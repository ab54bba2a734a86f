"""Looking at contacts, masked. One sees the people behind the leads one sees, and those one entered oneself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from uuid import UUID

from crm import errors, paging, search, visibility
from crm.contacts import rules
from crm.db import Tx
from crm.paging import Filter, Operator, Page
from crm.sql import Args


class ContactNotFound(errors.NotFound):
    """There is no such contact, or it is not yours to see."""

    code = "contact.not_found"


class ContactMerged(errors.Conflict):
    """This contact was merged into another one; `merged_into` names it."""

    code = "contact.merged"


COLUMNS = (
    "id", "name", "country", "language", "phone_masked", "email_masked", "consented", "opted_out",
    "archived_at", "created_at", "updated_at", "merged_into",
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
    cursor = paging.Cursor.of("contacts", tx.actor, sort=wanted.sort, filter=[wanted.filters, wanted.q])
    args = Args()
    where = [f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", "c.merged_into is null"]
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
    """Return one contact as JSON text; one that was merged says into whom (`merged_into`), as it was then.

    :raises ContactNotFound: when there is no such contact for the actor.
    """
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(contact_id, 'uuid')}"
    visible = visibility.contact_condition(tx.actor, args)
    item: str | None = await tx.fetchval(
        f"select {ITEM} from crm.contact c where {which} and c.merged_into is null and {visible}", *args
    )
    return await _tombstone(tx, contact_id) if item is None else item


TOMBSTONE = f"""
select {ITEM.replace("c.merged_into", "$3::uuid")} from crm.contact c where c.tenant_id = $1::uuid and c.id = $2::uuid
"""
SURVIVOR = """
with recursive chain as (
  select id, merged_into from crm.contact where tenant_id = $1::uuid and id = $2::uuid and merged_into is not null
  union all
  select c.id, c.merged_into from chain, crm.contact c where c.tenant_id = $1::uuid and c.id = chain.merged_into
)
select id from chain where merged_into is null
"""


async def _tombstone(tx: Tx, contact_id: UUID) -> str:
    survivor_id = await survivor(tx, contact_id)
    item: str = await tx.fetchval(TOMBSTONE, tx.actor.tenant_id, contact_id, survivor_id)
    return item


async def survivor(tx: Tx, contact_id: UUID) -> UUID:
    """Return the contact into which another one was merged, through any number of merges.

    :raises ContactNotFound: when it was not, or the actor does not see where it went.
    """
    survivor_id: UUID | None = await tx.fetchval(SURVIVOR, tx.actor.tenant_id, contact_id)
    if survivor_id is None:
        raise ContactNotFound
    await require_visible(tx, survivor_id)
    return survivor_id


async def refuse(tx: Tx, contact_id: UUID) -> NoReturn:
    """Say why a contact cannot be used.

    :raises ContactMerged: when it was merged into one that the actor sees.
    :raises ContactNotFound: else.
    """
    raise ContactMerged(fields={"merged_into": str(await survivor(tx, contact_id))})


async def require_visible(tx: Tx, contact_id: UUID) -> None:
    """Raise unless there is such a contact for the actor.

    :raises ContactMerged: when it was merged into one that the actor sees.
    :raises ContactNotFound: when there is no such contact for the actor.
    """
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(contact_id, 'uuid')}"
    visible = visibility.contact_condition(tx.actor, args)
    if not await tx.fetchval(
        f"select true from crm.contact c where {which} and c.merged_into is null and {visible}", *args
    ):
        await refuse(tx, contact_id)
