"""What a list can be filtered by: fields of a type, with their operators, and filters of them that were read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from typing import Any
from uuid import UUID

from crm import windows
from crm.actor import Actor
from crm.sql import Args

LONGEST = 200
"""Characters of a value at most."""


class Operator(StrEnum):
    """How a filter compares."""

    in_ = "in"
    not_in = "not_in"
    is_ = "is"
    any_ = "any"
    all_ = "all"
    none = "none"
    eq = "eq"
    gte = "gte"
    lt = "lt"
    during = "during"
    starts = "starts"
    has = "has"


ONE_VALUE = frozenset(
    {Operator.is_, Operator.eq, Operator.gte, Operator.lt, Operator.during, Operator.starts, Operator.has}
)
"""Operators that take one value; the others take several."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values: its SQL type, how one is read (ValueError: what is allowed) and how it is written."""

    name: str
    sql: str
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class Scene:
    """Who asks, when (UTC), and in which zone days begin."""

    actor: Actor
    now: datetime
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Clause:
    """One filter that was read: its values have the types of its field."""

    field: str
    operator: Operator
    values: tuple[Any, ...]


Condition = Callable[[Clause, Args, Scene], str]


@dataclass(frozen=True, slots=True)
class Field:
    """What a list can be filtered by.

    `words`: what may follow `is`. `choices`: the only values there are. `permission`: needed to see it, so to filter by
    it. `is_personal`: its values are somebody's name or address. `has_events`: every change of it writes an event, so
    that what was found by it may be kept until there is one. `own`: makes the SQL where the usual one will not do.
    """

    expression: str
    kind: Kind
    operators: tuple[Operator, ...]
    tr: str
    en: str
    words: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    permission: str | None = None
    is_personal: bool = False
    has_events: bool = True
    own: Condition | None = None


Fields = Mapping[str, Field]


def _text(value: str) -> str:
    if not 1 <= len(value) <= LONGEST or "\x00" in value:
        raise ValueError(f"text of 1 to {LONGEST} characters")
    return value


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("an id (UUID)") from None


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        raise ValueError("a whole number of at most six digits")
    return int(value)


def _instant(value: str) -> datetime | date:
    """Return an instant (UTC), or a day, which stands for its begin in the tenant's zone."""
    wrong = ValueError("a day (2026-03-05) or an instant with its offset (2026-03-05T09:00:00Z), 2000 to 2099")
    try:
        found = date.fromisoformat(value) if windows.DAY.fullmatch(value) else datetime.fromisoformat(value)
    except ValueError:
        raise wrong from None
    if not 2000 <= found.year < 2100 or (isinstance(found, datetime) and found.tzinfo is None):
        raise wrong
    return found.astimezone(UTC) if isinstance(found, datetime) else found


TEXT = Kind("text", "text", _text)
ID = Kind("id", "uuid", _id)
NUMBER = Kind("number", "int", _number)
INSTANT = Kind("instant", "timestamptz", _instant, lambda value: value.isoformat())
FLAG = Kind("flag", "boolean", _text)
