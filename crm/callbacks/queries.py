"""Looking at callbacks: one sees one's own, those of one's queues, and with the permission to change them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import paging, visibility
from crm.callbacks import rows
from crm.callbacks.figures import BY_CUSTOMER
from crm.callbacks.rows import CallbackNotFound
from crm.db import Tx
from crm.paging import Filter, Operator, Page
from crm.sql import Args

FILTERS = {
    "status": Filter("b.status", "text"),
    "kind": Filter("b.kind", "text"),
    "queue": Filter("b.queue", "text"),
    "agent": Filter("b.agent_user_id", "uuid"),
    "contact": Filter("b.contact_id", "uuid"),
    "lead": Filter("b.lead_id", "uuid"),
    "is_open": Filter("(b.ended_at is null)", "boolean", Operator.holds),
}
# Kept is who was reached by the end of the promise; nobody knows before that.
ITEM = """json_build_object(
  'id', b.id, 'kind', b.kind, 'status', b.status, 'reason', b.reason, 'contact_id', b.contact_id,
  'contact_name', case when {seen} then c.name end, 'phone_masked', c.phone_masked, 'lead_id', b.lead_id,
  'queue', b.queue, 'agent_user_id', b.agent_user_id, 'source_call_id', b.source_call_id,
  'enqueued_at', b.enqueued_at, 'promised_from', b.promised_from, 'promised_until', b.promised_until,
  'due_at', case when b.ended_at is null then b.due_at end, 'attempts', b.attempts, 'call_id', b.call_id,
  'last_outcome', b.last_outcome, 'requested_by', b.requested_by, 'requested_at', b.requested_at,
  'first_attempt_at', b.first_attempt_at, 'reached_at', b.reached_at, 'ended_at', b.ended_at,
  'is_kept', case when b.reached_at is not null then b.reached_at <= b.promised_until
                  when b.status = 'cancelled' and b.reason = '{theirs}' then null
                  when b.ended_at is not null or b.promised_until < {now} then false end)::text"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for callbacks, the latest first; `filters` by the names of `FILTERS`."""

    filters: Mapping[str, Any]
    limit: int = 50
    cursor: str | None = None


async def page(tx: Tx, wanted: Wanted, *, now: datetime) -> Page:
    """Return a page of the callbacks the actor sees.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    order = paging.order("-id", {"id": "uuid"}, alias="b")
    cursor = paging.Cursor.of("callbacks", tx.actor, filter=wanted.filters)
    args = Args()
    where = [f"b.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", _seen(tx, args)]
    where += paging.conditions(FILTERS, wanted.filters, args)
    if wanted.cursor:
        where.append(order.after(args, cursor.read(wanted.cursor, order.kind)))
    size = max(1, min(wanted.limit, paging.LARGEST))
    item = _item(tx, args, now)
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    found = await tx.fetch(
        f"select b.id, {item} as item from crm.callback b"
        " join crm.contact c on c.tenant_id = b.tenant_id and c.id = b.contact_id"
        f" where {' and '.join(where)} order by {order.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1]["id"] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and cursor.sign(None, last))


async def one(tx: Tx, callback_id: UUID, *, now: datetime) -> str:
    """Return a callback as JSON text.

    :raises CallbackNotFound: when there is none for the actor.
    """
    args = Args()
    which = f"b.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and b.id = {args.add(callback_id, 'uuid')}"
    found: str | None = await tx.fetchval(
        f"select {_item(tx, args, now)} from crm.callback b"
        " join crm.contact c on c.tenant_id = b.tenant_id and c.id = b.contact_id"
        f" where {which} and {_seen(tx, args)}",
        *args,
    )
    if found is None:
        raise CallbackNotFound
    return found


async def attempts(tx: Tx, callback_id: UUID) -> list[asyncpg.Record]:
    """Return the attempts of a callback in their order: the call of each, and what came of it.

    :raises CallbackNotFound: when there is no such callback for the actor.
    """
    args = Args([tx.actor.tenant_id, callback_id])
    is_there = f"select true from crm.callback b where b.tenant_id = $1::uuid and b.id = $2::uuid and {_seen(tx, args)}"
    if not await tx.fetchval(is_there, *args):
        raise CallbackNotFound
    return await tx.fetch(
        "select attempt_no, call_id, agent_user_id, outcome, attempted_at, ended_at from crm.callback_attempt"
        " where tenant_id = $1::uuid and callback_id = $2::uuid order by attempt_no",
        tx.actor.tenant_id, callback_id,
    )  # fmt: skip


def _seen(tx: Tx, args: Args) -> str:
    if tx.actor.may("callback.manage") or visibility.sees_all(tx.actor):
        return "true"
    return rows.is_mine(args, tx.actor.user_id)


def _item(tx: Tx, args: Args, now: datetime) -> str:
    seen = visibility.contact_condition(tx.actor, args)
    return ITEM.format(seen=seen, theirs=BY_CUSTOMER, now=args.add(now, "timestamptz"))
