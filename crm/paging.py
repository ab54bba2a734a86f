"""Lists by keyset: whitelisted sorts, typed filters, and pages that neither repeat nor lose a row while rows are added.

A page starts after the last row of the page before it, by the sort's column and the id. What is stored meanwhile
falls before or after that place and moves nothing. The cursor that carries the place is signed and bound to the
person, the list, its sort and its filters (`crm.cursors`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from crm import cursors, errors
from crm.actor import Actor
from crm.db import to_json
from crm.sql import Args

LARGEST = 200
"""Rows a page may have at most."""

PLAN_FOR_THESE_VALUES = "set local plan_cache_mode = force_custom_plan"
"""A rare value and a frequent one want different plans: one that serves every value would be bad for most of them."""


class UnknownName(errors.Invalid):
    """This list has no such column, filter or sort."""

    code = "list.unknown_name"


class Operator(StrEnum):
    """How a filter compares: `any_of` and `has_any` take lists; `until` leaves its end out; `holds`: yes or no."""

    any_of = "any_of"
    has_any = "has_any"
    since = "since"
    until = "until"
    holds = "holds"


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a list: the SQL it looks at, its type, how it compares."""

    expression: str
    kind: str
    operator: Operator = Operator.any_of

    def condition(self, args: Args, value: Any) -> str:
        """Return the SQL condition; the value travels as an argument."""
        if self.operator is Operator.since:
            return f"{self.expression} >= {args.add(value, self.kind)}"
        if self.operator is Operator.until:
            return f"{self.expression} < {args.add(value, self.kind)}"
        if self.operator is Operator.holds:
            return self.expression if value else f"not {self.expression}"  # as text: partial indexes must match it
        if self.operator is Operator.has_any:
            return f"{self.expression} && {args.add(list(value), f'{self.kind}[]')}"
        if len(value) == 1:
            return f"{self.expression} = {args.add(value[0], self.kind)}"
        return f"{self.expression} = any({args.add(list(value), f'{self.kind}[]')})"


def conditions(filters: Mapping[str, Filter], wanted: Mapping[str, Any], args: Args) -> list[str]:
    """Return the SQL conditions of the filters that were asked for; None and empty lists ask for nothing.

    :raises UnknownName: when the list has no filter of that name.
    """
    asked = {name: value for name, value in wanted.items() if value is not None and value != [] and value != ()}
    if unknown := asked.keys() - filters.keys():
        raise UnknownName(fields=dict.fromkeys(sorted(unknown), "no such filter"))
    return [filters[name].condition(args, value) for name, value in asked.items()]


class Place(NamedTuple):
    """The row a page starts after: the value it is sorted by, its id, and when its list was first asked for (UTC)."""

    value: Any
    row_id: UUID
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """By which column of `alias` a list is sorted, and which way; ties are broken by the id."""

    column: str
    kind: str
    descending: bool
    alias: str

    @property
    def sql(self) -> str:
        """The words after `order by`."""
        way = " desc" if self.descending else ""
        return ", ".join(f"{self.alias}.{column}{way}" for column in dict.fromkeys((self.column, "id")))

    def after(self, args: Args, place: Place) -> str:
        """Return the condition for rows behind a place."""
        sign = "<" if self.descending else ">"
        if self.column == "id":
            return f"{self.alias}.id {sign} {args.add(place.row_id, 'uuid')}"
        values = f"({args.add(place.value, self.kind)}, {args.add(place.row_id, 'uuid')})"
        return f"({self.alias}.{self.column}, {self.alias}.id) {sign} {values}"


def order(sort: str, sorts: Mapping[str, str], *, alias: str) -> Order:
    """Return the order that a sort names: `received_at`, or `-received_at` for the latest first.

    `sorts`: the columns a list may be sorted by, each with its SQL type.
    :raises UnknownName: when it is not among `sorts`.
    """
    column = sort.removeprefix("-")
    if column not in sorts:
        allowed = ", ".join(f"{name}, -{name}" for name in sorts)
        raise UnknownName(fields={"sort": f"one of {allowed}"})
    return Order(column, sorts[column], sort.startswith("-"), alias)


def columns(wanted: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the wanted columns in the list's own order.

    :raises UnknownName: when the list has no such column.
    """
    asked, there = set(wanted), tuple(known)
    if unknown := asked.difference(there):
        raise UnknownName(fields={"fields": f"no such column: {', '.join(sorted(unknown))}"})
    return tuple(name for name in there if name in asked)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Reads and signs the places of one list: its purpose and every part of `bound_to` must be the same to go on."""

    purpose: str
    tenant_id: UUID
    bound_to: Mapping[str, str]

    @classmethod
    def of(cls, purpose: str, actor: Actor, **bound_to: Any) -> "Cursor":
        """Return the cursors of a list as this person asks for it, with this `sort` and this `filter`."""
        parts = {"user": str(actor.user_id), **{part: to_json(value) for part, value in bound_to.items()}}
        return cls(purpose, actor.tenant_id, parts)

    def read(self, cursor: str, kind: str) -> Place:
        """Return the place a cursor stands for; `kind` is the SQL type of the sort's column.

        :raises crm.cursors.BadCursor: when it is not one of this list, person, sort and filter.
        """
        value, row_id, as_of = cursors.read(
            cursor, purpose=self.purpose, tenant_id=self.tenant_id, bound_to=self.bound_to
        )
        place = datetime.fromisoformat(value) if kind == "timestamptz" else value
        return Place(place, UUID(row_id), as_of and datetime.fromisoformat(as_of))

    def sign(self, value: Any, row_id: UUID, as_of: datetime | None = None) -> str:
        """Return the cursor of the page after a row."""
        place = [
            value.isoformat() if isinstance(value, datetime) else value, str(row_id), as_of and as_of.isoformat()
        ]  # fmt: skip
        return cursors.sign(place, purpose=self.purpose, tenant_id=self.tenant_id, bound_to=self.bound_to)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the items as JSON texts, made by the database and passed on as they are, and where the next begins."""

    items: list[str]
    next_cursor: str | None
