"""Looking at what needs a person: one list of all kinds, the latest first, and each item masked."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import paging, vault
from crm.contacts.queries import ITEM as CONTACT
from crm.db import Tx
from crm.duplicates import candidates
from crm.paging import Page
from crm.review import operations, rows, rules
from crm.review.operations import ItemNotFound
from crm.review.rules import Kind
from crm.sql import Args

MOST_COUNTED = 10_000
"""Up to here counts are exact."""

# What is open of each kind, as one shape: id, at, source, reasons, and what is particular to the kind.
OPEN = {
    Kind.import_row: """
        select r.id, r.created_at as at, i.source, r.codes as reasons,
               json_build_object('import_id', r.import_id, 'row_no', r.row_no) as detail
          from crm.import_rejection r
          join crm.import_run i on i.tenant_id = r.tenant_id and i.id = r.import_id and not i.is_dry_run
         where r.tenant_id = {tenant} and r.resolved_at is null""",
    Kind.inbox_message: """
        select m.id, m.processed_at as at, m.source, array[coalesce(m.last_error, 'unknown')] as reasons,
               json_build_object('connection_id', m.connection_id, 'attempts', m.attempts) as detail
          from crm.inbox_message m
         where m.tenant_id = {tenant} and m.status = 'failed' and m.processed_at is not null
           and not exists (select from crm.review_resolution s
                            where s.tenant_id = m.tenant_id and s.kind = 'inbox_message' and s.item_id = m.id
                              and s.resolved_at >= m.processed_at)""",
    Kind.duplicate: """
        select d.id, d.found_at as at, d.source, d.reasons,
               json_build_object('first_id', first.id, 'second_id', second.id, 'score', d.score) as detail
          from crm.duplicate_candidate d {sides}
         where d.tenant_id = {tenant} and {to_decide}""",
}
SORT = "-at"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for what needs a person; a filter that is None or empty asks for nothing. `until` is left out."""

    kinds: Collection[Kind] = ()
    source: str | None = None
    reason: str | None = None
    import_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str | None = None

    @property
    def filters(self) -> list[Any]:
        """What a cursor is bound to."""
        return [sorted(self.kinds), self.source, self.reason, self.import_id, self.since, self.until]


def _open(tx: Tx, kind: Kind, wanted: Wanted, args: Args, tenant: str) -> str:
    to_decide = candidates.to_decide(tx, args) if kind is Kind.duplicate else ""
    conditions = ["true"]
    if wanted.source:
        conditions.append(f"o.source = {args.add(wanted.source, 'text')}")
    if wanted.reason:
        conditions.append(f"{args.add(wanted.reason, 'text')} in (select unnest(o.reasons))")
    if wanted.import_id:
        conditions.append(f"(o.detail ->> 'import_id')::uuid = {args.add(wanted.import_id, 'uuid')}")
    if wanted.since:
        conditions.append(f"o.at >= {args.add(wanted.since, 'timestamptz')}")
    if wanted.until:
        conditions.append(f"o.at < {args.add(wanted.until, 'timestamptz')}")
    rows_of = OPEN[kind].format(tenant=tenant, sides=candidates.SIDES, to_decide=to_decide)
    return f"select '{kind}' as kind, o.* from ({rows_of}) o where {' and '.join(conditions)}"


ROW = "json_build_object('kind', o.kind, 'id', o.id, 'at', o.at, 'source', o.source, 'reasons', o.reasons)::jsonb"


async def page(tx: Tx, wanted: Wanted) -> Page:
    """Return one page of what needs a person, the latest first, as far as the actor sees it.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    places = paging.Cursor.of("review", tx.actor, sort=SORT, filter=wanted.filters)
    order = paging.Order("at", "timestamptz", True, "o")
    args = Args()
    tenant = args.add(tx.actor.tenant_id, "uuid")
    after = f"where {order.after(args, places.read(wanted.cursor, order.kind))}" if wanted.cursor else ""
    size = max(1, min(wanted.limit, paging.LARGEST))
    parts = " union all ".join(
        f"(select o.* from ({_open(tx, kind, wanted, args, tenant)}) o {after} order by {order.sql} limit {size + 1})"
        for kind in wanted.kinds or Kind
    )
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    found = await tx.fetch(
        f"select o.id, o.at, ({ROW} || o.detail::jsonb)::text as item from ({parts}) o"
        f" order by {order.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and places.sign(last["at"], last["id"]))


async def counts(tx: Tx, wanted: Wanted) -> dict[str, int]:
    """Return how many items of each kind there are, exactly up to `MOST_COUNTED`; one more stands for `more`."""
    args = Args()
    tenant = args.add(tx.actor.tenant_id, "uuid")
    columns = ", ".join(
        f"(select count(*) from ({_open(tx, kind, wanted, args, tenant)} limit {MOST_COUNTED + 1}) c)::int as {kind}"
        for kind in wanted.kinds or Kind
    )
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    row = await tx.fetchrow(f"select {columns}", *args)
    return dict(row or {})


HISTORY = """
select s.outcome, s.reason, s.lead_id, s.fields, s.resolved_by, u.name as resolved_by_name, s.resolved_at
  from crm.review_resolution s
  left join crm.user_account u on u.tenant_id = s.tenant_id and u.id = s.resolved_by
 where s.tenant_id = $1::uuid and s.kind = $2::text and s.item_id = $3::uuid order by s.resolved_at, s.id
"""


async def read(tx: Tx, kind: Kind, item_id: UUID) -> dict[str, Any]:
    """Return one item, open or not: its fields masked, what is wrong with each, and what became of it before.

    :raises ItemNotFound: when there is no such item for the actor.
    :raises crm.vault.Unreadable: when what it said was erased.
    """
    reading = {Kind.import_row: _row, Kind.inbox_message: _message, Kind.duplicate: _duplicate}[kind]
    item = await reading(tx, item_id)
    history = await tx.fetch(HISTORY, tx.actor.tenant_id, kind.value, item_id)
    return {"kind": kind, "id": item_id, "history": [dict(each) for each in history], **item}


async def _row(tx: Tx, item_id: UUID) -> dict[str, Any]:
    row = await tx.fetchrow(
        "select import_id, row_no, key_id, sealed, errors, codes, created_at, resolved_at from crm.import_rejection"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, item_id,
    )  # fmt: skip
    if row is None:
        raise ItemNotFound
    rejected = await rows.opened(tx, row)
    return {
        "at": row["created_at"], "source": rejected.run.mapping.source, "reasons": row["codes"],
        "is_open": row["resolved_at"] is None, "import_id": row["import_id"], "row_no": row["row_no"],
        "fields": rows.shown(rejected), "fault": rejected.faults.get("row"),
    }  # fmt: skip


MESSAGE = """
select m.connection_id, m.source, m.status, m.attempts, m.last_error, m.key_id, m.sealed,
       coalesce(m.processed_at, m.received_at) as at,
       m.status = 'failed' and not exists (
         select from crm.review_resolution s where s.tenant_id = m.tenant_id and s.kind = 'inbox_message'
            and s.item_id = m.id and s.resolved_at >= m.processed_at) as is_open
  from crm.inbox_message m where m.tenant_id = $1::uuid and m.id = $2::uuid
"""


async def _message(tx: Tx, item_id: UUID) -> dict[str, Any]:
    row = await tx.fetchrow(MESSAGE, tx.actor.tenant_id, item_id)
    if row is None:
        raise ItemNotFound
    document = operations.as_json(await operations.body(tx, row))
    return {
        "at": row["at"], "source": row["source"], "reasons": [row["last_error"]] if row["last_error"] else [],
        "is_open": row["is_open"], "connection_id": row["connection_id"], "attempts": row["attempts"],
        "fields": [
            {"name": vault.scrub(name), "value": rules.shown(name, value), "fault": None}
            for name, value in (rules.fields(document) if document is not None else ())
        ],
        "fault": None if document is not None else "the message is no JSON",
    }  # fmt: skip


# While it is open, the two as they are now; decided, the two of whom it was.
DUPLICATE = f"""
select d.found_at as at, d.source, d.reasons, d.score, d.status, d.dismissal_reason, d.decided_by, d.decided_at,
       d.merge_id, d.status = 'open' and first.id <> second.id as is_open,
       case d.status when 'open' then array[first.id, second.id] else array[d.first_id, d.second_id] end as pair
  from crm.duplicate_candidate d {candidates.SIDES}
 where d.tenant_id = $1::uuid and d.id = $2::uuid
"""
TWINS = f"""
select {CONTACT} as item,
       (select count(*) from crm.lead l where l.tenant_id = c.tenant_id and l.contact_id = c.id)::int as leads
  from crm.contact c where c.tenant_id = $1::uuid and c.id in (select unnest($2::uuid[])) order by c.id
"""


async def _duplicate(tx: Tx, item_id: UUID) -> dict[str, Any]:
    args = Args([tx.actor.tenant_id, item_id])
    row = await tx.fetchrow(f"{DUPLICATE} and {candidates.visible(tx, args)}", *args)
    if row is None:
        raise ItemNotFound
    twins = await tx.fetch(TWINS, tx.actor.tenant_id, row["pair"])
    contacts = [{**json.loads(twin["item"]), "leads": twin["leads"]} for twin in twins]
    return {
        **{name: value for name, value in row.items() if name != "pair"},
        "first_id": row["pair"][0],
        "second_id": row["pair"][1],
        "contacts": contacts,
        "suggested_winner_id": suggested(contacts),
    }


def suggested(contacts: Collection[Mapping[str, Any]]) -> str:
    """Return the contact that should stay: the one with more enquiries, of two equal ones the one known longer."""
    best = min(contacts, key=lambda each: (-each["leads"], each["created_at"], each["id"]))
    return str(best["id"])
