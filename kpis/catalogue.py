"""What can be asked for: every metric with its words, rules and dimensions, as the project defines it now."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from kpis import compiler, manifest, project
from kpis.compiler import Source
from kpis.manifest import Json

Kind = Literal["text", "boolean", "number", "date"]
KINDS: Mapping[str, Kind] = {
    "boolean": "boolean", "integer": "number", "bigint": "number", "smallint": "number", "numeric": "number",
    "double precision": "number", "date": "date", "timestamptz": "date",
}  # fmt: skip
SECTIONS: Mapping[int, tuple[str, str]] = {
    1: ("Inbound queues", "Gelen çağrı kuyrukları"),
    2: ("Handling and agents' time", "Çağrı işleme ve temsilci zamanı"),
    3: ("Outbound dialling", "Dış arama"),
    4: ("Lead response", "Başvuruya yanıt"),
    5: ("Funnel, conversion, money", "Huni, dönüşüm, para"),
    6: ("Resolution, quality, compliance", "Çözüm, kalite, uyum"),
    7: ("Platform", "Platform"),
}
"""The sections of the catalogue, in English and Turkish."""
KEPT_AS = "catalogue-4.json"
"""Beside the manifest it was read from; what a metric can be cut by takes seconds to find out for all of them."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What a metric can be cut by: its name, MetricFlow's name of it, and what its values are."""

    name: str
    dunder: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric as its definition says: names, words, and what its `meta` adds."""

    name: str
    label: str
    description: str
    meta: Mapping[str, Any]
    dimensions: Mapping[str, Dimension]
    hash: str
    """Changes when a number may mean something else."""
    relations: tuple[str, ...]
    """The tables it is counted from."""
    domains: tuple[str, ...]
    """Whose publications it depends on."""
    part: Json = field(repr=False, compare=False, default_factory=dict)
    """The manifest cut down to it."""

    @property
    def is_public(self) -> bool:
        """Whether one can ask for it; building blocks cannot be asked for."""
        return not self.meta.get("internal")

    @property
    def section(self) -> int:
        """The section of the catalogue, 1 to 7; 0 for building blocks."""
        return int(self.meta.get("section", 0))

    @property
    def has_source(self) -> bool:
        """Whether there is a source of its numbers yet."""
        return self.meta.get("source") != "none"

    def words(self, language: str) -> tuple[str, str]:
        """Return label and description in a language; English where there are none."""
        if language.startswith("tr"):
            return self.meta.get("label_tr") or self.label, self.meta.get("description_tr") or self.description
        return self.label, self.description


@cache
def definitions() -> Mapping[str, Definition]:
    """Return every metric of the project, building blocks (`meta.internal`) included."""
    return {name: defined(manifest.part_of(name), name, found) for name, found in _cuts().items()}


def defined(part: Json, name: str, found: Mapping[str, Any]) -> Definition:
    """Return the definition that a part of a manifest, with what it can be cut by, gives of a metric."""
    metric = next(one for one in part["metrics"] if one["name"] == name)
    return Definition(
        name=name,
        label=metric.get("label") or name,
        description=metric.get("description") or "",
        meta=manifest.meta(metric),
        dimensions={one["name"]: Dimension(**one) for one in found["dimensions"]},
        hash=manifest.hash_of(part),
        relations=tuple(manifest.models_of(part)),
        domains=tuple(found["domains"]),
        part=part,
    )


def public() -> list[Definition]:
    """Return the metrics one can ask for, by section and name."""
    return sorted((one for one in definitions().values() if one.is_public), key=lambda one: (one.section, one.name))


async def load() -> list[Definition]:
    """Return the catalogue without holding up the event loop, which the first time takes seconds."""
    return await compiler.apart(public)


def dimensions() -> frozenset[str]:
    """Return the short names of all dimensions of all metrics."""
    return frozenset(name for item in public() for name in item.dimensions)


def hash_of(items: Sequence[Definition]) -> str:
    """Return one hash of several definitions."""
    return items[0].hash if len(items) == 1 else manifest.digest(sorted(item.hash for item in items))


def described(item: Definition) -> dict[str, Any]:
    """Return a metric as JSON knows it, in both languages."""
    label, description = item.words("tr")
    english, turkish = SECTIONS.get(item.section, ("", ""))
    return {
        "name": item.name,
        "label": item.label,
        "label_tr": label,
        "description": item.description,
        "description_tr": description,
        "unit": item.meta.get("unit", ""),
        "formula": item.meta.get("formula", ""),
        "edge_cases": list(item.meta.get("edge_cases", ())),
        "owner": item.meta.get("owner", ""),
        "section": item.section,
        "section_label": english,
        "section_label_tr": turkish,
        "maturity_days": item.meta.get("maturity_days", 0),
        "dimensions": sorted(item.dimensions),
        "dimension_kinds": {name: one.kind for name, one in sorted(item.dimensions.items())},
        "always_by": list(item.meta.get("always_by", ())),
        "source_status": "available" if item.has_source else "no source yet",
        "definition": item.hash,
        "domains": list(item.domains),
    }


def sql_of(item: Definition, *, schema: str = compiler.READ) -> str:
    """Return the SQL a metric compiles to, by day."""
    return compiler.compile_sql(Source((item.hash,), item.part), [item.name], ["metric_time__day"], schema=schema)


async def sql_in_thread(item: Definition) -> str:
    """Return the SQL a metric compiles to, by day, without holding up the event loop."""
    return await compiler.apart(sql_of, item)


def found_in(part: Json, name: str) -> Json:
    """Return what a metric can be cut by, and the domains it is made from, as the catalogue keeps them."""
    types, domains = _of_project()
    tables = {model["name"]: model["node_relation"]["alias"] for model in part["semantic_models"]}
    cuts = compiler.cuts(Source((manifest.hash_of(part),), part), name)
    return {
        "dimensions": [
            asdict(Dimension(cut.name, cut.dunder, _kind(types, tables.get(cut.model, ""), cut.expr))) for cut in cuts
        ],
        "domains": sorted({domains[table] for table in manifest.models_of(part) if table in domains}),
    }


def _kind(types: Mapping[tuple[str, str], str], table: str, expr: str) -> Kind:
    return KINDS.get(types.get((table, expr), "text"), "text")


@cache
def _of_project() -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    """Return the types of the marts' columns and the domain (first tag) of each mart, from dbt's own manifest."""
    nodes = json.loads((project.target() / "manifest.json").read_text())["nodes"].values()
    marts = [node for node in nodes if node["resource_type"] in ("model", "seed") and node["schema"] == "marts"]
    types = {
        (node["alias"], column["name"]): (column.get("data_type") or "text").lower()
        for node in marts
        for column in node["columns"].values()
    }
    return types, {node["alias"]: node["tags"][0] for node in marts if node["tags"]}


def _cuts() -> Mapping[str, Json]:
    """Return what every metric can be cut by: kept beside the manifest, found out by whoever is first."""
    kept = project.target() / KEPT_AS
    if kept.exists():
        found: Mapping[str, Json] = json.loads(kept.read_text())
        return found
    made: dict[str, Json] = {}
    alike: dict[tuple[str, ...], Json] = {}
    for name in manifest.names():
        part = manifest.part_of(name)
        if manifest.meta(manifest.metric(name)).get("internal"):
            made[name] = {"dimensions": [], "domains": []}
            continue
        # Metrics of the same models can be cut by the same.
        models = tuple(f"{one['name']} {bool(one['measures'])}" for one in part["semantic_models"])
        if models not in alike:
            alike[models] = found_in(part, name)
        made[name] = alike[models]
    _keep(kept, json.dumps(made))
    return made


def _keep(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent.parent, prefix=".making-", delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
