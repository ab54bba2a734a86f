"""Making everything once, to the published marts: in this process, with or without a running Dagster."""

import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime

import dagster as dg

from orchestration import definitions, progress, publishing, transform, warehouse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. `problems`: sentences, of checks that only warn, too."""

    run_id: str
    ok: bool
    seconds: float
    made: int
    """Tables and views."""
    checks: int
    """Checks that passed: tests of dbt and the gate at the border."""
    problems: list[str]
    as_of: str | None
    """All that is published holds everything up to here (UTC)."""

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON knows it."""
        return asdict(self)


def everything() -> Outcome:
    """Make all assets once and return what came of it; lines on standard error tell how it goes.

    The run is recorded in the Dagster of `DAGSTER_HOME`, where that is set. A domain that fails does not stop another.
    """
    began = time.monotonic()
    job = definitions.defs().resolve_job_def(definitions.EVERYTHING)
    with _instance() as instance:
        result = job.execute_in_process(
            instance=instance, raise_on_error=False, run_config={"loggers": {"lines": {"config": {}}}},
            tags={transform.PUBLISHES_LATER: "true"},
        )  # fmt: skip
    with warehouse.one_writer():
        published = publishing.publish()
    evaluations = result.get_asset_check_evaluations()
    problems = [f"{one.check_name}: {one.description or 'failed'}" for one in evaluations if not one.passed]
    problems += [
        f"{event.step_key}: {progress.reason(event.step_failure_data.error)}"
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.error
    ]
    problems += [f"{domain} is not published: {why}" for domain, why in published.problems.items()]
    return Outcome(
        run_id=result.run_id,
        ok=result.success and not published.problems,
        seconds=round(time.monotonic() - began, 1),
        made=sum(event.is_step_materialization for event in result.all_events),
        checks=sum(one.passed for one in evaluations),
        problems=problems,
        as_of=_as_of(),
    )


def _instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral()


def _as_of() -> str | None:
    with warehouse.connect() as connection:
        row = connection.execute("select min(as_of) from ops.publication").fetchone()
    latest: datetime | None = row[0] if row else None
    return latest.isoformat() if latest else None
