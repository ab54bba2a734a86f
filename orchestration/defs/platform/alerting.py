"""Sensors that watch every run: who answers for a thing is told when it keeps failing, and when it is well again."""

import dagster as dg
import psycopg

from crm import clock
from orchestration import alerts, border, failing, policy, verdicts, warehouse
from orchestration.verdicts import Verdict


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the owners of what failed several times in a row: once a streak, and when more joins it.",
)
def tell_of_failures(context: dg.RunFailureSensorContext) -> None:
    """Count what failed in a run, and tell the owners where it is time; what went well in it is over."""
    judge(context)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of checks that stop nothing, and tells whoever was told of a failure when it is over.",
)
def tell_of_recovery(context: dg.RunStatusSensorContext) -> None:
    """End the streaks of what went well in a run; count what only is to be looked at."""
    judge(context)


def judge(context: dg.RunStatusSensorContext) -> None:
    """Count what went wrong in a run and end the streaks of what went well."""
    run = context.dagster_run
    after = int(run.tags.get(policy.ALERT_AFTER, alerts.AFTER))
    messages = []
    with warehouse.connect() as connection:
        found = verdicts.of(context.instance, run)
        wrong = {(one.subject, one.severity): one for one in found if one.said}
        well = {(one.subject, one.severity) for one in found} - wrong.keys()
        for one in wrong.values():
            message = alerts.failed(
                connection, one.subject, severity=one.severity, owner=_owner(context, one), said=one.said,
                said_tr=one.said_tr, causes=[*one.causes, *_marks(connection, one)],
                run_id=run.run_id, after=after, now=clock.utc_now(),
            )  # fmt: skip
            messages += [message] if message else []
        messages += alerts.recovered(connection, sorted(well), now=clock.utc_now())
    for message in messages:
        alerts.tell(message)


def _marks(connection: psycopg.Connection, one: Verdict) -> list[str]:
    """Return codes for what else would be news: one more set at a gate, one more firm whose numbers stand still."""
    return [*border.marks(connection, one.subject, one.causes), *failing.marks(connection, one.subject, one.causes)]


def _owner(context: dg.RunStatusSensorContext, verdict: Verdict) -> str:
    """Return who answers for the first asset concerned; for a run as a whole the engineers."""
    graph = context.repository_def.asset_graph if context.repository_def else None
    for key in verdict.assets:
        if graph and graph.has(key) and (owners := graph.get(key).owners):
            return owners[0]
    return policy.ENGINEERS
