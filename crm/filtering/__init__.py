"""The filter language of lists: fields of a type, a text for every filter, and the SQL that it means."""

from crm.filtering.fields import FLAG, ID, INSTANT, NUMBER, TEXT, Clause, Field, Fields, Kind, Operator, Scene
from crm.filtering.language import (
    MOST_FILTERS,
    MOST_VALUES,
    BadFilter,
    FilterNotAllowed,
    PersonalFilter,
    parse,
    parse_all,
    require_allowed,
    show,
)
from crm.filtering.sql import CONDITIONS, conditions, has_local_days, holds_for_now_only

__all__ = [
    "CONDITIONS",
    "FLAG",
    "ID",
    "INSTANT",
    "MOST_FILTERS",
    "MOST_VALUES",
    "NUMBER",
    "TEXT",
    "BadFilter",
    "Clause",
    "Field",
    "Fields",
    "FilterNotAllowed",
    "Kind",
    "Operator",
    "PersonalFilter",
    "Scene",
    "conditions",
    "has_local_days",
    "holds_for_now_only",
    "parse",
    "parse_all",
    "require_allowed",
    "show",
]
