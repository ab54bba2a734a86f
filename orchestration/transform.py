"""dbt in Dagster: how models become assets, and how they are built.

dbt runs inside the run's process: a subprocess of its own each time costs several times what building costs.
"""

import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from crm.settings import settings
from kpis import project
from orchestration import connections, parsed, policy, previews, publishing, relations, verdicts, warehouse, wording

UNIQUE_ID = "dagster_dbt/unique_id"
"""Metadata under which assets and checks carry the id of their dbt node."""
BUILD = ("build", "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable")
"""How domains are built: unit tests hold the models to examples of ours, which is the suite's business; a test that
reads another domain runs with the one that is built upon the other, not before the other is there."""
QUIETLY = ("--log-level", "none", "--no-version-check")
ARTIFACTS, NO_ARTIFACTS = "--write-json", "--no-write-json"
"""dbt's files about a run cost more time than building a table does: they are written for those who ask."""
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
        """Say in words what a test asks."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=wording.asked(manifest["nodes"][unique_id]))

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

    Only a build of all of a domain makes it green: what was built in part waits for the next whole one.

    :raises dg.Failure: when a model or a test failed, with dbt's words on each, or when publishing did.
    """
    assets = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
    checks = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.check_specs}
    asked = {spec.metadata[UNIQUE_ID]: spec.description for spec in context.assets_def.check_specs}
    chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
    problems: dict[str, str] = {}
    failed: set[str] = set()
    domains = _domains(context)
    with warehouse.one_writer():
        publishing.begin(domains)
        for node, result in run([*BUILD, "--select", *chosen], pinned_for=context.run_id):
            if result.status not in ("success", "pass", "warn"):
                what = f"{asked[node.unique_id]} ({node.node_name})" if asked.get(node.unique_id) else node.node_name
                problems[node.node_name] = f"{what}: {result.message}"
                if result.status != "skipped":
                    failed.add(f"{'test' if node.resource_type == 'test' else 'table'}:{node.node_name}")
            if node.unique_id in assets and result.status == "success":
                yield dg.MaterializeResult(asset_key=assets[node.unique_id], metadata=previews.of(node, result))
            elif checks.get(node.unique_id) in context.selected_asset_check_keys:
                yield _checked(checks[node.unique_id], result)
        if set(context.selected_asset_keys) == set(assets.values()):
            publishing.end(domains, failed=sorted(problems))
        if PUBLISHES_LATER not in context.run.tags:
            late = publishing.publish().problems
            problems |= late
            failed |= {f"publication:{domain}" for domain in late}
    if problems:
        raise dg.Failure("; ".join(problems.values()), metadata={verdicts.FAILED: " ".join(sorted(failed))})


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


def run(arguments: Sequence[str], *, pinned_for: str = "") -> Iterator[tuple[Any, Any]]:
    """Run dbt in a thread and yield each node with its result as it finishes.

    Runs that are pinned for the same thing read the same events, those of the first one.

    :raises dg.Failure: when dbt could not even start its work.
    """
    from dbt.cli.main import dbtRunner

    environment = project.environment()
    os.environ.update(environment | {"SANTRAL_DBT_PINNED_FOR": pinned_for})
    connections.stay_open()
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
            dbt = dbtRunner(parsed.manifest(environment["SANTRAL_DBT_DATABASE"]), callbacks=[hear])
            outcome = dbt.invoke([*arguments, *places, *QUIETLY, *artifacts])
        finally:
            finished.put(outcome)

    threading.Thread(target=work, name="dbt", daemon=True).start()
    while isinstance(event := finished.get(), tuple):
        yield event
    if event is None or event.exception:
        raise dg.Failure(f"dbt could not run: {event.exception if event else 'see its log'}; its log is in {folder}")


def _folder() -> Path:
    """Return where dbt writes: only one build runs at a time."""
    folder = settings().home.resolve() / "dbt-run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
