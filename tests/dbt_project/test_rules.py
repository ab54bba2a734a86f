"""The structure of the project: layers, names, keys, owners, words for every column (the rules of dbt-project-evaluator
that matter here; the package itself comes from a hub on the network, so its rules stand here over the manifest)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

Node = dict[str, Any]

SHOWN = ("marts", "bi")
"""Schemas whose every column is explained."""
PREFIXES = {"stg": ("stg_",), "int": ("int_",), "marts": ("fct_", "dim_", "dq_")}
READS_SOURCES = {
    "int_open_days reads crm.lead": "only to know how far back the calendar must reach",
}
"""What other layers than staging read of what others wrote, and why."""
HORIZON = "ops.horizon"
"""Up to which transaction a run reads: no data."""
CLOCK = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(|\b(current_(date|time|timestamp)|"
    r"localtime(stamp)?)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of the project as it stands."""
    from kpis import project

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1/santral")
        patch.setenv("SANTRAL_HOME", str(_shared_home(tmp_path_factory)))
        _forget_settings()
        found = json.loads((project.target() / "manifest.json").read_text())
    _forget_settings()
    return found


def _shared_home(factory: pytest.TempPathFactory) -> Path:
    """Return a home that shares the run's parsed project, as the fixture `parsed` does."""
    import os

    from tests.conftest import HOME

    home, shelf = factory.mktemp("rules"), Path(os.environ[HOME]) / "dbt"
    shelf.mkdir(exist_ok=True)
    (home / "dbt").symlink_to(shelf)
    return home


def _forget_settings() -> None:
    from crm.settings import settings

    settings.cache_clear()


@pytest.fixture
def models(manifest: dict[str, Any]) -> list[Node]:
    """Every model."""
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_every_model_is_described_and_somebody_answers_for_it(models: list[Node]):
    bare = [node["name"] for node in models if not (node["description"] and node["config"]["meta"].get("owner"))]

    assert len(models) > 40
    assert bare == []


def test_every_column_that_is_read_is_explained_and_typed(models: list[Node]):
    shown = [node for node in models if node["schema"] in SHOWN]

    unexplained = [
        f"{node['name']}.{name}"
        for node in shown
        for name, column in node["columns"].items()
        if not column["description"]
    ]

    assert unexplained == []
    assert [node["name"] for node in shown if not node["columns"]] == []


def test_tables_that_are_read_hold_to_a_contract_and_have_a_key(models: list[Node]):
    tables = [
        node
        for node in models
        if node["schema"] == "marts" and node["config"]["materialized"] in ("table", "incremental")
    ]

    loose = [node["name"] for node in tables if not node["config"]["contract"]["enforced"]]
    keyless = [node["name"] for node in tables if not _has_key(node)]

    assert (loose, keyless) == ([], [])


def _has_key(node: Node) -> bool:
    constraints = [*node["constraints"], *(one for column in node["columns"].values() for one in column["constraints"])]
    return any(one["type"] == "primary_key" for one in constraints)


def test_names_say_the_layer(models: list[Node]):
    odd = [
        node["name"] for node in models
        if node["schema"] in PREFIXES and not node["name"].startswith(PREFIXES[node["schema"]])
    ]  # fmt: skip

    assert odd == []


def test_only_staging_reads_what_others_wrote(manifest: dict[str, Any], models: list[Node]):
    crossing = [
        f"{node['name']} reads {name.split('.', 2)[-1]}"
        for node in models
        if node["schema"] != "stg"
        for name in node["depends_on"]["nodes"]
        if name.startswith("source.") and not name.endswith(HORIZON)
    ]

    assert sorted(crossing) == sorted(READS_SOURCES)


def test_staging_reads_no_marts_and_bi_reads_marts_only(manifest: dict[str, Any], models: list[Node]):
    schemas = {name: node["schema"] for name, node in manifest["nodes"].items()}
    allowed = {"stg": {"stg"}, "bi": {"marts"}}

    crossing = [
        f"{node['name']} reads {name}"
        for node in models
        if node["schema"] in allowed
        for name in node["depends_on"]["nodes"]
        if name in schemas and schemas[name] not in allowed[node["schema"]]
    ]

    assert crossing == []


def test_exposures_have_owners_and_show_what_holds_to_a_contract(manifest: dict[str, Any]):
    exposures = manifest["exposures"].values()

    assert len(exposures) >= 5
    for exposure in exposures:
        assert exposure["owner"]["email"], exposure["name"]
        for name in exposure["depends_on"]["nodes"]:
            node = manifest["nodes"][name]
            is_held = node["config"]["contract"]["enforced"] or node["config"]["materialized"] == "view"
            assert is_held, f"{exposure['name']} shows {node['name']}, which holds to no contract"


def test_bi_views_name_their_columns_and_their_version(models: list[Node]):
    views = [node for node in models if node["schema"] == "bi"]

    assert len(views) >= 15
    for node in views:
        assert "*" not in node["raw_code"], node["name"]
        major, minor, patch = node["config"]["meta"]["version"].split(".")
        assert (int(major), int(minor), int(patch)) >= (1, 0, 0), node["name"]


def test_no_model_asks_what_time_it_is(models: list[Node]):
    """What runs on runs up to where the run reads: built again as of then, it comes to the same."""
    telling = [node["name"] for node in models if CLOCK.search(_without_comments(node["raw_code"]))]

    assert telling == []
    assert CLOCK.search("where valid_from <= now()")


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*|\{#.*?#\}", "", sql, flags=re.DOTALL)
