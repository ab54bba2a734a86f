"""What can be asked, typed, and the refusals of what cannot. Pure: no database, no clock."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from crm import errors
from kpis.catalogue import Definition, Dimension, Kind

Grain = Literal["day", "week", "month", "quarter"]
Operator = Literal["in", "not_in", "is_null", "not_null", "gt", "gte", "lt", "lte"]

OPERATORS: Mapping[Operator, str] = {
    "in": "({column})::text = any({value}::text[])",
    "not_in": "({column} is null or ({column})::text <> all({value}::text[]))",
    "is_null": "{column} is null",
    "not_null": "{column} is not null",
    "gt": "({column})::{type} > (({value}::text[])[1])::{type}",
    "gte": "({column})::{type} >= (({value}::text[])[1])::{type}",
    "lt": "({column})::{type} < (({value}::text[])[1])::{type}",
    "lte": "({column})::{type} <= (({value}::text[])[1])::{type}",
}
"""What a filter may say. The SQL is ours; the values are bound, never written into it."""
ORDERING = ("gt", "gte", "lt", "lte")
TYPES: Mapping[Kind, str] = {"number": "numeric", "date": "date"}
"""Of the kinds whose values have an order: how PostgreSQL calls them."""
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
MOST_ROWS = 10_000


class Unknown(errors.Invalid):
    """There is no such metric or dimension."""

    code = "kpi.unknown"


class BadFilter(errors.Invalid):
    """This filter cannot be applied."""

    code = "kpi.bad-filter"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a dimension. `in` and `not_in` take values, comparisons one, `is_null` and `not_null` none."""

    dim: str
    op: Operator = "in"
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """By which column of the answer (a metric, a dimension or `metric_time`) rows come."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which metrics, by which dimensions, in which grain of time, of which business days `[since, until)` (R1).

    `as_of`: what was known at that instant (UTC); None: what is known now. `definitions`: metrics that are to be
    answered by an earlier definition, by its hash.
    """

    metrics: Sequence[str]
    by: Sequence[str] = ()
    grain: Grain | None = None
    since: date | None = None
    until: date | None = None
    filters: Sequence[Filter] = ()
    order: Sequence[Order] = ()
    limit: int = MOST_ROWS
    as_of: datetime | None = None
    definitions: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """The question as a cache takes it; `as_of` left out, which names a state of the marts and no question."""
        return (
            tuple(self.metrics), tuple(self.by), self.grain, self.since, self.until,
            tuple((one.dim, one.op, tuple(one.values)) for one in self.filters),
        )  # fmt: skip


def check(query: Query) -> None:
    """Refuse what no metric could answer.

    :raises errors.Invalid: when the range is empty, the limit is none, or a definition is for no metric asked for.
    """
    if query.since and query.until and query.since >= query.until:
        raise errors.Invalid(
            f"the days from {query.since} up to {query.until} are none: `to` is the first day no longer meant",
            fields={"to": "not after from"},
        )
    if not 1 <= query.limit <= MOST_ROWS:
        raise errors.Invalid(f"a limit is 1 to {MOST_ROWS}", fields={"limit": f"1 to {MOST_ROWS}"})
    for name in query.definitions:
        if name not in query.metrics:
            raise Unknown(f"{name} is not asked for", fields={"definitions": f"not asked for: {name}"})


def check_order(query: Query, columns: Collection[str]) -> None:
    """:raises Unknown: when rows are to come by a column that the answer does not have."""
    for one in query.order:
        if one.name not in columns:
            choice = ", ".join(columns)
            raise Unknown(f"the answer has no column {one.name!r}; it has {choice}", fields={"order": one.name})


def dimension_of(item: Definition, name: str, where: str = "by") -> Dimension:
    """Return a dimension of a metric.

    :raises Unknown: when it does not have it.
    """
    if name not in item.dimensions:
        choice = ", ".join(sorted(item.dimensions)) or "none"
        raise Unknown(f"{item.name} has no dimension {name!r}; it has {choice}", fields={where: f"unknown: {name}"})
    return item.dimensions[name]


def condition(one: Filter, kind: Kind) -> str:
    """Return the SQL of a filter on a dimension of a kind, `{column}` and `{value}` left open.

    :raises BadFilter: when the operator does not fit the kind, or a value is none of it.
    """
    fields = {"filters": one.dim}
    if one.op in ("is_null", "not_null"):
        if one.values:
            raise BadFilter(f"{one.op} takes no values", fields=fields)
        return OPERATORS[one.op]
    if one.op in ORDERING and kind not in TYPES:
        raise BadFilter(f"{one.dim} is {kind}, which has no order: in, not_in, is_null and not_null fit", fields=fields)
    if one.op in ORDERING and len(one.values) != 1:
        raise BadFilter(f"{one.op} takes one value", fields=fields)
    for value in one.values:
        if not _fits(value, kind):
            raise BadFilter(f"{value!r} is no {kind}, which {one.dim} is", fields=fields)
    return OPERATORS[one.op].replace("{type}", TYPES.get(kind, "text"))


def _fits(value: str, kind: Kind) -> bool:
    """Tell whether a value is written as PostgreSQL reads it; Python takes more for a number or a day."""
    if kind == "number":
        return bool(NUMBER.fullmatch(value))
    if kind == "date":
        try:
            return date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    return kind != "boolean" or value in ("true", "false")
