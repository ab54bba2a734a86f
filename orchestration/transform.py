"""dbt in Dagster: how models become assets, and how they are built.

dbt runs inside the run's process: a subprocess of its own each time costs several times what building costs.
"""

import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings
from dbt.contracts.graph.manifest import Manifest

from crm import clock
from crm.settings import settings
from kpis import project
from orchestration import (
    connections,
    failing,
    parsed,
    policy,
    previews,
    publishing,
    relations,
    verdicts,
    warehouse,
    wording,
)

UNIQUE_ID = "dagster_dbt/unique_id"
"""Metadata under which assets and checks carry the id of their dbt node."""
BUILD = ("build", "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable")
"""How domains are built: unit tests hold the models to examples of ours, which is the suite's business; a test that
reads another domain runs with the one that is built upon the other, not before the other is there."""
QUIETLY = ("--log-level", "none", "--no-version-check")
ARTIFACTS, NO_ARTIFACTS = "--write-json", "--no-write-json"
"""dbt's files about a run cost more time than building a table does: they are written for those who ask."""
WELL = ("success", "pass", "warn")
"""How a node ends that is in order."""
PUBLISHES_LATER = "santral/publishes_later"
"""Tag of a run whose domains are published together at its end, by whoever started it."""


class Models(DagsterDbtTranslator):
    """Assets are named `schema/model`, as the tables are."""

    def __init__(
        self,
        *,
        freshness: dg.FreshnessPolicy,
        condition: dg.AutomationCondition[Any] | None = None,
        gates: Sequence[dg.AssetKey] = (),
    ) -> None:
        """Make assets of models. `gates`: what must have passed before whatever reads the operational tables."""
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.freshness = freshness
        self.condition = condition
        self.gates = gates

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return schema and name, or what a source says itself."""
        own = (dbt_resource_props.get("meta") or {}).get("dagster", {}).get("asset_key")
        return dg.AssetKey(own or [dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """Add what every asset of ours has."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        above, node = manifest.get("parent_map", {}).get(unique_id, []), manifest["nodes"].get(unique_id)
        gates = [dg.AssetDep(gate) for gate in self.gates if any(each.startswith("source.") for each in above)]
        return spec.replace_attributes(
            deps=[*spec.deps, *gates],
            freshness_policy=self.freshness,
            automation_condition=self.condition,
            kinds={"dbt", "postgres"} | ({node["config"]["materialized"]} if node else set()),
        )

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """Say in words what a test asks. It stops no run: whoever builds says for whom it failed."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=wording.asked(manifest["nodes"][unique_id])[0], blocking=False)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return what a model is, in words; its SQL stands in the repository."""
        return str(dbt_resource_props.get("description") or "")

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Group by domain: leads, telephony, ads, …"""
        return next(iter(dbt_resource_props.get("tags") or []), "") or str(dbt_resource_props["schema"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:
        """Return who answers for the domain."""
        return [policy.owner_of(self.get_group_name(dbt_resource_props))]

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """Tag with the domain and the layer: stg, int, marts."""
        return {"domain": self.get_group_name(dbt_resource_props), "layer": str(dbt_resource_props["schema"])}


@cache
def manifest() -> Path:
    """Return the manifest of the project as it stands; it is built once for each state of the project."""
    return project.target() / "manifest.json"


def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Build and test the selected models under the pipeline's role, and publish what is green; nobody else writes
    meanwhile. Of a run that is tagged `PUBLISHES_LATER`, whoever started it publishes at its end.

    Only a build of all of a domain makes it green: what was built in part waits for the next whole one. A test that
    fails for some firms holds back theirs alone (`orchestration.failing`).

    :raises dg.Failure: when a model or a test failed for all firms, with dbt's words on each, or when publishing did.
    """
    assets = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
    checks = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.check_specs}
    chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
    domains, built, told = _domains(context), parsed.manifest(), _Told()
    with warehouse.one_writer():
        publishing.begin(domains)
        for node, result in run([*BUILD, "--select", *chosen], pinned_for=context.run_id, within=built):
            check = checks.get(node.unique_id)
            found = told.of(built.nodes[node.unique_id], result, check)
            if node.unique_id in assets and result.status == "success":
                yield dg.MaterializeResult(asset_key=assets[node.unique_id], metadata=previews.of(node, result))
            elif check and check in context.selected_asset_check_keys:
                yield found.checked() if found else _checked(check, result)
        if set(context.selected_asset_keys) == set(assets.values()):
            failing.keep(told.fallen, assets.values(), now=clock.utc_now())
            publishing.end(domains, failed=sorted(told.problems), held=failing.firms(told.fallen))
        if PUBLISHES_LATER not in context.run.tags:
            told.of_publication(publishing.publish().problems)
    if told.problems:
        raise dg.Failure("; ".join(told.problems.values()), metadata={verdicts.FAILED: " ".join(sorted(told.failed))})


@dataclass(slots=True)
class _Told:
    """What went wrong in a build: for all firms, in words and as codes, and for some of them."""

    problems: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    fallen: list[failing.Failing] = field(default_factory=list)

    def of(self, node: Any, result: Any, check: dg.AssetCheckKey | None) -> failing.Failing | None:
        """Take in how a node ended; return whose rows a test found, where it tells."""
        if result.status in WELL:
            return None
        if result.status == "fail" and check and (found := failing.of(node, check)):
            self.fallen.append(found)
            return found
        is_test = node.resource_type == "test"
        what = f"{wording.asked(node.to_dict())[0]} ({node.name})" if is_test else node.name
        self.problems[node.name] = f"{what}: {result.message}"
        if result.status != "skipped":
            self.failed.add(f"{'test' if is_test else 'table'}:{node.name}")
        return None

    def of_publication(self, problems: Mapping[str, str]) -> None:
        """Take in which domains could not be published, and why."""
        self.problems |= problems
        self.failed |= {f"publication:{domain}" for domain in problems}


def _domains(context: dg.AssetExecutionContext) -> set[str]:
    """Return the domains that are built where these assets are."""
    nodes = {spec.metadata[UNIQUE_ID] for spec in context.assets_def.specs}
    return {relation.domain for relation in relations.all_relations() if relation.node in nodes}


def _checked(key: dg.AssetCheckKey, result: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        description=None if result.status == "pass" else result.message,
    )


def run(arguments: Sequence[str], *, pinned_for: str = "", within: Manifest | None = None) -> Iterator[tuple[Any, Any]]:
    """Run dbt in a thread and yield each node with its result as it finishes. A test that fails keeps nothing from
    being built: publishing keeps back the rows of whom it found.

    Runs that are pinned for the same thing read the same events, those of the first one. `within`: the parsed project,
    in which dbt leaves what it compiled.

    :raises dg.Failure: when dbt could not even start its work.
    """
    from dbt.cli.main import dbtRunner

    os.environ.update(project.environment() | {"SANTRAL_DBT_PINNED_FOR": pinned_for})
    connections.stay_open()
    _build_on()
    parsed_project = within or parsed.manifest()
    folder = _folder()
    finished: queue.Queue[Any] = queue.Queue()

    def hear(event: Any) -> None:
        if event.info.name == "NodeFinished":
            finished.put((event.data.node_info, event.data.run_result))

    def work() -> None:
        places = ["--project-dir", str(project.FOLDER), "--target-path", str(folder), "--log-path", str(folder)]
        artifacts = () if ARTIFACTS in arguments else (NO_ARTIFACTS,)
        outcome = None
        try:
            dbt = dbtRunner(parsed_project, callbacks=[hear])
            outcome = dbt.invoke([*arguments, *places, *QUIETLY, *artifacts])
        finally:
            finished.put(outcome)

    threading.Thread(target=work, name="dbt", daemon=True).start()
    while isinstance(event := finished.get(), tuple):
        yield event
    if event is None or event.exception:
        raise dg.Failure(f"dbt could not run: {event.exception if event else 'see its log'}; its log is in {folder}")


def _build_on() -> None:
    """Let dbt, in this process, build what reads a table of which a test failed."""
    from dbt.artifacts.schemas.results import NodeStatus
    from dbt.task.build import BuildTask

    BuildTask.MARK_DEPENDENT_ERRORS_STATUSES = [NodeStatus.Error, NodeStatus.Skipped]


def _folder() -> Path:
    """Return where dbt writes: only one build runs at a time."""
    folder = settings().home.resolve() / "dbt-run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
