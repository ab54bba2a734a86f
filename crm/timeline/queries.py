"""Reading timelines, newest first. Notes are shown scrubbed; the sealed original is revealed on its own."""

from uuid import UUID

from crm import paging, visibility
from crm.db import Tx
from crm.paging import Order, Page
from crm.sql import Args

ORDER = Order("occurred_at", "timestamptz", True, "a")

ITEM = """json_build_object(
  'id', a.id, 'contact_id', a.contact_id, 'lead_id', a.lead_id, 'kind', a.kind, 'channel', a.channel,
  'direction', a.direction, 'outcome', a.outcome, 'detail', a.detail, 'note', a.note,
  'has_hidden_note', a.note_sealed is not null,
  'actor', case when u.id is not null then json_build_object('id', u.id, 'name', u.name) end,
  'occurred_at', a.occurred_at, 'created_at', a.created_at)::text"""


async def of_lead(tx: Tx, lead_id: UUID, *, limit: int = 50, cursor: str | None = None) -> Page:
    """Return a page of a lead's timeline; empty when the actor does not see the lead."""
    args = Args()
    which = f"a.lead_id = {args.add(lead_id, 'uuid')}"
    return await _page(tx, args, f"{which} and {_visible(tx, args)}", str(lead_id), limit=limit, cursor=cursor)


async def of_contact(tx: Tx, contact_id: UUID, *, limit: int = 50, cursor: str | None = None) -> Page:
    """Return a page of a contact's timeline; what belongs to leads the actor does not see is left out."""
    args = Args()
    which = f"a.contact_id = {args.add(contact_id, 'uuid')}"
    visible = f"(a.lead_id is null or {_visible(tx, args)})"
    return await _page(tx, args, f"{which} and {visible}", str(contact_id), limit=limit, cursor=cursor)


def _visible(tx: Tx, args: Args) -> str:
    if visibility.sees_all(tx.actor):
        return "true"
    return (
        "exists (select from crm.lead l where l.tenant_id = a.tenant_id and l.id = a.lead_id"
        f" and {visibility.condition(tx.actor, args)})"
    )


async def _page(tx: Tx, args: Args, where: str, whose: str, *, limit: int, cursor: str | None) -> Page:
    places = paging.Cursor.of("timeline", tx.actor, filter=whose)
    where = f"a.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and {where}"
    if cursor:
        where += f" and {ORDER.after(args, places.read(cursor, ORDER.kind))}"
    size = max(1, min(limit, paging.LARGEST))
    found = await tx.fetch(
        f"select a.id, a.occurred_at as place, {ITEM} as item from crm.activity a"
        " left join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.actor_user_id"
        f" where {where} order by {ORDER.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and places.sign(last["place"], last["id"]))
