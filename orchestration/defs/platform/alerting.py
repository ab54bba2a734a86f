"""Sensors that watch every run: who answers for a step is told when it keeps failing, and when it is well again."""

from collections.abc import Iterator

import dagster as dg

from crm import clock
from orchestration import alerts, policy, warehouse

AFTER_TAG = "santral/alert_after"
"""A run's tag: after how many failures in a row its owner is told."""


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the owner of a step that failed several times in a row: once a streak.",
)
def tell_of_failures(context: dg.RunFailureSensorContext) -> None:
    """Count the failed steps of a run, and tell their owners where it is time."""
    after = int(context.dagster_run.tags.get(AFTER_TAG, alerts.AFTER))
    for subject, said in _failed(context):
        with warehouse.connect() as connection:
            message = alerts.failed(
                connection, subject, owner=policy.OWNER, said=said, run_id=context.dagster_run.run_id, after=after,
                now=clock.utc_now(),
            )  # fmt: skip
        if message:
            alerts.tell(message)


def _failed(context: dg.RunFailureSensorContext) -> Iterator[tuple[str, str]]:
    """Yield what failed and why; a gate that is closed says what its check says."""
    closed = {
        event.step_key: event.asset_check_evaluation_data.description or "a gate is closed"
        for event in context.instance.all_logs(
            context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        for event in [event.dagster_event]
        if event and event.step_key and not event.asset_check_evaluation_data.passed
    }
    events = context.get_step_failure_events()
    for event in events:
        error = event.step_failure_data.error
        yield (
            event.step_key or context.dagster_run.job_name,
            closed.get(event.step_key, error.message.strip() if error else "no reason given"),
        )
    if not events:
        yield context.dagster_run.job_name, context.failure_event.message or "the run ended"


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the streak of what went well, and tells whoever was told that it failed.",
)
def tell_of_recovery(context: dg.RunStatusSensorContext) -> None:
    """End the streaks of a run's steps."""
    stats = context.instance.get_run_step_stats(context.dagster_run.run_id)
    subjects = [each.step_key for each in stats] + [context.dagster_run.job_name]
    with warehouse.connect() as connection:
        messages = alerts.recovered(connection, subjects, now=clock.utc_now())
    for message in messages:
        alerts.tell(message)
