"""Pools: runs of one take turns under the settings that `santral up` gives Dagster; those of others do not wait."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from cli import dagster_home
from orchestration import daemon, policy
from tests.conftest import HOME

# Runs are carried out where the queue lets them go, so that a run which it lets go too early would be seen to be over.
SETTINGS = {
    "concurrency": yaml.safe_load(dagster_home.SETTINGS.read_text())["concurrency"],
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher",
    },
    "telemetry": {"enabled": False},
}  # fmt: skip
WANTED = (("leads", policy.Pool.marts), ("calls", policy.Pool.marts), ("upkeep", policy.Pool.upkeep))


def step(name: str, pool: str) -> dg.AssetsDefinition:
    """Return an asset that wants a pool."""

    @dg.asset(name=name, pool=pool)
    def made() -> None: ...

    return made


STEPS = [step(name, pool) for name, pool in WANTED]
defs = dg.Definitions(
    assets=STEPS, jobs=[dg.define_asset_job(f"make_{key}", [key]) for key, _ in WANTED], executor=dg.in_process_executor
)


@pytest.fixture
def workspace() -> Iterator[WorkspaceProcessContext]:
    """Dagster under our settings, with this file as its code; its databases lie in memory where there is room."""
    place = Path(mkdtemp(dir=os.environ[HOME]))
    (place / "dagster.yaml").write_text(yaml.safe_dump(SETTINGS))
    target = LoadableTargetOrigin(
        executable_path=sys.executable, python_file=__file__, attribute="defs", working_directory=str(Path.cwd())
    )
    code = InProcessWorkspaceLoadTarget([InProcessCodeLocationOrigin(target, location_name="test")])
    with (
        dg.DagsterInstance.from_config(str(place)) as instance,
        WorkspaceProcessContext(instance, code) as context,
    ):
        yield context


class TestPools:
    def test_runs_of_one_pool_take_turns(self, workspace: WorkspaceProcessContext) -> None:
        instance, request = workspace.instance, workspace.create_request_context()
        (location,) = request.code_locations
        (repository,) = location.get_repositories().values()

        def submit(name: str) -> str:
            job = repository.get_full_job(f"make_{name}")
            run = instance.create_run_for_job(
                defs.resolve_job_def(f"make_{name}"),
                remote_job_origin=job.get_remote_origin(),
                job_code_origin=job.get_python_origin(),
                status=dg.DagsterRunStatus.NOT_STARTED,
            )
            instance.submit_run(run.run_id, request)
            return run.run_id

        def look(names: dict[str, str]) -> dict[str, str]:
            list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(workspace))
            return {name: run.status.value for name, key in names.items() if (run := instance.get_run_by_id(key))}

        daemon.limit_pools(instance)
        wanted = {name: submit(name) for name, _ in WANTED}
        first, then = look(wanted), look(wanted)
        instance.event_log_storage.set_concurrency_slots(policy.Pool.upkeep, 2)
        daemon.limit_pools(instance)

        assert first == {"leads": "SUCCESS", "calls": "QUEUED", "upkeep": "SUCCESS"}, "from the first pass on"
        assert set(then.values()) == {"SUCCESS"}
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
        assert limits == {**dict.fromkeys(policy.POOLS, 1), policy.Pool.upkeep: 2}, "what somebody set stays"
