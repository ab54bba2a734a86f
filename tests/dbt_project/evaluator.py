"""The rules of dbt-project-evaluator over the project's manifest, each with the findings that are wanted and why.

The package itself is fetched from a hub and builds its rules as models in a database; the rules are few and plain.
https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/. A source is known by its schema and table.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

Node = dict[str, Any]
Rule = Callable[["Project"], set[str]]

HORIZON = "ops.horizon"
"""Up to which transaction a run reads: a bound, no data, which every layer may ask for."""
FOLDERS = {"stg": "staging", "int": "intermediate", "marts": "marts", "bi": "bi"}
PREFIXES = {"stg": ("stg_",), "int": ("int_",), "marts": ("fct_", "dim_", "dq_"), "bi": ("",)}
LAYERS = {"stg": 0, "int": 1, "marts": 1, "bi": 2}
"""What is between may be made of facts, and facts of what is between."""
CHAIN, JOINS = 4, 8
"""How many views may stand upon one another, and how many relations one model may join."""


class Project:
    """The models, sources, tests and exposures of a manifest by short names."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        nodes = manifest["nodes"]
        self.models: dict[str, Node] = {n["name"]: n for n in nodes.values() if n["resource_type"] == "model"}
        self.tests = [n for n in nodes.values() if n["resource_type"] == "test"]
        self.sources = {_name(i, n): n for i, n in manifest["sources"].items()}
        self.exposures = list(manifest["exposures"].values())
        self.parents = {
            n["name"]: [_name(i, manifest["sources"].get(i)) for i in n["depends_on"].get("nodes", [])]
            for n in nodes.values()
            if n["resource_type"] in ("model", "snapshot", "seed")
        }
        self.children: dict[str, set[str]] = defaultdict(set)
        for name, above in self.parents.items():
            for parent in above:
                self.children[parent].add(name)

    def read(self, name: str) -> list[str]:
        """Return the sources that a model reads, without the horizon."""
        return [each for each in self.parents[name] if each in self.sources and each != HORIZON]

    def layer(self, name: str) -> str:
        """Return the schema a model stands in."""
        return str(self.models[name]["schema"])


def _name(unique_id: str, node: Node | None) -> str:
    if unique_id.startswith("source."):
        assert node is not None
        return f"{node['schema']}.{node['identifier']}"
    return unique_id.split(".", 2)[-1]


def root_models(project: Project) -> set[str]:
    """Return models that nothing is above of."""
    return {name for name in project.models if not project.parents[name]}


def sources_below_staging(project: Project) -> set[str]:
    """Return models of later layers that read what others wrote."""
    return {name for name in project.models if project.layer(name) != "stg" and project.read(name)}


def several_sources(project: Project) -> set[str]:
    """Return models that join what several others wrote."""
    return {name for name in project.models if len(project.read(name)) > 1}


def joined_to_a_source(project: Project) -> set[str]:
    """Return models that read a source and a model."""
    return {
        name
        for name in project.models
        if project.read(name) and any(each not in project.sources for each in project.parents[name])
    }


def shared_sources(project: Project) -> set[str]:
    """Return sources that several models read."""
    return {name for name in project.sources if name != HORIZON and len(project.children[name]) > 1}


def unused_sources(project: Project) -> set[str]:
    """Return sources that no model reads."""
    return {name for name in project.sources if not project.children[name]}


def staging_above_staging(project: Project) -> set[str]:
    """Return staging models that read other models."""
    return {
        name
        for name in project.models
        if project.layer(name) == "stg" and any(each in project.models for each in project.parents[name])
    }


def read_backwards(project: Project) -> set[str]:
    """Return models that read a later layer."""
    return {
        name
        for name in project.models
        for each in project.parents[name]
        if each in project.models and LAYERS[project.layer(each)] > LAYERS[project.layer(name)]
    }


def unread_models(project: Project) -> set[str]:
    """Return models before the marts that nothing reads."""
    return {name for name in project.models if project.layer(name) in ("stg", "int") and not project.children[name]}


def hard_coded(project: Project) -> set[str]:
    """Return models that name a relation themselves instead of asking for it."""
    table = re.compile(r"\b(?:from|join)\s+(?:crm|raw|ops|stg|int|marts|published|snap)\.\w+", re.I)
    return {name for name, node in project.models.items() if table.search(node["raw_code"])}


def many_joins(project: Project) -> set[str]:
    """Return models that join more than is read at a glance."""
    return {name for name in project.models if len(set(project.parents[name]) - {HORIZON}) > JOINS}


def chained_views(project: Project) -> set[str]:
    """Return views upon views upon views, which the database works out anew each time."""

    def depth(name: str) -> int:
        node = project.models.get(name)
        if node is None or node["config"]["materialized"] != "view":
            return 0
        return 1 + max((depth(each) for each in project.parents[name]), default=0)

    return {name for name in project.models if depth(name) > CHAIN}


def misnamed(project: Project) -> set[str]:
    """Return models whose name does not say their layer."""
    return {name for name in project.models if not name.startswith(PREFIXES[project.layer(name)])}


def misplaced(project: Project) -> set[str]:
    """Return models that do not stand in their layer's folder, staging beside its source's."""
    odd = set()
    for name, node in project.models.items():
        folder = Path(node["original_file_path"]).parts[1:-1]
        staged = project.layer(name) != "stg" or name.startswith(f"stg_{folder[-1]}__")
        if folder[0] != FOLDERS[project.layer(name)] or not staged:
            odd.add(name)
    return odd


def without_words(project: Project) -> set[str]:
    """Return models and sources without a description."""
    return {name for name, node in {**project.models, **project.sources}.items() if not node["description"].strip()}


def without_tests(project: Project) -> set[str]:
    """Return tables of the marts of which nothing is asserted: no constraint, no test. Views have what they read."""
    tested = Counter(name.split(".", 2)[-1] for test in project.tests for name in test["depends_on"]["nodes"])
    return {
        name
        for name, node in project.models.items()
        if project.layer(name) == "marts"
        and node["config"]["materialized"] != "view"
        and not (node["constraints"] or tested[name] or any(each["constraints"] for each in node["columns"].values()))
    }


def exposed_views(project: Project) -> set[str]:
    """Return views that an exposure shows, worked out anew for every reader."""
    return {
        name.split(".", 2)[-1]
        for exposure in project.exposures
        for name in exposure["depends_on"]["nodes"]
        if project.models.get(name.split(".", 2)[-1], {}).get("config", {}).get("materialized") == "view"
    }


def exposed_sources(project: Project) -> set[str]:
    """Return exposures that show anything but marts and the views made of them."""
    return {
        exposure["name"]
        for exposure in project.exposures
        for name in exposure["depends_on"]["nodes"]
        if project.models.get(name.split(".", 2)[-1], {}).get("schema") not in ("marts", "bi")
    }


def public_without_contract(project: Project) -> set[str]:
    """Return what others may build upon without a promise of its shape."""
    return {
        name
        for name, node in project.models.items()
        if project.layer(name) in ("marts", "bi")
        and node["config"]["materialized"] != "view"
        and not node["config"]["contract"]["enforced"]
    }
