"""A Dagster logger for people at a terminal: one line per thing made, and why where something was not."""

import logging
import sys
from typing import Any

import dagster as dg
from dagster import DagsterEventType


class Lines(logging.Handler):
    """Writes the few events a person cares about to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line for a thing made, a failed check or a failed step."""
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is not None and (line := in_words(event)):
            print(line, file=sys.stderr, flush=True)


def in_words(event: dg.DagsterEvent) -> str:
    """Return the line that tells of an event; empty when it is not worth one."""
    if event.event_type is DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
        return f"  made {event.asset_key.to_user_string()}"
    if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        found = event.asset_check_evaluation_data
        if not found.passed:
            return f"  {found.severity.value}: {found.check_name}: {found.description or 'failed'}"
    if event.event_type is DagsterEventType.STEP_FAILURE and event.step_failure_data.error:
        return f"  failed {event.step_key}: {reason(event.step_failure_data.error)}"
    return ""


@dg.logger(description="One line per thing made, on standard error.")
def lines(_context: dg.InitLoggerContext) -> logging.Logger:
    """Return the logger."""
    logger = logging.Logger("santral.pipeline", logging.DEBUG)
    logger.addHandler(Lines())
    return logger


def reason(error: Any) -> str:
    """Return what was wrong in the first place; what Dagster wraps around it tells nobody anything."""
    return reason(error.cause) if error.cause else str(error.message).strip()
