"""Looking at leads: one, a page of them, their history. What the actor may not see is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from crm import paging, search, visibility
from crm.contacts import rules as contacts
from crm.db import Tx
from crm.leads.operations import LeadNotFound
from crm.leads.rules import LABELS, Status
from crm.paging import Filter, Operator, Page
from crm.sql import Args


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the list: its SQL, what people call it, and whether a list shows it unasked."""

    sql: str
    tr: str
    en: str
    is_shown: bool = True


COLUMNS: dict[str, Column] = {
    "id": Column("l.id", "Kimlik", "Id"),
    "contact": Column(
        "json_build_object('id', c.id, 'name', c.name, 'phone_masked', c.phone_masked, 'email_masked', c.email_masked,"
        f" {contacts.CAPABILITIES})",
        "Kişi", "Contact",
    ),
    "status": Column("json_build_object('code', l.status, 'label', {status_label})", "Durum", "Status"),
    "cycle_no": Column("l.cycle_no", "Döngü", "Cycle"),
    "loss_reason": Column("l.loss_reason", "Kayıp nedeni", "Loss reason"),
    "owner": Column(
        "case when o.id is not null then json_build_object('id', o.id, 'name', o.name) end", "Sorumlu", "Owner"
    ),
    "team": Column("case when t.id is not null then json_build_object('id', t.id, 'name', t.name) end", "Ekip", "Team"),
    "source": Column("l.source", "Kaynak", "Source"),
    "external_id": Column("l.external_id", "Dış kimlik", "External id", is_shown=False),
    "platform": Column("l.platform", "Platform", "Platform"),
    "campaign": Column("l.campaign", "Kampanya", "Campaign"),
    "adset": Column("l.adset", "Reklam grubu", "Ad set", is_shown=False),
    "ad": Column("l.ad", "Reklam", "Ad", is_shown=False),
    "form": Column("l.form", "Form", "Form"),
    "keyword": Column("l.keyword", "Anahtar kelime", "Keyword", is_shown=False),
    "geography": Column("l.geography", "Bölge", "Geography", is_shown=False),
    "tags": Column("l.tags", "Etiketler", "Tags"),
    "attributes": Column("l.attributes", "Yanıtlar", "Answers", is_shown=False),
    "acquired_at": Column("l.acquired_at", "Kaynakta oluşma", "Acquired"),
    "acquired_at_known": Column("l.acquired_at_known", "Oluşma biliniyor", "Acquired is known", is_shown=False),
    "received_at": Column("l.received_at", "Geliş", "Received"),
    "assigned_at": Column("l.assigned_at", "Atanma", "Assigned"),
    "first_attempt_at": Column("l.first_attempt_at", "İlk deneme", "First attempt"),
    "status_changed_at": Column("l.status_changed_at", "Durum değişikliği", "Status changed"),
    "is_test": Column("l.is_test", "Deneme", "Test"),
    "is_duplicate": Column("l.is_duplicate", "Mükerrer", "Duplicate"),
    "import_id": Column("l.import_id", "Aktarım", "Import", is_shown=False),
    "updated_at": Column("l.updated_at", "Güncelleme", "Updated"),
}  # fmt: skip
SHOWN = tuple(name for name, column in COLUMNS.items() if column.is_shown)
"""The columns of a list that names none."""

FILTERS: dict[str, Filter] = {
    "status": Filter("l.status", "text"),
    "owner": Filter("l.owner_id", "uuid"),
    "team": Filter("l.team_id", "uuid"),
    "contact": Filter("l.contact_id", "uuid"),
    "platform": Filter("l.platform", "text"),
    "campaign": Filter("l.campaign", "text"),
    "form": Filter("l.form", "text"),
    "source": Filter("l.source", "text"),
    "tag": Filter("l.tags", "text", Operator.has_any),
    "received_from": Filter("l.received_at", "timestamptz", Operator.since),
    "received_to": Filter("l.received_at", "timestamptz", Operator.until),
    "is_test": Filter("l.is_test", "boolean", Operator.holds),
}
SORTS = {"received_at": "timestamptz", "updated_at": "timestamptz"}
"""What a list may be sorted by; each has its index."""

JOINS = """
  join crm.contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id
  left join crm.user_account o on o.tenant_id = l.tenant_id and o.id = l.owner_id
  left join crm.team t on t.tenant_id = l.tenant_id and t.id = l.team_id
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for leads: filters by name, free text (`search`), order, columns (none: the usual ones)."""

    filters: Mapping[str, Any] = field(default_factory=dict)
    q: str | None = None
    sort: str = "-received_at"
    fields: Sequence[str] = ()
    limit: int = 50
    cursor: str | None = None


@lru_cache(maxsize=512)
def _item(fields: tuple[str, ...], language: str) -> str:
    """Return the SQL that makes one item's JSON text. Names and labels are ours, no value of a client is among them."""
    cases = " ".join(f"when '{status}' then '{label[language]}'" for status, label in LABELS.items())
    pairs = ", ".join(
        f"'{name}', {COLUMNS[name].sql}".replace("{status_label}", f"case l.status {cases} end") for name in fields
    )
    return f"json_build_object({pairs})::text"


async def page(tx: Tx, wanted: Wanted, *, language: str) -> Page:
    """Return one page of the leads the actor sees, in a single statement.

    :raises paging.UnknownName: when the list has no such filter, column or sort.
    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    order = paging.order(wanted.sort, SORTS, alias="l")
    fields = paging.columns(wanted.fields, COLUMNS) or SHOWN
    cursor = paging.Cursor.of("leads", tx.actor.tenant_id, wanted.sort, wanted.filters, wanted.q)
    args = Args()
    where = [f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"]
    where += paging.conditions(FILTERS, wanted.filters, args)
    if wanted.q:
        where.append(search.people(tx.actor.tenant_id, wanted.q, args, contact_id="l.contact_id"))
    if wanted.cursor:
        where.append(order.after(args, cursor.read(wanted.cursor, order.kind)))
    if wanted.q or wanted.filters or order.column != "received_at":
        await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    size = max(1, min(wanted.limit, paging.LARGEST))
    parts = [
        f"(select l.* from crm.lead l where {' and '.join([*where, branch])} order by {order.sql} limit {size + 1})"
        for branch in _seen(tx, order, args)
    ]
    found = await tx.fetch(
        f"select l.id, l.{order.column} as place, {_item(fields, language)} as item"
        f" from {_united(parts)} l {JOINS} order by {order.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and cursor.sign(last["place"], last["id"]))


def _united(parts: Sequence[str]) -> str:
    """Return rows of several parts as one, each row once: parts may overlap, so their ids are united first."""
    if len(parts) == 1:
        return parts[0]
    ids = " union ".join(f"select p.tenant_id, p.id from {part} p" for part in parts)
    return f"(select l.* from ({ids}) i join crm.lead l using (tenant_id, id))"


def _seen(tx: Tx, order: paging.Order, args: Args) -> list[str]:
    """Return what the actor sees as conditions to be read in order each, where there are indexes for that."""
    if order.column == "received_at":
        return visibility.branches(tx.actor, args)
    return [visibility.condition(tx.actor, args)]


async def read(tx: Tx, lead_id: UUID, *, language: str) -> str:
    """Return one lead, all its columns, as JSON text.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    item: str | None = await tx.fetchval(
        f"select {_item(tuple(COLUMNS), language)} from crm.lead l {JOINS}"
        f" where {which} and {visibility.condition(tx.actor, args)}",
        *args,
    )
    if item is None:
        raise LeadNotFound
    return item


async def require_visible(tx: Tx, lead_id: UUID) -> None:
    """:raises LeadNotFound: when there is no such lead for the actor."""
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    if not await tx.fetchval(
        f"select true from crm.lead l where {which} and {visibility.condition(tx.actor, args)}", *args
    ):
        raise LeadNotFound


STATUS_HISTORY = """
select coalesce(a.detail ->> 'to', a.detail ->> 'status') as status, a.detail ->> 'from' as previous,
       a.detail ->> 'reason' as reason, coalesce((a.detail ->> 'cycle_no')::int, 1) as cycle_no, a.note,
       a.actor_user_id, u.name as actor_name, a.occurred_at as started_at,
       lead(a.occurred_at) over (order by a.occurred_at, a.id) as ended_at
  from crm.activity a
  left join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.actor_user_id
 where a.tenant_id = $1::uuid and a.lead_id = $2::uuid and a.kind in ('lead.created', 'lead.status_changed')
 order by a.occurred_at, a.id
"""


async def status_history(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return every status a lead has had, the first first: who set it, when, why, and until when it lasted.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    await require_visible(tx, lead_id)
    return await tx.fetch(STATUS_HISTORY, tx.actor.tenant_id, lead_id)


ASSIGNMENTS = """
select a.id, a.user_id, u.name as user_name, a.team_id, t.name as team_name, a.reason, a.decision_id,
       d.strategy, d.reasons as decision_reasons, a.assigned_by, b.name as assigned_by_name, a.started_at, a.ended_at
  from crm.lead_assignment a
  left join crm.user_account u on u.tenant_id = a.tenant_id and u.id = a.user_id
  left join crm.team t on t.tenant_id = a.tenant_id and t.id = a.team_id
  left join crm.user_account b on b.tenant_id = a.tenant_id and b.id = a.assigned_by
  left join crm.routing_decision d on d.tenant_id = a.tenant_id and d.id = a.decision_id
 where a.tenant_id = $1::uuid and a.lead_id = $2::uuid
 order by a.started_at, a.id
"""


async def assignments(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return every pair of hands a lead has been in, the first first: whose, since when, given by whom, why.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    await require_visible(tx, lead_id)
    return await tx.fetch(ASSIGNMENTS, tx.actor.tenant_id, lead_id)


def labels(language: str) -> dict[Status, str]:
    """Return the statuses with what people call them."""
    return {status: label[language] for status, label in LABELS.items()}
