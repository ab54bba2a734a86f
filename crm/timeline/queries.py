"""Reading timelines, newest first. Notes are shown scrubbed; the sealed original is revealed on its own."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from crm import paging, visibility
from crm.db import Tx
from crm.paging import Filter, Order, Page
from crm.sql import Args

ORDER = Order("occurred_at", "timestamptz", True, "a")

FILTERS = {
    "kind": Filter("a.kind", "text"),
    "channel": Filter("a.channel", "text"),
    "direction": Filter("a.direction", "text"),
    "has_attachments": Filter(
        "exists (select from crm.attachment h where h.tenant_id = a.tenant_id and h.activity_id = a.id"
        " and h.deleted_at is null)",
        "boolean",
        paging.Operator.holds,
    ),
}
"""By what a timeline can be narrowed; those that take lists match any of them."""

ITEM = """json_build_object(
  'id', a.id, 'contact_id', a.contact_id, 'lead_id', a.lead_id, 'kind', a.kind, 'channel', a.channel,
  'direction', a.direction, 'outcome', a.outcome, 'detail', a.detail, 'note', a.note,
  'has_hidden_note', a.note_sealed is not null,
  'provider_reference', a.provider_reference,
  'attachments', (
    select coalesce(json_agg(json_build_object(
             'id', f.id, 'class', f.class, 'content_type', f.content_type, 'size', f.size,
             'name', case when f.class in ({named}) then f.name end) order by f.id), '[]')
      from crm.attachment f
     where f.tenant_id = a.tenant_id and f.activity_id = a.id and f.deleted_at is null),
  'actor', case when u.id is not null then json_build_object('id', u.id, 'name', u.name) end,
  'occurred_at', a.occurred_at, 'created_at', a.created_at)::text"""


async def of_lead(
    tx: Tx, lead_id: UUID, *, filters: Mapping[str, Any] | None = None, limit: int = 50, cursor: str | None = None
) -> Page:
    """Return a page of a lead's timeline, narrowed by `FILTERS`; empty when the actor does not see the lead.

    :raises crm.paging.UnknownName: when a timeline has no such filter.
    :raises crm.cursors.BadCursor: when the cursor is not one of this timeline and these filters.
    """
    args = Args()
    which = f"a.lead_id = {args.add(lead_id, 'uuid')} and {_visible(tx, args)}"
    return await _page(tx, args, which, lead_id, filters or {}, limit=limit, cursor=cursor)


async def of_contact(
    tx: Tx, contact_id: UUID, *, filters: Mapping[str, Any] | None = None, limit: int = 50, cursor: str | None = None
) -> Page:
    """Return a page of a contact's timeline; what belongs to leads the actor does not see is left out.

    :raises crm.paging.UnknownName: when a timeline has no such filter.
    :raises crm.cursors.BadCursor: when the cursor is not one of this timeline and these filters.
    """
    args = Args()
    which = f"a.contact_id = {args.add(contact_id, 'uuid')} and (a.lead_id is null or {_visible(tx, args)})"
    return await _page(tx, args, which, contact_id, filters or {}, limit=limit, cursor=cursor)


def _visible(tx: Tx, args: Args) -> str:
    if visibility.sees_all(tx.actor):
        return "true"
    return (
        "exists (select from crm.lead l where l.tenant_id = a.tenant_id and l.id = a.lead_id"
        f" and {visibility.condition(tx.actor, args)})"
    )


def _named(tx: Tx) -> str:
    """Return the classes of files (SQL text) whose names the actor may read: those they may open."""
    if not tx.actor.may("attachment.view"):
        return "null"
    return "'general', 'identity', 'health'" if tx.actor.may("attachment.view.health") else "'general', 'identity'"


async def _page(
    tx: Tx, args: Args, which: str, whose: UUID, filters: Mapping[str, Any], *, limit: int, cursor: str | None
) -> Page:
    places = paging.Cursor.of("timeline", tx.actor, filter={"of": whose, **filters})
    where = [f"a.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", which]
    where += paging.conditions(FILTERS, filters, args)
    if cursor:
        where.append(ORDER.after(args, places.read(cursor, ORDER.kind)))
    size = max(1, min(limit, paging.LARGEST))
    item = ITEM.format(named=_named(tx))
    found = await tx.fetch(
        f"select a.id, a.occurred_at as place, {item} as item from crm.activity a"
        " left join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.actor_user_id"
        f" where {' and '.join(where)} order by {ORDER.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and places.sign(last["place"], last["id"]))
