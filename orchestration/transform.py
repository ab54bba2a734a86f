"""dbt in Dagster: how assets that are made of models (`orchestration.marts`) are built.

dbt runs inside the run's process: a subprocess of its own each time costs several times what building costs.
"""

import os
import queue
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dbt.contracts.graph.manifest import Manifest

from crm import clock
from crm.settings import settings
from kpis import project
from orchestration import (
    connections,
    failing,
    parsed,
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
AGAIN = ("build", "--indirect-selection", "empty")
"""How what could not be built is built once more: just that."""
UNMADE = ("error", "skipped")
WELL = ("success", "pass", "warn")
"""How a node ends that is in order."""
PUBLISHES_LATER = "santral/publishes_later"
"""Tag of a run whose domains are published together at its end, by whoever started it."""


def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Build and test the selected models under the pipeline's role, and publish what is green; nobody else writes
    meanwhile. Of a run that is tagged `PUBLISHES_LATER`, whoever started it publishes at its end.

    Only a build of all of a domain makes it green: what was built in part waits for the next whole one. A table that
    cannot be built of the rows of some firms, and a test that fails for them, holds back theirs alone
    (`orchestration.failing`).

    :raises dg.Failure: when a model or a test failed for all firms, with dbt's words on each, or when publishing did.
    """
    assets = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
    checks = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.check_specs}
    chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
    domains, built, told = _domains(context), parsed.manifest(), _Told()
    with warehouse.one_writer():
        publishing.begin(domains)
        for node, result, is_apart in _whoever_can(chosen, domains, pinned_for=context.run_id, within=built):
            check = checks.get(node.unique_id)
            found = told.of(built.nodes[node.unique_id], result, check)
            if node.unique_id in assets and result.status == "success":
                key = assets[node.unique_id]
                unbuilt = told.of_table(key) if is_apart else {}
                yield dg.MaterializeResult(asset_key=key, metadata=previews.of(node, result) | unbuilt)
            elif check and check in context.selected_asset_check_keys:
                yield found.checked() if found else _checked(check, built.nodes[node.unique_id], result)
        if set(context.selected_asset_keys) == set(assets.values()):
            failing.keep(told.fallen, assets.values(), now=clock.utc_now())
            publishing.end(domains, failed=sorted(told.problems), held=failing.firms(told.fallen))
        if PUBLISHES_LATER not in context.run.tags:
            told.of_publication(publishing.publish().problems)
    if told.problems:
        raise dg.Failure("; ".join(told.problems.values()), metadata={verdicts.FAILED: " ".join(sorted(told.failed))})


def _whoever_can(
    chosen: Sequence[str], domains: Set[str], *, pinned_for: str, within: Manifest
) -> Iterator[tuple[Any, Any, bool]]:
    """Build for all firms at once, and what could not be built so, firm by firm; yield each node with its result and
    whether it went by firm."""
    behind, again = _fallen_behind(within), list[str]()
    is_apart = domains <= behind
    for node, result in run([*BUILD, "--select", *chosen], pinned_for=pinned_for, within=within, by_firm=behind):
        if result.status in UNMADE and not is_apart:
            again.append(node.node_name)
        else:
            yield node, result, is_apart
    if again:
        apart, once_more = behind | domains, [*AGAIN, "--select", *again]
        for node, result in run(once_more, pinned_for=pinned_for, within=within, by_firm=apart):
            yield node, result, True


def _fallen_behind(project: Manifest) -> set[str]:
    """Return the domains of which a table could not be built of some firm's rows."""
    tables = set(failing.tables_unbuilt())
    return {node.tags[0] for node in project.nodes.values() if f"{node.schema}/{node.name}" in tables}


@dataclass(slots=True)
class _Told:
    """What went wrong in a build: for all firms, in words and as codes, and for some of them."""

    problems: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    fallen: list[failing.Failing] = field(default_factory=list)

    def of(self, node: Any, result: Any, check: dg.AssetCheckKey | None) -> failing.Failing | None:
        """Take in how a node ended; return whose rows a test found, where it tells."""
        is_warning = result.status == "warn"
        if result.status in ("fail", "warn") and check and (found := failing.of(node, check, is_warning=is_warning)):
            self.fallen.append(found)
            return found
        if result.status in WELL:
            return None
        is_test = node.resource_type == "test"
        what = f"{wording.asked(node.to_dict())[0]} ({node.name})" if is_test else node.name
        self.problems[node.name] = f"{what}: {result.message}"
        if result.status != "skipped":
            self.failed.add(f"{'test' if is_test else 'table'}:{node.name}")
        return None

    def of_table(self, key: dg.AssetKey) -> dict[str, str]:
        """Take in of whose rows a table could not be built; return what its materialization tells of it. A table that
        only waits for another has nothing to say."""
        found = failing.unbuilt(key)
        self.fallen += [found] if found else []
        return found.metadata if found and not found.only_waits else {}

    def of_publication(self, problems: Mapping[str, str]) -> None:
        """Take in which domains could not be published, and why."""
        self.problems |= problems
        self.failed |= {f"publication:{domain}" for domain in problems}


def _domains(context: dg.AssetExecutionContext) -> set[str]:
    """Return the domains that are built where these assets are."""
    nodes = {spec.metadata[UNIQUE_ID] for spec in context.assets_def.specs}
    return {relation.domain for relation in relations.all_relations() if relation.node in nodes}


def _checked(key: dg.AssetCheckKey, test: Any, result: Any) -> dg.AssetCheckResult:
    """Return how a test ended of which nobody can tell whose rows it found."""
    (asks, asks_tr), rows = wording.asked(test.to_dict()), result.num_failures
    is_known = result.status in ("fail", "warn")
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        description=f"{asks} Not so: {rows} rows" if is_known else result.message if result.status != "pass" else None,
        metadata={verdicts.TURKISH: f"{asks_tr} Tutmuyor: {rows} satır"} if is_known else {},
    )


def run(
    arguments: Sequence[str],
    *,
    pinned_for: str = "",
    within: Manifest | None = None,
    by_firm: Collection[str] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Run dbt in a thread and yield each node with its result as it finishes. A test that fails keeps nothing from
    being built: publishing keeps back the rows of whom it found.

    Runs that are pinned for the same thing read the same events, those of the first one. `within`: the parsed project,
    in which dbt leaves what it compiled. `by_firm`: domains that are built firm by firm, by itself those in which
    somebody fell behind (`dbt_project/macros/by_firm.sql`).

    :raises dg.Failure: when dbt could not even start its work.
    """
    from dbt.cli.main import dbtRunner

    parsed_project = within or parsed.manifest()
    apart = _fallen_behind(parsed_project) if by_firm is None else by_firm
    if apart:
        parsed_project.build_flat_graph()  # `graph` in macros, of which dbt knows only when it has parsed by itself
    told = {"SANTRAL_DBT_PINNED_FOR": pinned_for, "SANTRAL_DBT_BY_FIRM": " ".join(apart)}
    os.environ.update(project.environment() | told)
    connections.stay_open()
    _build_on()
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
