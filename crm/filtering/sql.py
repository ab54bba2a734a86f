"""Filters as conditions of SQL; values travel as arguments, never among the words of a statement."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from crm import windows
from crm.filtering.fields import INSTANT, Clause, Field, Fields, Operator, Scene
from crm.sql import Args


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


def holds_for_now_only(clauses: Iterable[Clause], fields: Fields) -> bool:
    """Tell whether what is found may be different a moment later although nothing happened: it is not worth keeping."""
    return any(
        not fields[clause.field].has_events
        or (clause.operator is Operator.during and windows.moves_with_now(clause.values[0]))
        for clause in clauses
    )
