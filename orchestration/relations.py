"""What is published: the relations of the workshop, as the dbt project tells of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kpis import project

WORKSHOP = "marts"
"""The schema in which dbt builds and tests what will be published."""
SHOWN = "published"
"""The schema that readers see."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of the workshop."""

    name: str
    node: str
    """dbt's id of it."""
    domain: str
    """What is built, tested and published together: the tag of its folder."""
    is_view: bool
    is_shared: bool
    """The same for all tenants."""
    entity: tuple[str, ...]
    """Of a table that follows events: the columns whose rows are derived together; of any other table empty."""
    reads: frozenset[str] = frozenset()
    """The domains of the relations it is made of."""
    day: str = ""
    """The column with the business day by which questions are asked of it."""


@cache
def all_relations() -> tuple[Relation, ...]:
    """Return the relations, each after those it is made of."""
    manifest = json.loads((project.target() / "manifest.json").read_text())
    nodes, days = manifest["nodes"], _days(manifest["semantic_models"].values())
    ours = {name: node for name, node in nodes.items() if _is_shown(node)}
    ordered: dict[str, Relation] = {}

    def place(name: str) -> frozenset[str]:
        parents = nodes.get(name, {}).get("depends_on", {}).get("nodes", ())
        reads = frozenset[str]().union(*(place(parent) for parent in parents))
        if name not in ours:
            return reads
        return frozenset({ordered.setdefault(name, _relation(ours[name], reads, days)).domain})

    for name in sorted(ours):
        place(name)
    return tuple(ordered.values())


def domains() -> dict[str, frozenset[str]]:
    """Return every domain with those whose relations it reads, each after them; a circle is cut where it closes."""
    reads: dict[str, set[str]] = {}
    for relation in all_relations():
        reads.setdefault(relation.domain, set()).update(relation.reads - {relation.domain})
    ordered: dict[str, frozenset[str]] = {}

    def place(domain: str, below: frozenset[str] = frozenset()) -> None:
        for other in sorted(reads[domain] - below):
            place(other, below | {domain})
        ordered.setdefault(domain, frozenset(reads[domain]))

    for domain in sorted(reads):
        place(domain)
    return ordered


def _is_shown(node: Mapping[str, Any]) -> bool:
    return (
        node["resource_type"] in ("model", "seed")
        and node["schema"] == WORKSHOP
        and node["config"]["materialized"] in ("table", "view", "incremental", "seed")
    )


def _days(models: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {model["node_relation"]["alias"]: model["defaults"]["agg_time_dimension"] for model in models}


def _relation(node: Mapping[str, Any], reads: frozenset[str], days: Mapping[str, str]) -> Relation:
    config = node["config"]
    key = config.get("unique_key") or ()
    return Relation(
        name=node["alias"],
        node=node["unique_id"],
        domain=node["tags"][0],
        is_view=config["materialized"] == "view",
        is_shared=bool(config["meta"].get("shared")),
        reads=reads,
        day=days.get(node["alias"], ""),
        entity=((key,) if isinstance(key, str) else tuple(key)) if config["materialized"] == "incremental" else (),
    )
