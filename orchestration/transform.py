"""dbt in Dagster: how models become assets, and how they are built.

dbt runs inside the run's process: a subprocess of its own each time costs several times what building costs.
"""

import os
import queue
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from crm.settings import settings
from kpis import project
from orchestration import policy, warehouse

UNIQUE_ID = "dagster_dbt/unique_id"
"""Metadata under which assets and checks carry the id of their dbt node."""


class Models(DagsterDbtTranslator):
    """Assets are named `schema/model`, as the tables are."""

    def __init__(self, *, freshness: dg.FreshnessPolicy, condition: dg.AutomationCondition[Any] | None = None) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.freshness = freshness
        self.condition = condition

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return schema and name, or what a source says itself."""
        own = (dbt_resource_props.get("meta") or {}).get("dagster", {}).get("asset_key")
        return dg.AssetKey(own or [dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """Add what every asset of ours has."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(
            owners=[policy.OWNER],
            freshness_policy=self.freshness,
            automation_condition=self.condition,
            kinds={"dbt", "postgres"},
        )

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Group by layer: stg, marts, ops."""
        return str(dbt_resource_props["schema"])


@cache
def manifest() -> Path:
    """Return the manifest of the project as it stands; it is built once for each state of the project."""
    return project.target() / "manifest.json"


def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Build and test the selected models under the pipeline's role; nobody else writes meanwhile.

    :raises dg.Failure: when a model or a test failed, with dbt's words on each.
    """
    assets = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
    checks = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.check_specs}
    chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
    problems = []
    with warehouse.one_writer():
        for node, result in run(["build", "--select", *chosen]):
            if result.status not in ("success", "pass", "warn"):
                problems.append(f"{node.node_name}: {result.message}")
            if node.unique_id in assets and result.status == "success":
                yield dg.MaterializeResult(asset_key=assets[node.unique_id])
            elif checks.get(node.unique_id) in context.selected_asset_check_keys:
                yield _checked(checks[node.unique_id], result)
    if problems:
        raise dg.Failure("; ".join(problems))


def _checked(key: dg.AssetCheckKey, result: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        description=None if result.status == "pass" else result.message,
    )


def run(arguments: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """Run dbt in a thread and yield each node with its result as it finishes.

    :raises dg.Failure: when dbt could not even start its work.
    """
    from dbt.cli.main import dbtRunner

    os.environ.update(project.environment())
    folder = _folder()
    finished: queue.Queue[Any] = queue.Queue()

    def hear(event: Any) -> None:
        if event.info.name == "NodeFinished":
            finished.put((event.data.node_info, event.data.run_result))

    def work() -> None:
        places = ["--project-dir", str(project.FOLDER), "--target-path", str(folder), "--log-path", str(folder)]
        outcome = None
        try:
            outcome = dbtRunner(callbacks=[hear]).invoke(
                [*arguments, *places, "--log-level", "none", "--no-version-check"]
            )
        finally:
            finished.put(outcome)

    threading.Thread(target=work, name="dbt", daemon=True).start()
    while isinstance(event := finished.get(), tuple):
        yield event
    if event is None or event.exception:
        raise dg.Failure(f"dbt could not run: {event.exception if event else 'see its log'}; its log is in {folder}")


def _folder() -> Path:
    """Return where dbt writes, with what it needs to skip parsing: only one build runs at a time."""
    folder = settings().home.resolve() / "dbt-run"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(project.target() / "partial_parse.msgpack", folder / "partial_parse.msgpack")
    return folder
