"""Lists of leads (LEAD-6): a page, how many there are, and what to say when there is none. One sees what is theirs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import asyncpg

from crm import filtering, kept, paging, visibility
from crm.db import Tx
from crm.filtering import Clause, Operator, Scene
from crm.leads import columns
from crm.leads.filters import FIELDS
from crm.sql import Args

COUNTED = 10_000
"""Up to so many leads are counted; beyond, the planner's estimate is given and marked as one."""
MERGED = frozenset({"status", "owner", "team", "campaign"})
"""Filters with an index of their own in the order of receipt: a few values are read in order from each and merged."""
MERGED_AT_MOST = 8
TRIED = 8
"""Filters that are left out one by one to find which of them leaves the list empty."""
PATIENCE = "400ms"
"""How long finding that may take."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for leads: filters (all hold), order, columns (none: the usual ones), and whether to count them."""

    clauses: tuple[Clause, ...] = ()
    sort: str = columns.DEFAULT_SORT
    fields: tuple[str, ...] = ()
    limit: int = 50
    cursor: str | None = None
    count: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How many leads there are: counted up to `COUNTED`, estimated beyond."""

    value: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Hint:
    """Why a list is empty: nothing there yet, or nothing that matches; `drop`: filters without which there is some."""

    code: str
    drop: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Listed(paging.Page):
    """A page of leads with its columns, and, where asked for or called for, a count and a hint."""

    columns: tuple[str, ...] = ()
    count: Count | None = None
    hint: Hint | None = None


async def page(tx: Tx, wanted: Wanted, *, language: str, now: datetime) -> Listed:
    """Return one page of the leads the actor sees, in a single statement.

    Spans of time (`last_24h`) are those of the first page on every page after it.

    :raises paging.UnknownName: when the list has no such column or sort.
    :raises columns.ColumnNotAllowed: when the actor may not see a column.
    :raises filtering.FilterNotAllowed: when the actor may not see what a filter looks at.
    :raises crm.cursors.BadCursor: when the cursor is not one of this list, person, sort and filters.
    """
    filtering.require_allowed(wanted.clauses, FIELDS, tx.actor)
    order = paging.order(wanted.sort, columns.SORTS, alias="l")
    fields = columns.chosen(wanted.fields, tx.actor)
    texts = [filtering.show(clause, FIELDS) for clause in wanted.clauses]
    cursor = paging.Cursor.of("leads", tx.actor, sort=wanted.sort, filter=texts)
    after = cursor.read(wanted.cursor, order.kind) if wanted.cursor else None
    scene = await scene_of(tx, wanted.clauses, now=(after and after.as_of) or now)
    size = max(1, min(wanted.limit, paging.LARGEST))
    found = await _rows(tx, wanted.clauses, scene, order, after, columns.item(fields, language), size + 1)
    last = found[size - 1] if len(found) > size else None
    return Listed(
        [row["item"] for row in found[:size]],
        last and cursor.sign(last["place"], last["id"], scene.now),
        fields,
        await _count(tx, wanted.clauses, scene) if wanted.count else None,
        await _hint(tx, wanted.clauses, scene, language) if not found and after is None else None,
    )


async def scene_of(tx: Tx, clauses: Sequence[Clause], *, now: datetime) -> Scene:
    """Return who asks and when; where a filter counts in days, in the zone of the tenant."""
    if not filtering.has_local_days(clauses):
        return Scene(tx.actor, now)
    zone = await tx.fetchval("select timezone from crm.tenant where tenant_id = $1::uuid", tx.actor.tenant_id)
    return Scene(tx.actor, now, ZoneInfo(zone))


async def _rows(
    tx: Tx,
    clauses: Sequence[Clause],
    scene: Scene,
    order: paging.Order,
    after: paging.Place | None,
    item: str,
    how_many: int,
) -> list[asyncpg.Record]:
    args = Args()
    shared = [f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"]
    if after:
        shared.append(order.after(args, after))
    parts = [
        f"(select l.* from crm.lead l where {' and '.join([*shared, *own])} order by {order.sql} limit {how_many})"
        for own in _branches(clauses, scene, order, args)
    ]
    sql = (
        f"select l.id, l.{order.column} as place, {item} as item"
        f" from {_united(parts)} l {columns.JOINS} order by {order.sql} limit {how_many}"
    )
    if not clauses and order.column == "received_at":  # read in order from one index: nothing is quicker
        return await tx.fetch(sql, *args)
    return await _fetch(tx, clauses, sql, args)


async def _fetch(tx: Tx, clauses: Sequence[Clause], sql: str, args: Args) -> list[asyncpg.Record]:
    """Return the rows of a statement planned for its values, from what was kept where that is sure to hold still."""
    if filtering.holds_for_now_only(clauses, FIELDS):
        return await kept.read(tx, sql, *args)
    return await kept.fetch(tx, sql, *args)


def _branches(clauses: Sequence[Clause], scene: Scene, order: paging.Order, args: Args) -> list[list[str]]:
    """Return sets of conditions, each read in order from an index of its own, whose union is what was asked for."""
    if order.column != "received_at":
        seen = visibility.condition(scene.actor, args)
        return [[*filtering.conditions(clauses, FIELDS, args, scene), seen]]
    seen_in = visibility.branches(scene.actor, args)
    split = next((each for each in clauses if _is_split(each)), None)
    if split is None or len(seen_in) > 1:
        where = filtering.conditions(clauses, FIELDS, args, scene)
        return [[*where, branch] for branch in seen_in]
    where = filtering.conditions([each for each in clauses if each is not split], FIELDS, args, scene)
    each_value = [Clause(split.field, split.operator, (value,)) for value in split.values]
    return [[*where, one, *seen_in] for one in filtering.conditions(each_value, FIELDS, args, scene)]


def _is_split(clause: Clause) -> bool:
    return clause.field in MERGED and clause.operator is Operator.in_ and 1 < len(clause.values) <= MERGED_AT_MOST


def _united(parts: Sequence[str]) -> str:
    """Return rows of several parts as one, each row once: parts may overlap, so their ids are united first."""
    if len(parts) == 1:
        return parts[0]
    ids = " union ".join(f"select p.tenant_id, p.id from {part} p" for part in parts)
    return f"(select l.* from ({ids}) i join crm.lead l using (tenant_id, id))"


def matching(clauses: Sequence[Clause], scene: Scene, args: Args) -> str:
    """Return the condition on `crm.lead l` for what the actor sees of what the filters ask for.

    The tenant is left to row-level security: said twice, the planner would count it twice in its estimates.
    """
    return " and ".join(
        [*filtering.conditions(clauses, FIELDS, args, scene), visibility.condition(scene.actor, args)]
    )  # fmt: skip


async def count(tx: Tx, clauses: Sequence[Clause], *, now: datetime) -> Count:
    """Return how many leads the actor sees of what the filters ask for.

    :raises filtering.FilterNotAllowed: when the actor may not see what a filter looks at.
    """
    filtering.require_allowed(clauses, FIELDS, tx.actor)
    return await _count(tx, clauses, await scene_of(tx, clauses, now=now))


async def _count(tx: Tx, clauses: Sequence[Clause], scene: Scene) -> Count:
    args = Args()
    found = f"select from crm.lead l where {matching(clauses, scene, args)}"
    counted = (await _fetch(tx, clauses, f"select count(*) from ({found} limit {COUNTED + 1}) l", args))[0][0]
    if counted <= COUNTED:
        return Count(counted, is_exact=True)
    plan = (await _fetch(tx, clauses, f"explain (format json) {found}", args))[0][0]
    guess = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"]
    return Count(max(COUNTED + 1, int(guess)), is_exact=False)


async def _hint(tx: Tx, clauses: Sequence[Clause], scene: Scene, language: str) -> Hint:
    """Return why the list is empty: leave each filter out and look whether there is something then."""
    args, tried = Args(), clauses[:TRIED]
    without = [[each for each in clauses if each is not left_out] for left_out in tried]
    asked = ", ".join(
        f"exists (select from crm.lead l where {matching(rest, scene, args)})" for rest in ([], *without)
    )  # fmt: skip
    await tx.execute(f"savepoint hint; set local statement_timeout = '{PATIENCE}'")
    try:
        row = await tx.fetchrow(f"select {asked}", *args)
        there = tuple(row) if row else ()
    except asyncpg.QueryCanceledError:
        there = (True,)
    finally:
        await tx.execute("rollback to savepoint hint")  # which takes the time limit back, too
    if not there[0]:
        return Hint("leads.none_yet", (), _say(language, "Burada henüz başvuru yok.", "There are no leads here yet."))
    drop = tuple(dict.fromkeys(clause.field for clause, some in zip(tried, there[1:], strict=False) if some))
    return Hint("leads.none_match", drop, _none_match(drop, language))


def _none_match(drop: Sequence[str], language: str) -> str:
    names = ", ".join(getattr(FIELDS[field], language) for field in drop)
    if not drop:
        return _say(
            language, "Bu filtrelere uyan başvuru yok; birkaçını kaldırın.",
            "No lead matches these filters; take several of them away.",
        )  # fmt: skip
    return _say(
        language, f"Bu filtrelere uyan başvuru yok; şunlardan birini kaldırınca var: {names}.",
        f"No lead matches these filters; there are some without one of: {names}.",
    )  # fmt: skip


def _say(language: str, tr: str, en: str) -> str:
    return en if language == "en" else tr
