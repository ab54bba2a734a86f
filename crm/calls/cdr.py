"""Call detail records: lists of calls, one call with all that happened in it, and exports. No number is anywhere here.

One sees the calls one took or began, those of one's leads and, with the right to, of one's team, or all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from crm import audit, errors, events, filtering, paging, vault
from crm.calls import visible
from crm.calls.known import Direction
from crm.calls.rows import CallNotFound, steps_of
from crm.calls.steps import Status
from crm.calls.story import Outcome
from crm.db import Tx
from crm.filtering import FLAG, ID, INSTANT, NUMBER, TEXT, Clause, Field, Operator, Scene
from crm.operation import operation
from crm.paging import Page
from crm.sql import Args

IN = (Operator.in_, Operator.not_in)
NULLABLE = (*IN, Operator.is_)
DATES = (Operator.gte, Operator.lt, Operator.during)
NUMBERS = (Operator.gte, Operator.lt)
NULL = ("null", "set")
PURPOSES = ("click", "campaign", "callback", "inbound")
SOURCES = ("live", "historical")

FIELDS: dict[str, Field] = {
    "direction": Field("c.direction", TEXT, IN, "Yön", "Direction", choices=tuple(Direction)),
    "purpose": Field("c.purpose", TEXT, IN, "Amaç", "Purpose", choices=PURPOSES),
    "status": Field("c.status", TEXT, IN, "Durum", "Status", choices=tuple(Status)),
    "outcome": Field("c.outcome", TEXT, IN, "Sonuç", "Outcome", choices=tuple(Outcome)),
    "failure": Field("c.failure", TEXT, NULLABLE, "Neden", "Failure", words=NULL),
    "disposition": Field("c.disposition", TEXT, NULLABLE, "Görüşme sonucu", "Disposition", words=NULL),
    "is_forced": Field(
        "c.is_disposition_forced", FLAG, (Operator.is_,), "Kendiliğinden kapanan", "Disposed of by itself",
        words=("true", "false"),
    ),
    "agent": Field("c.agent_user_id", ID, NULLABLE, "Temsilci", "Agent", words=("me", *NULL)),
    "queue": Field("c.queue", TEXT, NULLABLE, "Kuyruk", "Queue", words=NULL),
    "campaign": Field("c.campaign_id", ID, NULLABLE, "Kampanya", "Campaign", words=NULL),
    "callback": Field("c.callback_id", ID, NULLABLE, "Geri arama", "Callback", words=NULL),
    "lead": Field("c.lead_id", ID, NULLABLE, "Başvuru", "Lead", words=NULL),
    "contact": Field("c.contact_id", ID, NULLABLE, "Kişi", "Contact", words=NULL, permission="contact.view"),
    "source": Field("c.source", TEXT, IN, "Kaynak", "Source", choices=SOURCES),
    "requested_at": Field("c.requested_at", INSTANT, DATES, "Başlangıç", "Requested"),
    "ended_at": Field("c.ended_at", INSTANT, (*DATES, Operator.is_), "Bitiş", "Ended", words=NULL),
    "talk_s": Field("c.talk_s", NUMBER, NUMBERS, "Görüşme süresi (sn)", "Talk time (s)"),
    "is_recorded": Field(
        "exists (select from crm.recording r where r.tenant_id = c.tenant_id and r.call_id = c.id"
        " and r.deleted_at is null)",
        FLAG, (Operator.is_,), "Kaydı var", "Is recorded", words=("true", "false"),
    ),
}  # fmt: skip
"""Every filter of the list by name."""

SORTS = {"requested_at": "timestamptz"}
DEFAULT_SORT = "-requested_at"
COLUMNS = (
    "id", "direction", "purpose", "status", "outcome", "failure", "cause", "verdict", "lead_id", "contact_id",
    "agent_user_id", "agent_name", "queue", "campaign_id", "callback_id", "process_version_id", "redials_call_id",
    "requested_by", "requested_at", "started_at", "answered_at", "connected_at", "ended_at", "ring_s", "talk_s",
    "held_s", "wrap_began_at", "wrap_until", "wrap_ended_at", "disposition", "disposition_by", "is_disposition_forced",
    "source", "updated_at",
)  # fmt: skip
"""What a record holds. `agent_name`: of whoever works here, or of whom another system named."""
NAMED = """
coalesce(
  (select u.name from crm.user_account u where u.tenant_id = c.tenant_id and u.id = c.agent_user_id),
  (select a.name from crm.historical_call h
     join crm.outside_agent a on a.tenant_id = h.tenant_id and a.id = h.outside_agent_id
    where h.tenant_id = c.tenant_id and h.call_id = c.id)
)
"""
SELECTED = ", ".join(f"{NAMED} as agent_name" if name == "agent_name" else f"c.{name}" for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for calls: filters (all hold), order, place."""

    clauses: tuple[Clause, ...] = ()
    sort: str = DEFAULT_SORT
    limit: int = 50
    cursor: str | None = None


async def page(tx: Tx, wanted: Wanted, *, now: datetime) -> Page:
    """Return one page of the calls the actor sees, in a single statement.

    Spans of time (`last_24h`) are those of the first page on every page after it.

    :raises paging.UnknownName: when the list has no such sort.
    :raises filtering.FilterNotAllowed: when the actor may not see what a filter looks at.
    :raises crm.cursors.BadCursor: when the cursor is not one of this list, person, sort and filters.
    """
    filtering.require_allowed(wanted.clauses, FIELDS, tx.actor)
    order = paging.order(wanted.sort, SORTS, alias="c")
    texts = [filtering.show(clause, FIELDS) for clause in wanted.clauses]
    cursor = paging.Cursor.of("cdr", tx.actor, sort=wanted.sort, filter=texts)
    after = cursor.read(wanted.cursor, order.kind) if wanted.cursor else None
    scene = await _scene(tx, wanted.clauses, now=(after and after.as_of) or now)
    size = max(1, min(wanted.limit, paging.LARGEST))
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    args = Args()
    sql = _some(tx, wanted.clauses, scene, order, after, size + 1, args)
    found = await tx.fetch(
        f"select x.id, x.{order.column} as place, to_json(x)::text as item from ({sql}) x order by"
        f" {order.sql.replace('c.', 'x.')}",
        *args,
    )
    last = found[size - 1] if len(found) > size else None
    return Page(
        [row["item"] for row in found[:size]], last and cursor.sign(last["place"], last["id"], scene.now)
    )  # fmt: skip


def _some(
    tx: Tx, clauses: Sequence[Clause], scene: Scene, order: paging.Order, after: paging.Place | None, how_many: int,
    args: Args,
) -> str:  # fmt: skip
    """Return the statement for the first rows behind a place: read in order from each branch of what one sees."""
    shared = [f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"]
    if after:
        shared.append(order.after(args, after))
    shared += filtering.conditions(clauses, FIELDS, args, scene)
    parts = [
        f"(select c.* from crm.call c where {' and '.join([*shared, branch])} order by {order.sql} limit {how_many})"
        for branch in visible.branches(tx.actor, args)
    ]
    ids = " union ".join(f"select p.tenant_id, p.id from {part} p" for part in parts)
    rows = parts[0] if len(parts) == 1 else f"(select c.* from ({ids}) i join crm.call c using (tenant_id, id))"
    return f"select {SELECTED} from {rows} c order by {order.sql} limit {how_many}"


async def _scene(tx: Tx, clauses: Sequence[Clause], *, now: datetime) -> Scene:
    if not filtering.has_local_days(clauses):
        return Scene(tx.actor, now)
    zone = await tx.fetchval("select timezone from crm.tenant where tenant_id = $1::uuid", tx.actor.tenant_id)
    return Scene(tx.actor, now, ZoneInfo(zone))


LEGS = """
select leg_id, party, agent_user_id, stage, started_at, rang_at, answered_at, ended_at, cause from crm.call_leg
 where tenant_id = $1::uuid and call_id = $2::uuid order by started_at nulls last, leg_id limit 100
"""
VISITS = """
select visit_no, queue, enqueued_at, left_at, connected_at, ended_at, wait_s, ring_s, talk_s, outcome, agent_user_id,
       missed, in_hours from crm.queue_visit
 where tenant_id = $1::uuid and call_id = $2::uuid order by visit_no limit 100
"""
ASKS = """
select id, kind, status, failure, answer, asked_by, asked_at, sent_at, answered_at from crm.exchange_ask
 where tenant_id = $1::uuid and call_id = $2::uuid order by asked_at, id limit 200
"""


async def read(tx: Tx, call_id: UUID) -> dict[str, Any]:
    """Return a call with its steps, legs, stays in queues, and what was asked of the exchange with what came of it.

    :raises CallNotFound: when there is no such call for the actor.
    """
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(call_id, 'uuid')}"
    row = await tx.fetchrow(
        f"select {SELECTED}, c.steps from crm.call c where {which} and {visible.condition(tx.actor, args)}", *args
    )
    if row is None:
        raise CallNotFound
    legs, visits, asks = [
        [dict(each) for each in await tx.fetch(sql, tx.actor.tenant_id, call_id)] for sql in (LEGS, VISITS, ASKS)
    ]
    asked = [each | {"answer": each["answer"] and vault.scrub(each["answer"])} for each in asks]
    return {**row, "steps": steps_of(row), "legs": legs, "visits": visits, "asks": asked}


MOST_EXPORTED = 50_000
"""Rows of one export at most."""


class TooManyRows(errors.Invalid):
    """So many calls are not exported at once: narrow the filters, by days for instance."""

    code = "cdr.too_many"


@operation("cdr.export")
async def export(tx: Tx, clauses: tuple[Clause, ...], *, now: datetime) -> list[asyncpg.Record]:
    """Return the calls the actor sees of what the filters ask for, the latest first; that it was done is audited.

    :raises TooManyRows: when they are more than `MOST_EXPORTED`.
    :raises filtering.FilterNotAllowed: when the actor may not see what a filter looks at.
    """
    filtering.require_allowed(clauses, FIELDS, tx.actor)
    order, scene, args = paging.order(DEFAULT_SORT, SORTS, alias="c"), await _scene(tx, clauses, now=now), Args()
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    found = await tx.fetch(_some(tx, clauses, scene, order, None, MOST_EXPORTED + 1, args), *args)
    if len(found) > MOST_EXPORTED:
        raise TooManyRows
    told = {"rows": len(found), "fields": sorted({clause.field for clause in clauses})}
    await events.record(tx, "tenant", tx.actor.tenant_id, "cdr.exported", told, at=now)
    await audit.of_person(tx, "cdr.export", "tenant", tx.actor.tenant_id, told, at=now)
    return found
