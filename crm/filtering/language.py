"""The filter language of lists: `field:operator:value,value`, typed, printed the way it is read.

    status:in:new,assigned      tags:all:vip,"Spring, early"      owner:is:me      received_at:during:last_7d

A value with a comma, a quote at its begin or spaces around it is put into double quotes, in which a backslash goes
before a quote or a backslash. Several filters of a list must all hold. What cannot be read is refused with the
character at which it fails and what may stand there; what was sent is not repeated.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from crm import errors, windows
from crm.actor import Actor
from crm.filtering.fields import ONE_VALUE, Clause, Field, Fields, Operator

MOST_VALUES = 50
MOST_FILTERS = 30


class BadFilter(errors.Invalid):
    """This filter cannot be read: at the character that is named, something else must stand."""

    code = "filter.invalid"


class FilterNotAllowed(errors.NotAllowed):
    """You may not filter by what you may not see."""

    code = "filter.not_allowed"


class PersonalFilter(errors.Invalid):
    """Names, numbers and addresses do not go into an address or a saved view: send them in a body, to search."""

    code = "filter.personal"


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
    return Clause(name, operator, _values(field, operator, rest, start, at))


def _values(field: Field, operator: Operator, text: str, start: int, at: str) -> tuple[Any, ...]:
    """Return the values of a filter, each once; `start`: the character at which their text begins."""
    raw = _split(text, start, at)
    if len(raw) > (most := 1 if operator in ONE_VALUE else MOST_VALUES):
        raise _wrong(at, raw[most][0], f"at most {most} values" if most > 1 else "the end: one value only")
    values = []
    for place, each in raw:
        try:
            values.append(_read(field, operator, each))
        except ValueError as error:
            raise _wrong(at, place, str(error)) from None
    return tuple(dict.fromkeys(values))


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
            comma = text.find(",", place)
            end = comma if comma >= 0 else len(text)
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
            raise FilterNotAllowed(fields={clause.field: f"this needs the permission {needed}: leave it out"})
