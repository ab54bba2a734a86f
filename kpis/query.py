"""Asking for metrics: a typed question in, rows under the KPI.md keys out, with what is needed to trust them."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import Any

import asyncpg
import structlog

from crm import errors
from crm.db import Tx
from kpis import access, answers, catalogue, compiler, definitions, publications, questions
from kpis.access import Scope
from kpis.answers import Rows, Statement
from kpis.cache import Kept
from kpis.catalogue import Definition
from kpis.publications import NotPublished, Standing
from kpis.questions import Filter, Grain, Operator, Order, Query, Unknown

__all__ = ["Answer", "Filter", "Grain", "NotPublished", "Operator", "Order", "Query", "Unknown", "ask", "published_at"]

log = structlog.get_logger("kpis.query")

LISTED = "the catalogue lists them: `santral kpi list`, GET /kpis"
MOST_GROUPS = 50_000
"""So many rows may come of one statement; more are no answer for people, and would be held in memory."""
MANY_GROUPS = 2_000
"""Rows that are worked on beside the event loop."""
LONGEST_S = 30
"""So long the database may take for a question."""
kept: Kept[Rows] = Kept(1_000_000, weigh=lambda found: 20 + sum(map(len, found.rows)))
"""Rows by tenant, scope, question, definitions and publication: so many values in all, about a hundred megabytes."""


class TooMuch(errors.Invalid):
    """This asks for too much at once."""

    code = "kpi.too-much"


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of values, and how far they can be trusted."""

    rows: list[dict[str, Any]]
    metrics: tuple[str, ...]
    """Every metric in the rows: those asked for and those that belong with them."""
    definition: str
    """Hash of the definitions; it changes when a number may mean something else."""
    definitions: Mapping[str, str]
    """The hash of each; in a later question it asks for the same definition again."""
    as_of: datetime
    """The rows hold everything that had ended by then (UTC)."""
    freshness_s: float
    """Seconds between `as_of` and now."""
    suppressed: int = 0
    """Rows of which something is not told, because too few made it."""
    is_cut: bool = False
    """Whether there were more rows than the limit."""
    without_source: tuple[str, ...] = ()
    """Metrics whose source comes later: they are null."""
    unpublished: tuple[str, ...] = ()
    """Metrics whose marts have not been published yet: they are null."""
    team: str | None = None
    """The one team of which the answer tells, where the asker may see no other."""


async def ask(tx: Tx, query: Query, *, now: datetime, fresh: bool = False) -> Answer:
    """Answer a question from the published marts of the transaction's tenant, as far as its actor may know.

    Metrics that need other group-bys than their neighbours (the funnel is always by stage) come in rows of their own.
    A row with a metric that looks ahead carries `is_mature`: false while one of its cohorts is younger than the window.
    `fresh`: ask the database even when the answer is at hand.

    :raises Unknown: when a metric or a definition is unknown, or a metric does not have a dimension.
    :raises BadFilter: when a filter does not fit its dimension.
    :raises NotYours: when the actor's role may not see a metric.
    :raises TooMuch: when it makes too many groups, or takes too long.
    :raises NotPublished: when the pipeline has not run yet.
    :raises HeldBack: when the firm's numbers stood still at that instant, because what had come in was bad.
    :raises NotRebuilt: when the numbers as of that instant are not at hand.
    :raises Outlived: when an earlier definition reads what is no longer kept.
    """
    questions.check(query)
    scope = access.scope_of(tx.actor)
    items = await _items(tx, query, scope)
    statements = answers.statements(items, query, scope)
    questions.check_order(query, answers.columns(statements, query))
    domains = {domain for item in items for domain in item.domains}
    state = await publications.standing_at(tx, query.as_of, domains, now=now)
    ready = [item for item in items if state.holds(item.domains)]
    if not ready:
        raise NotPublished
    statements = answers.statements(ready, query, scope)
    rows, state = await _rows(tx, statements, query, scope, state, now=now, fresh=fresh)
    domains = {domain for item in ready for domain in item.domains}
    missing = [item.name for item in items if item not in ready]
    if scope.floor and tx.actor.user_id:
        _remember(tx, query)
    return _answer(items, answers.completed(rows, missing), state.as_of(domains), query, scope, missing, now=now)


def _remember(tx: Tx, query: Query) -> None:
    """Write down what somebody asked who may see no person: many questions that overlap could be subtracted from one
    another. What a filter names stays out of it."""
    log.info(
        "kpi_asked", user_id=str(tx.actor.user_id), metrics=list(query.metrics), by=list(query.by), grain=query.grain,
        filters=[f"{one.dim}:{len(one.values)}" for one in query.filters], since=str(query.since or ""),
        until=str(query.until or ""), as_of=str(query.as_of or ""),
    )  # fmt: skip


async def _items(tx: Tx, query: Query, scope: Scope) -> list[Definition]:
    """Return the definitions of all metrics of a question, with those that belong with them."""
    await catalogue.load()
    found: dict[str, Definition] = {}
    for name in _known(query.metrics):
        item = catalogue.definitions()[name]
        if name in query.definitions:
            item = await definitions.get(tx, name, query.definitions[name])
        if not scope.allows(item.section):
            raise access.NotYours(f"{name} is not for your role", fields={"metrics": f"not yours: {name}"})
        found[name] = item
        for one in item.meta.get("with", ()):
            other = catalogue.definitions().get(one)  # an earlier definition may name what there is no more
            if other and scope.allows(other.section):
                found.setdefault(one, other)
    return list(found.values())


def _known(metrics: Sequence[str]) -> list[str]:
    known = [item.name for item in catalogue.public()]
    if not metrics:
        raise Unknown(f"name a metric; {LISTED}", fields={"metrics": "at least one"})
    for name in metrics:
        if name not in known:
            like = ", ".join(get_close_matches(name, known))
            hint = f"did you mean {like}?" if like else LISTED
            raise Unknown(f"there is no metric {name!r}; {hint}", fields={"metrics": f"unknown: {name}"})
    return list(dict.fromkeys(metrics))


async def _rows(
    tx: Tx, statements: Sequence[Statement], query: Query, scope: Scope, state: Standing, *, now: datetime, fresh: bool
) -> tuple[Rows, Standing]:
    """Return the rows and the publication they are of: one publication, also while the next one is coming.

    The next one may be later than the instant that was asked for, and then no longer answers for it.
    """
    domains = {domain for one in statements for item in one.items for domain in item.domains}
    while True:
        stamp = state.stamp(domains)
        hashes = tuple(item.hash for one in statements for item in one.items)
        key = (tx.actor.tenant_id, scope, query.key, hashes, stamp)
        if not fresh and key in kept:
            return await kept.get(key, _nothing), state
        make = _Making(tx, statements, query, scope, state)
        rows = await make() if fresh else await kept.get(key, make)
        stands = await publications.standing_at(tx, query.as_of, domains, now=now)
        if stands.stamp(domains) == stamp:
            return rows, state
        kept.forget(key)
        state = stands


async def _nothing() -> Rows:
    raise AssertionError("unreachable: the key is there")


SETTINGS = f"""
set local work_mem to '16MB'; set local statement_timeout to '{LONGEST_S}s';
set local plan_cache_mode to 'force_custom_plan'; set local max_parallel_workers_per_gather to 0
"""
"""Percentiles sort; a month is read otherwise than a year. Pages and people ask many questions at once: a question that
takes a second core takes it from another, and costs more."""


@dataclass(frozen=True, slots=True)
class _Making:
    """Asks the database."""

    tx: Tx
    statements: Sequence[Statement]
    query: Query
    scope: Scope
    state: Standing

    async def __call__(self) -> Rows:
        await self.tx.execute(SETTINGS)
        left, found = float(LONGEST_S), list[tuple[Statement, list[asyncpg.Record]]]()
        for one in self.statements:
            sql = await compiler.apart(one.sql, self.query, self.state.schema)
            began = time.monotonic()
            found.append((one, await self._records(one, sql, left)))
            left -= time.monotonic() - began
        make = partial(answers.rows_of, found, self.query, as_of=self.state.as_of)
        # Many rows take seconds, in which nobody else would be answered.
        return await asyncio.to_thread(make) if sum(len(records) for _, records in found) > MANY_GROUPS else make()

    async def _records(self, one: Statement, sql: str, left: float) -> list[asyncpg.Record]:
        try:
            if left < LONGEST_S:
                await self.tx.execute(f"set local statement_timeout to {max(1, round(left * 1000))}")
            found = await self.tx.fetch(f"{sql}\nlimit {MOST_GROUPS + 1}", *one.values(self.query))
        except asyncpg.QueryCanceledError as error:
            raise TooMuch(
                f"this took more than {LONGEST_S} seconds: ask for fewer days or metrics, or by less",
                fields={"metrics": "too much at once"},
            ) from error
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InvalidSchemaNameError) as error:
            if self.query.definitions:
                raise definitions.outlived(list(one.items), error) from error
            raise NotPublished from error
        if len(found) > MOST_GROUPS:
            raise TooMuch(
                f"this makes more than {MOST_GROUPS:,} groups: ask by fewer dimensions, of fewer days, a coarser grain",
                fields={"by": "too many groups"},
            )
        return found


def _answer(
    items: Sequence[Definition],
    rows: Rows,
    as_of: datetime,
    query: Query,
    scope: Scope,
    missing: Collection[str],
    *,
    now: datetime,
) -> Answer:
    ordered = answers.ordered(rows.rows, query.order)
    return Answer(
        rows=ordered[: query.limit],
        metrics=tuple(item.name for item in items),
        definition=catalogue.hash_of(items),
        definitions={item.name: item.hash for item in items},
        as_of=as_of,
        freshness_s=max((now - as_of).total_seconds(), 0.0),
        suppressed=rows.suppressed,
        is_cut=len(ordered) > query.limit,
        without_source=tuple(item.name for item in items if not item.has_source),
        unpublished=tuple(missing),
        team=str(scope.team) if scope.team else None,
    )


async def published_at(tx: Tx) -> datetime | None:
    """Return up to when the published marts hold everything (UTC); None: the pipeline has not run yet."""
    state = await publications.standing(tx)
    return state.as_of(state.domains) if state.domains else None
