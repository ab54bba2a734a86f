"""Asking for metrics: a typed question in, rows under the KPI.md keys out, with what is needed to trust them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import asyncpg

from crm import errors
from crm.db import Tx
from kpis import compiler
from kpis.compiler import Condition, Definition

Grain = Literal["day", "week", "month", "quarter"]
Operator = Literal["in", "not_in", "is_null", "not_null"]

OPERATORS: Mapping[str, str] = {
    "in": "{column} = any({value}::text[])",
    "not_in": "({column} is null or {column} <> all({value}::text[]))",
    "is_null": "{column} is null",
    "not_null": "{column} is not null",
}
"""What a filter may say. The SQL is ours; the values are bound, never written into it."""


class Unknown(errors.Invalid):
    """There is no such metric or dimension."""

    code = "kpi.unknown"


class NotPublished(errors.Unavailable):
    """The marts are not built yet: run `santral pipeline run`."""

    code = "kpi.not-published"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a dimension: `in` or `not_in` some values, or `is_null` / `not_null`."""

    dim: str
    op: Operator = "in"
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Which metrics, by which dimensions, in which grain of time, of which business days `[since, until)` (R1)."""

    metrics: Sequence[str]
    by: Sequence[str] = ()
    grain: Grain | None = None
    since: date | None = None
    until: date | None = None
    filters: Sequence[Filter] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of values, and how far they can be trusted."""

    rows: list[dict[str, Any]]
    metrics: tuple[str, ...]
    """Every metric in the rows: those asked for and those that belong with them."""
    definition: str
    """Hash of the definitions; it changes when a number may mean something else."""
    as_of: datetime
    """The rows hold everything that had ended by then (UTC)."""
    freshness_s: float
    """Seconds between `as_of` and now."""


def catalogue() -> list[Definition]:
    """Return the metrics one can ask for, by name."""
    public = (item for item in compiler.definitions().values() if not item.meta.get("internal"))
    return sorted(public, key=lambda item: item.name)


async def load_catalogue() -> list[Definition]:
    """Return the catalogue without holding up the event loop, which the first time takes seconds."""
    return await asyncio.to_thread(catalogue)


def described(item: Definition) -> dict[str, Any]:
    """Return a metric as JSON knows it."""
    return {
        "name": item.name,
        "label": item.label,
        "description": item.description,
        "unit": item.meta.get("unit", ""),
        "formula": item.meta.get("formula", ""),
        "owner": item.meta.get("owner", ""),
        "maturity_days": item.meta.get("maturity_days", 0),
        "dimensions": sorted(item.dimensions),
    }


def dimensions() -> frozenset[str]:
    """Return the short names of all dimensions of all metrics."""
    return frozenset(name for item in catalogue() for name in item.dimensions)


async def ask(tx: Tx, query: Query, *, now: datetime) -> Answer:
    """Answer a question from the published marts of the transaction's tenant.

    Metrics that need other group-bys than their neighbours (the funnel is always by stage) come in rows of their own.
    A row with a metric that looks ahead carries `is_mature`: false while one of its cycles is younger than the window.

    :raises Unknown: when a metric is unknown or does not have a dimension.
    :raises NotPublished: when the pipeline has not run yet.
    """
    await load_catalogue()
    wanted = _with_companions(query)
    groups = _groups(wanted, query)
    try:
        as_of = await _as_of(tx)
        rows = [row for group in groups for row in await _rows(tx, group, query, as_of=as_of)]
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise NotPublished from error
    names = tuple(item.name for item in wanted)
    return Answer(rows, names, compiler.definition_hash(names), as_of, max((now - as_of).total_seconds(), 0.0))


def _with_companions(query: Query) -> list[Definition]:
    if not query.metrics:
        raise Unknown(
            f"name a metric: {', '.join(item.name for item in catalogue())}", fields={"metrics": "at least one"}
        )
    known = compiler.definitions()
    found: dict[str, Definition] = {}
    for name in query.metrics:
        if name not in known or known[name].meta.get("internal"):
            choice = ", ".join(item.name for item in catalogue())
            raise Unknown(f"there is no metric {name!r}; there are {choice}", fields={"metrics": f"unknown: {name}"})
        for one in (name, *known[name].meta.get("with", ())):
            found.setdefault(one, known[one])
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Group:
    """Metrics that share their group-bys, so that one statement answers them."""

    metrics: tuple[Definition, ...]
    by: tuple[str, ...]


def _groups(wanted: Sequence[Definition], query: Query) -> list[_Group]:
    together: dict[tuple[str, ...], list[Definition]] = {}
    for item in wanted:
        by = tuple(dict.fromkeys([*query.by, *item.meta.get("always_by", ())]))
        for name in (*by, *(one.dim for one in query.filters)):
            if name not in item.dimensions:
                choice = ", ".join(sorted(item.dimensions))
                raise Unknown(
                    f"{item.name} has no dimension {name!r}; it has {choice}", fields={"by": f"unknown: {name}"}
                )
        together.setdefault(by, []).append(item)
    return [_Group(tuple(items), by) for by, items in together.items()]


async def _rows(tx: Tx, group: _Group, query: Query, *, as_of: datetime) -> list[dict[str, Any]]:
    named = group.metrics[0].dimensions
    columns = {named[name]: name for name in group.by}
    if query.grain:
        columns = {f"metric_time__{query.grain}": "metric_time", **columns}
    youngest = {item.meta["youngest"] for item in group.metrics if item.meta.get("maturity_days")}
    bound = [one for one in query.filters if "{value}" in OPERATORS[one.op]]
    sql = await asyncio.to_thread(
        compiler.compile_sql,
        (*(item.name for item in group.metrics), *sorted(youngest)),
        tuple(columns),
        query.since,
        query.until,
        tuple(
            Condition(named[one.dim], OPERATORS[one.op], bound.index(one) + 1 if one in bound else 0)
            for one in query.filters
        ),
    )
    found = await tx.fetch(sql, *(list(one.values) for one in bound))
    rows = [_row(group, columns, record, as_of=as_of) for record in found]
    return sorted(rows, key=lambda row: _order(group, row, list(columns.values())))


def _row(group: _Group, columns: Mapping[str, str], record: asyncpg.Record, *, as_of: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {short: _plain(record[name]) for name, short in columns.items()}
    row |= {item.name: _plain(record[item.name]) for item in group.metrics}
    windows = [
        (item.meta["maturity_days"], record[item.meta["youngest"]])
        for item in group.metrics
        if item.meta.get("maturity_days")
    ]
    if windows:
        row["is_mature"] = all(_closed(days, seconds, as_of) for days, seconds in windows)
    return row


def _closed(days: int, youngest_s: Decimal | None, as_of: datetime) -> bool:
    if youngest_s is None:
        return False
    return datetime.fromtimestamp(float(youngest_s), UTC) + timedelta(days=days) <= as_of


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; the instant that starts a period is its day."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _order(group: _Group, row: Mapping[str, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    """Sort by the keys in their order; values that have an order of their own (stages) in that, nothing last."""
    orders: dict[str, list[str]] = {}
    for item in group.metrics:
        orders |= item.meta.get("order", {})
    return tuple(
        (row[key] is None, orders[key].index(row[key]) if key in orders and row[key] in orders[key] else str(row[key]))
        for key in keys
    )


async def _as_of(tx: Tx) -> datetime:
    # Days start at midnight of the session's zone when PostgreSQL makes an instant of a date.
    await tx.execute("set local timezone to 'UTC'")
    as_of: datetime | None = await tx.fetchval("select min(as_of) from ops.publication")
    if as_of is None:
        raise NotPublished
    return as_of


async def published_at(tx: Tx) -> datetime | None:
    """Return up to when the published marts hold everything (UTC); None: the pipeline has not run yet."""
    as_of: datetime | None = await tx.fetchval("select min(as_of) from ops.publication")
    return as_of
