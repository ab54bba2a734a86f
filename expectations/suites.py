"""The rules as Great Expectations knows them. Importing this imports Great Expectations, which takes seconds."""

import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the library is imported

import great_expectations.expectations as gxe

from expectations.rules import Kind, Rule

MAKE: dict[Kind, Callable[[Rule], dict[str, Any]]] = {
    Kind.present: lambda rule: {},
    Kind.absent: lambda rule: {},
    Kind.between: lambda rule: {"min_value": rule.low, "max_value": rule.high},
    Kind.one_of: lambda rule: {"value_set": list(rule.values)},
    Kind.matches: lambda rule: {"regex": rule.pattern},
}
CLASSES: dict[Kind, type[Any]] = {
    Kind.present: gxe.ExpectColumnValuesToNotBeNull,
    Kind.absent: gxe.ExpectColumnValuesToBeNull,
    Kind.between: gxe.ExpectColumnValuesToBeBetween,
    Kind.one_of: gxe.ExpectColumnValuesToBeInSet,
    Kind.matches: gxe.ExpectColumnValuesToMatchRegex,
}


def expectations(rules: Sequence[Rule]) -> list[Any]:
    """Return the rules as expectations, in their order; Data Docs show the sentence and the severity."""
    return [
        CLASSES[rule.kind](
            column=rule.column,
            description=f"Not allowed: {rule.says}.",
            severity=rule.severity.value,
            meta={"rule": rule.id},
            **MAKE[rule.kind](rule),
        )
        for rule in rules
    ]
