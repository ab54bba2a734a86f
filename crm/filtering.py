"""The filter language of lists: `field:operator:value,value`, typed, printed the way it is read.

    status:in:new,assigned      tags:all:vip,"Spring, early"      owner:is:me      received_at:during:last_7d

A value with a comma, a quote at its begin or spaces around it is put into double quotes, in which a backslash goes
before a quote or a backslash. Several filters of a list must all hold. What cannot be read is refused with the
character at which it fails and what may stand there; what was sent is not repeated.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from typing import Any
from uuid import UUID

from crm import errors, windows
from crm.actor import Actor
from crm.sql import Args

MOST_VALUES = 50
MOST_FILTERS = 30
LONGEST = 200


class BadFilter(errors.Invalid):
    """This filter cannot be read."""

    code = "filter.invalid"


class FilterNotAllowed(errors.NotAllowed):
    """You may not filter by what you may not see."""

    code = "filter.not_allowed"


class PersonalFilter(errors.Invalid):
    """Names, numbers and addresses do not go into an address or a saved view: send them in a body, to search."""

    code = "filter.personal"


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
    it. `is_personal`: its values are somebody's name or address. `own`: makes the SQL where the usual one will not do.
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
    if not 2001 <= found.year < 2100 or (isinstance(found, datetime) and found.tzinfo is None):
        raise wrong
    return found.astimezone(UTC) if isinstance(found, datetime) else found


TEXT = Kind("text", "text", _text)
ID = Kind("id", "uuid", _id)
NUMBER = Kind("number", "int", _number)
INSTANT = Kind("instant", "timestamptz", _instant, lambda value: value.isoformat())
FLAG = Kind("flag", "boolean", _text)


def parse(text: str, fields: Fields, *, at: str = "filter") -> Clause:
    """Return a filter as it was meant; `at` names the place in the request.

    :raises BadFilter: when it cannot be read: at which character, and what may stand there.
    """
    name, colon, rest = text.partition(":")
    if name not in fields:
        raise _wrong(at, 1, f"one of {', '.join(fields)}")
    field, start = fields[name], len(name) + 2
    if not colon:
        raise _wrong(at, start - 1, "a colon and an operator")
    word, colon, rest = rest.partition(":")
    if word not in field.operators:
        raise _wrong(at, start, f"one of {', '.join(field.operators)}")
    operator, start = Operator(word), start + len(word) + 1
    if not colon:
        raise _wrong(at, start - 1, "a colon and a value")
    raw = _split(rest, start, at)
    if len(raw) > (most := 1 if operator in ONE_VALUE else MOST_VALUES):
        raise _wrong(at, raw[most][0], "no more values" if most > 1 else "the end: one value only")
    values = []
    for place, each in raw:
        try:
            values.append(_read(field, operator, each))
        except ValueError as error:
            raise _wrong(at, place, str(error)) from None
    return Clause(name, operator, tuple(dict.fromkeys(values)))


def _wrong(at: str, place: int, allowed: str) -> BadFilter:
    return BadFilter(fields={at: f"at character {place}: expected {allowed}"})


def _read(field: Field, operator: Operator, value: str) -> Any:
    if operator is Operator.is_:
        return _among(field.words, value)
    if operator is Operator.during:
        return windows.check(value)
    return _among(field.choices, value) if field.choices else field.kind.read(value)


def _among(allowed: Sequence[str], value: str) -> str:
    if value not in allowed:
        raise ValueError(f"one of {', '.join(allowed)}")
    return value


def _split(text: str, start: int, at: str) -> list[tuple[int, str]]:
    """Return the values of a list, each with the character it begins at; `start`: where the text does."""
    values, place = [], 0
    while True:
        if text[place : place + 1] == '"':
            value, end = _quoted(text, place, start, at)
        else:
            end = text.find(",", place) if "," in text[place:] else len(text)
            value = text[place:end]
        if not value:
            raise _wrong(at, start + place, "a value")
        values.append((start + place, value))
        if end == len(text):
            return values
        if text[end] != ",":
            raise _wrong(at, start + end, "a comma or the end")
        place = end + 1


def _quoted(text: str, place: int, start: int, at: str) -> tuple[str, int]:
    """Return the value whose opening quote stands at a place, and the place after its closing one."""
    value, end = "", place + 1
    while end < len(text):
        if text[end] == '"':
            return value, end + 1
        if text[end] == "\\":
            end += 1
            if text[end : end + 1] not in ('"', "\\"):
                raise _wrong(at, start + end, "a quote or a backslash after a backslash")
        value, end = value + text[end], end + 1
    raise _wrong(at, start + len(text), "a closing quote")


def show(clause: Clause, fields: Fields) -> str:
    """Return a filter as text, the way `parse` reads it."""
    kind = fields[clause.field].kind
    plain = clause.operator in (Operator.is_, Operator.during)
    values = ",".join(_written(value if plain else kind.show(value)) for value in clause.values)
    return f"{clause.field}:{clause.operator}:{values}"


def _written(value: str) -> str:
    if "," not in value and not value.startswith('"') and value == value.strip():
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_all(
    texts: Iterable[str], fields: Fields, *, personal: bool = False, at: str = "filter"
) -> tuple[Clause, ...]:
    """Return the filters of a list, each in its place; `personal`: names and addresses may be among them.

    :raises BadFilter: when one cannot be read, or there are too many.
    :raises PersonalFilter: when one is about a name or an address where none may stand.
    """
    clauses = tuple(parse(text, fields, at=f"{at}.{number}") for number, text in enumerate(texts))
    if len(clauses) > MOST_FILTERS:
        raise BadFilter(fields={at: f"at most {MOST_FILTERS} filters"})
    for number, clause in enumerate(clauses):
        if fields[clause.field].is_personal and not personal:
            raise PersonalFilter(fields={f"{at}.{number}": "send it in a body"})
    return clauses


def require_allowed(clauses: Iterable[Clause], fields: Fields, actor: Actor) -> None:
    """:raises FilterNotAllowed: when the actor may not see what a filter looks at."""
    for clause in clauses:
        needed = fields[clause.field].permission
        if needed and not actor.may(needed):
            raise FilterNotAllowed(fields={clause.field: f"this needs the permission {needed}"})


def conditions(clauses: Iterable[Clause], fields: Fields, args: Args, scene: Scene) -> list[str]:
    """Return the SQL conditions of filters; values travel as arguments."""
    return [_condition(clause, fields[clause.field], args, scene) for clause in clauses]


def _condition(clause: Clause, field: Field, args: Args, scene: Scene) -> str:
    if field.own:
        return field.own(clause, args, scene)
    return CONDITIONS[clause.operator](field, clause.values, args, scene)


def _is(field: Field, values: tuple[Any, ...], args: Args, scene: Scene) -> str:
    word = values[0]
    if word in ("true", "false"):
        return field.expression if word == "true" else f"not {field.expression}"  # as text: partial indexes match it
    if word in ("me", "mine"):
        own = scene.actor.user_id if word == "me" else scene.actor.team_id
        return f"{field.expression} = {args.add(own, field.kind.sql)}"
    return f"{field.expression} is {'null' if word == 'null' else 'not null'}"


def _in(field: Field, values: tuple[Any, ...], args: Args, scene: Scene) -> str:
    if len(values) == 1:
        return f"{field.expression} = {args.add(values[0], field.kind.sql)}"
    return f"{field.expression} = any({args.add(list(values), f'{field.kind.sql}[]')})"


def _not_in(field: Field, values: tuple[Any, ...], args: Args, scene: Scene) -> str:
    """Rows without a value are not among any: they stay."""
    listed = args.add(list(values), f"{field.kind.sql}[]")
    return f"({field.expression} is null or {field.expression} <> all({listed}))"


def _tags(operator: str, *, negated: bool = False) -> Callable[[Field, tuple[Any, ...], Args, Scene], str]:
    def condition(field: Field, values: tuple[Any, ...], args: Args, scene: Scene) -> str:
        made = f"{field.expression} {operator} {args.add(list(values), f'{field.kind.sql}[]')}"
        return f"not ({made})" if negated else made

    return condition


def _moment(value: datetime | date, scene: Scene) -> datetime:
    return value if isinstance(value, datetime) else windows.midnight(value, scene.zone)


def _compared(sign: str) -> Callable[[Field, tuple[Any, ...], Args, Scene], str]:
    def condition(field: Field, values: tuple[Any, ...], args: Args, scene: Scene) -> str:
        value = _moment(values[0], scene) if field.kind is INSTANT else values[0]
        return f"{field.expression} {sign} {args.add(value, field.kind.sql)}"

    return condition


def _during(field: Field, values: tuple[Any, ...], args: Args, scene: Scene) -> str:
    first, after = windows.bounds(values[0], now=scene.now, zone=scene.zone)
    begin, end = args.add(first, "timestamptz"), args.add(after, "timestamptz")
    return f"{field.expression} >= {begin} and {field.expression} < {end}"


CONDITIONS: dict[Operator, Callable[[Field, tuple[Any, ...], Args, Scene], str]] = {
    Operator.is_: _is,
    Operator.in_: _in,
    Operator.not_in: _not_in,
    Operator.any_: _tags("&&"),
    Operator.all_: _tags("@>"),
    Operator.none: _tags("&&", negated=True),
    Operator.eq: _in,
    Operator.gte: _compared(">="),
    Operator.lt: _compared("<"),
    Operator.during: _during,
}


def has_local_days(clauses: Iterable[Clause]) -> bool:
    """Tell whether a filter counts in days of the tenant's zone."""
    return any(
        clause.operator is Operator.during or any(type(value) is date for value in clause.values) for clause in clauses
    )
