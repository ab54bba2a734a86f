"""Every metric has a golden figure: a number somebody worked out by hand, which a test of a story holds it to."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpis import catalogue

TESTS = Path(__file__).parents[1]
STORIES = ("kpis", "dbt_project")
"""Folders whose tests play stories and check what metrics say of them."""
HOW = ("by", "since", "until")
"""What `holds` takes that is no metric."""

UNHELD = {
    "mart_freshness_s": "grows with the clock: held to a range",
    "revenue_per_agent_hour": "the hours that a plan of shifts will tell are null until there is one",
}
"""What has no figure, and why."""


def golden() -> set[str]:
    """Return the metrics whose values tests compare with figures: what they hand to `holds`, no data left out."""
    return {name for call, module in _calls() for name, value in _figures(call, module) if _is_figure(value)}


def _calls() -> Iterator[tuple[ast.Call, str]]:
    for path in sorted(each for folder in STORIES for each in (TESTS / folder).glob("test_*.py")):
        module = ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Await(ast.Call(func=ast.Name("holds")) as call):
                    yield call, module


def _figures(call: ast.Call, module: str) -> Iterator[tuple[str, Any]]:
    """Yield what is handed over: by name, or as a table of figures that the module knows."""
    for each in call.keywords:
        if each.arg is None:
            table = eval(ast.unparse(each.value), vars(importlib.import_module(module)))
            yield from table.items()
        elif each.arg not in HOW:
            yield each.arg, each.value


def _is_figure(value: Any) -> bool:
    if isinstance(value, ast.Constant):
        return value.value is not None
    return any(each is not None for each in value.values()) if isinstance(value, dict) else value is not None


def test_every_metric_is_held_to_a_figure(parsed: object) -> None:
    held = golden()

    assert [item.name for item in catalogue.public() if item.name not in held] == sorted(UNHELD, reverse=True)
