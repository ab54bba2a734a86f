"""A call of every route with a body that fits, made from the OpenAPI description."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from hypothesis import strategies
from hypothesis.errors import NonInteractiveExampleWarning

from api.deps import Access
from api.openapi import guarded

ID = "⟨id⟩"
"""Stands for an id in a call until one is filled in."""

Fill = Callable[[str], str]
"""From the name of an id's field to the id that is tried."""


@dataclass
class Call:
    """One method of one route, with everything it needs, ids left open."""

    method: str
    path: str
    access: Access
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    form: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def has_ids(self) -> bool:
        """Whether there is an id to fill in."""
        return "{" in self.path or ID in repr((self.query, self.body, self.form))

    async def send(self, client: httpx.AsyncClient, *, fill: Fill) -> httpx.Response:
        """Call the route with ids filled in."""
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda found: fill(found[1]), self.path)
        options: dict[str, Any] = {"params": _filled(self.query, fill)}
        if self.form is not None:
            options["data"] = {name: value for name, value in _filled(self.form, fill).items() if name != "file"}
            options["files"] = {"file": ("leads.csv", b"Name\nAda\n", "text/csv")}
        elif self.body is not None:
            options["json"] = _filled(self.body, fill)
        return await client.request(self.method, path, **options)


def _filled(value: Any, fill: Fill, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, fill, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, fill, name) for each in value]
    return fill(name) if value == ID else value


def calls_of(app: FastAPI, known: dict[str, Any]) -> Iterator[Call]:
    """Yield a call of every HTTP route; `known` gives values for fields that no schema can tell."""
    document = app.openapi()
    for route in guarded(app):
        for method in sorted(route.methods):
            described = document["paths"].get(route.path_format, {}).get(method.lower(), {})
            call = Call(method, route.path_format, route.access)
            for parameter in described.get("parameters", []):
                if parameter["in"] == "query" and (parameter.get("required") or _is_id(parameter["schema"])):
                    call.query[parameter["name"]] = _example(parameter["schema"], document, known, parameter["name"])
            for kind, content in described.get("requestBody", {}).get("content", {}).items():
                example = _example(content["schema"], document, known, "")
                if "json" in kind:
                    call.body = example
                else:
                    call.form = example
            yield call


def _is_id(schema: dict[str, Any]) -> bool:
    return schema.get("format") == "uuid" or any(_is_id(each) for each in schema.get("anyOf", []))


def _example(schema: dict[str, Any], document: dict[str, Any], known: dict[str, Any], name: str) -> Any:
    """Return a small value that fits a schema, with `ID` for every id, optional ones included."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if name in known and known[name] in schema.get("enum", [known[name]]):
        return known[name]
    if _is_id(schema):
        return ID
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _example(schema[choice][0], document, known, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        needed = set(schema.get("required", ()))
        return {
            key: _example(each, document, known, key)
            for key, each in schema.get("properties", {}).items()
            if key in needed or key in known or _has_id(each, document)
        }
    if kind == "array":
        return [_example(schema["items"], document, known, name)] * max(1, schema.get("minItems", 1))
    if kind == "string":
        return _text(schema)
    return {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": True}[kind]


def _has_id(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    return ID in repr(_example(schema, document, {}, ""))


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "2026-03-03T09:30:00Z"
    if schema.get("format") == "date":
        return "2026-03-03"
    if "pattern" in schema:
        return _matching(schema["pattern"], schema.get("minLength", 1))
    return "x" * max(1, schema.get("minLength", 1))


def _matching(pattern: str, at_least: int) -> str:
    """Return a plain text that matches a pattern: a guess from a short list, else whatever Hypothesis makes of it."""
    for guess in ("ada@mail.example", "abc", "TRY", "tr", "1", "+905321234567", "a" * 32):
        if re.search(pattern, guess) and len(guess) >= at_least:
            return guess
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        return strategies.from_regex(pattern).example()
