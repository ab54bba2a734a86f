"""From definitions to statements, and from their records to rows: grouping, merging, maturity, what is not told."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any
from uuid import UUID

from kpis import compiler, manifest, questions, suppression
from kpis.access import FLOOR, Scope
from kpis.catalogue import Definition
from kpis.compiler import TIME, Condition, Source
from kpis.questions import Filter, Order, Query

MARKS = ("is_mature", "is_suppressed")
"""What a row says of its values."""
MACHINES = 7
"""The section of the catalogue about the platform itself."""
DAYS = {"since": "{column} >= {value}::date", "until": "{column} < {value}::date"}
"""What a question says of days: those in `[since, until)`."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """Metrics that one SELECT answers: counted from the same tables, by the same names."""

    items: tuple[Definition, ...]
    by: tuple[str, ...]
    """Short names of the dimensions."""
    filters: tuple[Filter, ...]
    counts_rows: bool
    """Whether to count what stands behind each value, too."""

    def values(self, query: Query) -> list[list[str] | date]:
        """Return what is bound to the statement's placeholders."""
        return [
            *(list(one.values) for one in self.filters if _is_bound(one)),
            *(getattr(query, end) for end in DAYS if getattr(query, end)),
        ]

    def columns(self, query: Query) -> dict[str, str]:
        """Return the group-bys: MetricFlow's name → ours."""
        named = self.items[0].dimensions
        columns = {named[name].dunder: name for name in self.by}
        return {f"{TIME}__{query.grain}": TIME, **columns} if query.grain else columns

    def sql(self, query: Query, schema: str) -> str:
        """Return the SELECT; compiling takes a moment, so never on the event loop."""
        extras = dict.fromkeys(name for pair in self.extras() for name in pair if name)
        return compiler.compile_sql(
            self._counted.source,
            [*(self.column(item) for item in self.items), *extras],
            list(self.columns(query)),
            self._conditions(query),
            schema=schema,
        )

    def column(self, item: Definition) -> str:
        """Return the column in which the values of a metric stand."""
        return self._counted.names.get(item.name, item.name)

    def _conditions(self, query: Query) -> list[Condition]:
        """Return the conditions, the bound ones numbered as their values come."""
        named, number = self.items[0].dimensions, count(1)
        return [
            *(
                Condition(
                    named[one.dim].dunder,
                    questions.condition(one, named[one.dim].kind),
                    next(number) if _is_bound(one) else 0,
                )
                for one in self.filters
            ),
            *(Condition(TIME, sql, next(number)) for end, sql in DAYS.items() if getattr(query, end)),
        ]

    def extras(self) -> list[tuple[str | None, str | None]]:
        """Return, for each metric, the columns that count the rows behind it and say how young the youngest is."""
        return [(rows if self.counts_rows else None, youngest) for rows, youngest in self._counted.extras]

    @property
    def _counted(self) -> "_Counted":
        return _counted(tuple(_Same(item) for item in self.items))


@dataclass(frozen=True, slots=True)
class _Same:
    """A definition as a key: its name and hash say it all."""

    item: Definition

    def __hash__(self) -> int:
        return hash((self.item.name, self.item.hash))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and (self.item.name, self.item.hash) == (other.item.name, other.item.hash)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What is compiled for some metrics: with what counts the rows behind each and says how young the youngest is."""

    source: Source
    extras: Sequence[tuple[str, str | None]]
    names: Mapping[str, str]
    """Under which other name a metric is asked for."""


@lru_cache(maxsize=512)
def _counted(wanted: tuple[_Same, ...]) -> _Counted:
    found = [manifest.counted(one.item.part, one.item.name) for one in wanted]
    asked = [one.item.name for one in wanted] + [name for _, *extra in found for name in extra if name]
    part, names = manifest.read_once(manifest.together(part for part, _, _ in found), asked)
    key = tuple(word for one in wanted for word in (one.item.name, one.item.hash))
    extras = [(names.get(rows, rows), names.get(youngest or "", youngest)) for _, rows, youngest in found]
    return _Counted(Source(key, part), extras, names)


def _is_bound(one: Filter) -> bool:
    return one.op not in ("is_null", "not_null")


def statements(items: Sequence[Definition], query: Query, scope: Scope) -> list[Statement]:
    """Return the statements that answer some metrics; who may see one team only is told of that one.

    :raises Unknown: when a metric does not have a dimension.
    :raises BadFilter: when a filter does not fit its dimension.
    """
    filters = (*query.filters, *([Filter("team", "in", [str(scope.team)])] if scope.team else []))
    alike: dict[tuple[object, ...], list[Definition]] = {}
    for item in items:
        by = tuple(dict.fromkeys([*query.by, *item.meta.get("always_by", ())]))
        names = tuple(questions.dimension_of(item, name).dunder for name in by)
        for one in filters:
            questions.condition(one, questions.dimension_of(item, one.dim, "filters").kind)
        asked_as = tuple(item.dimensions[one.dim].dunder for one in filters)
        own = item.hash if item.name in query.definitions else ""
        alike.setdefault((by, names, asked_as, item.relations, own), []).append(item)
    few = bool(scope.floor)
    return [Statement(tuple(found), key[0], filters, few) for key, found in alike.items()]  # type: ignore[arg-type]


def columns(wanted: Sequence[Statement], query: Query) -> list[str]:
    """Return the names of all columns of the answer."""
    found = [name for one in wanted for name in (*one.columns(query).values(), *(item.name for item in one.items))]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an answer, and in how many of them something is not told."""

    rows: list[Row]
    suppressed: int = 0


def rows_of(
    found: Sequence[tuple[Statement, Sequence[Mapping[str, Any]]]],
    query: Query,
    *,
    as_of: Callable[[Collection[str]], datetime],
) -> Rows:
    """Return the rows of the records that statements brought. `as_of` tells up to when some domains hold everything."""
    families: dict[tuple[str, ...], dict[tuple[Any, ...], Row]] = {}
    names: dict[tuple[str, ...], list[str]] = {}
    orders: dict[str, Sequence[str]] = {}
    for one, records in found:
        orders |= {dim: order for item in one.items for dim, order in item.meta.get("order", {}).items()}
        merged = families.setdefault(one.by, {})
        names.setdefault(one.by, []).extend(item.name for item in one.items)
        for row in _told(one, records, query, as_of=as_of):
            _merge(merged, row, list(one.columns(query).values()))
    rows = []
    for by, merged in families.items():
        keys = [*([TIME] if query.grain else []), *by]
        told = [_full(row, keys, names[by]) for row in merged.values()]
        rows += sorted(told, key=lambda row, keys=keys: _place(row, keys, orders))  # type: ignore[misc]
    return Rows(rows, sum("is_suppressed" in row for row in rows))


def _told(
    one: Statement,
    records: Sequence[Mapping[str, Any]],
    query: Query,
    *,
    as_of: Callable[[Collection[str]], datetime],
) -> list[Row]:
    names = one.columns(query)
    rows = [{short: _plain(record[name]) for name, short in names.items()} for record in records]
    for item, (counted, youngest) in zip(one.items, one.extras(), strict=True):
        counts = [record[counted] for record in records] if counted else []
        hidden = _hidden(one, item, rows, counts, query) if counts else set()
        column = one.column(item)
        for place, (row, record) in enumerate(zip(rows, records, strict=True)):
            row[item.name] = None if place in hidden else _plain(record[column])
            if place in hidden:
                row["is_suppressed"] = True
            if youngest and item.meta.get("maturity_days"):
                mature = _closed(item.meta["maturity_days"], record[youngest], as_of(item.domains))
                row["is_mature"] = row.get("is_mature", True) and mature
    return rows


def _hidden(one: Statement, item: Definition, rows: Sequence[Row], counts: Sequence[Any], query: Query) -> set[int]:
    """Return the places of the rows whose value is not told. Time alone singles nobody out, machines are nobody."""
    if not (one.by or one.filters) or item.section == MACHINES:
        return set()
    return suppression.hidden([int(each or 0) for each in counts], _totals(one, rows, query), floor=FLOOR)


def _totals(one: Statement, rows: Sequence[Row], query: Query) -> Iterator[list[int]]:
    """Yield the places of the rows that make up each total which the same question tells with one thing left out: a
    dimension that was asked for, or the grain of time."""
    keys = [*([TIME] if query.grain else []), *one.by]
    for left_out in [key for key in keys if key == TIME or key in query.by]:
        lines: dict[tuple[Any, ...], list[int]] = {}
        for place, row in enumerate(rows):
            lines.setdefault(tuple(row[key] for key in keys if key != left_out), []).append(place)
        yield from lines.values()


def _merge(merged: dict[tuple[Any, ...], Row], row: Row, keys: Sequence[str]) -> None:
    known = merged.setdefault(tuple(row[key] for key in keys), row)
    if known is not row:
        mature = known.get("is_mature", True) and row.get("is_mature", True)
        known |= row
        if "is_mature" in known:
            known["is_mature"] = mature


def _full(row: Row, keys: Sequence[str], names: Sequence[str]) -> Row:
    """Return a row with every metric, those that no record spoke of as no data, and its marks last."""
    marks = {mark: row[mark] for mark in MARKS if mark in row}
    return {**{key: row[key] for key in keys}, **{name: row.get(name) for name in names}, **marks}


def _closed(days: int, youngest_s: Decimal | float | None, as_of: datetime) -> bool:
    if youngest_s is None:
        return False
    return datetime.fromtimestamp(float(youngest_s), UTC) + timedelta(days=days) <= as_of


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; the instant that starts a period is its day."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _place(row: Row, keys: Sequence[str], orders: Mapping[str, Sequence[str]]) -> tuple[Any, ...]:
    """Sort by the keys in their order; values that have an order of their own (stages) in that, nothing last."""
    return tuple(
        (row[key] is None, orders[key].index(row[key]) if key in orders and row[key] in orders[key] else str(row[key]))
        for key in keys
    )


def completed(rows: Rows, missing: Sequence[str]) -> Rows:
    """Return the rows with metrics that nothing is published of yet, as no data."""
    nothing = dict.fromkeys(missing)
    return Rows([{**row, **nothing} for row in rows.rows], rows.suppressed)


def ordered(rows: Sequence[Row], order: Sequence[Order]) -> list[Row]:
    """Return the rows in an order that was asked for, what has no value last; of equals the order they had."""
    found = list(rows)
    for one in reversed(order):
        having = [row for row in found if row.get(one.name) is not None]
        without = [row for row in found if row.get(one.name) is None]
        found = sorted(having, key=lambda row, name=one.name: row[name], reverse=one.descending) + without  # type: ignore[misc]
    return found
