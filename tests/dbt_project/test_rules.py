"""The structure of the project: keys, contracts, owners, words for every column; the rules of dbt-project-evaluator."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from crm.queues import settings as queue_settings
from tests.dbt_project import evaluator

Node = dict[str, Any]

SHOWN = ("marts", "bi")
"""Schemas whose every column is explained."""
CLOCK = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(|\b(current_(date|time|timestamp)|"
    r"localtime(stamp)?)\b",
    re.IGNORECASE,
)
WANTED: dict[str, dict[str, str]] = {
    "root_models": dict.fromkeys(
        (
            "stg_quality__compliance_incidents", "stg_quality__erasure_targets", "stg_quality__opt_out_syncs",
            "stg_quality__review_items", "stg_quality__survey_responses", "stg_telephony__schedule_segments",
        ),
        "the shape of a source that comes later: its figures are defined, and answer that there is none yet",
    ),
    "several_sources": {"stg_ads__report_rows": "rows count once their report has passed the gate, and only then"},
    "shared_sources": {"crm.event_log": "one log of everything; each staging model takes one kind of event"},
    "exposed_views": {
        "fct_inbound_contact": "handled calls beside the next of the same person: one look-up by an index each",
        "fct_lead_stage_reached": "five rows for each row of its fact, without a join",
        "fct_mart_freshness": "says how fresh what is published is now: kept, it would be as old as itself",
    },
}  # fmt: skip
"""What the evaluator's rules find and is to stay, each with its reason."""
RULES = tuple(
    each for each in vars(evaluator).values()
    if inspect.isfunction(each) and each.__module__ == evaluator.__name__ and not each.__name__.startswith("_")
)  # fmt: skip


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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_what_the_evaluator_finds_is_wanted_and_has_a_reason(manifest: dict[str, Any], rule: evaluator.Rule):
    found = rule(evaluator.Project(manifest))

    assert found == set(WANTED.get(rule.__name__, {}))


def test_each_rule_of_the_evaluator_can_find_something():
    project = evaluator.Project(_bad())

    silent = [rule.__name__ for rule in RULES if not rule(project)]

    assert (silent, len(RULES)) == ([], 19)


def _bad() -> dict[str, Any]:
    """Return the manifest of a project that does everything wrong."""
    sources = {f"source.p.crm.{name}": _node(name, "crm") for name in ("a", "b", "unread")}
    views = ["one", "two", "three", "four", "five"]
    models = [
        _node("stg_crm__joined", "stg", "source.p.crm.a", "source.p.crm.b"),
        _node("stg_crm__above", "stg", "source.p.crm.a", "model.p.stg_crm__joined", raw_code="select 1 from crm.a"),
        _node("stg_crm__root", "stg"),
        _node("int_late", "int", "source.p.crm.a", "model.p.shown"),
        _node("shown", "bi", "model.p.odd"),
        _node("odd", "marts", *(f"model.p.stg_{number}" for number in range(10)), materialized="table"),
        *(
            _node(f"fct_{name}", "marts", f"model.p.{f'fct_{views[place - 1]}' if place else 'odd'}")
            for place, name in enumerate(views)
        ),
    ]
    exposure = {"name": "page", "depends_on": {"nodes": ["model.p.fct_five", "model.p.stg_crm__root"]}}
    nodes = {f"model.p.{model['name']}": model for model in models}
    return {"nodes": nodes, "sources": sources, "exposures": {"exposure.p.page": exposure}}


def _node(name: str, schema: str, *above: str, raw_code: str = "", materialized: str = "view") -> Node:
    return {
        "name": name, "identifier": name, "schema": schema, "resource_type": "model", "description": "", "columns": {},
        "raw_code": raw_code, "original_file_path": f"models/elsewhere/{name}.sql", "constraints": [],
        "depends_on": {"nodes": list(above)},
        "config": {"materialized": materialized, "contract": {"enforced": False}},
    }  # fmt: skip


def test_thresholds_nobody_set_are_those_of_the_crm(models: list[Node]):
    [node] = [node for node in models if node["name"] == "int_kpi_targets"]
    stated = {name: float(value) for name, value in re.findall(r"\('(\w+)', ([\d.]+)\)", node["raw_code"])}

    declared = {setting.key.removeprefix("queue."): setting.default for setting in queue_settings.WRAP}

    assert declared.items() <= stated.items()


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
