"""Numbers as they were known at an instant, made on demand; once a day those that were kept long enough go."""

import time
from datetime import UTC, datetime

import dagster as dg

from crm import clock
from orchestration import as_of, policy, retry

AS_OF = dg.AssetKey(["ops", "as_of"])


class Instant(dg.Config):
    """Which instant: `2026-03-15T12:00:00+00:00`, with its zone. Without one a run only drops what is outdated."""

    instant: str = ""


class NoInstant(ValueError):
    """This is no instant."""


def read(text: str) -> datetime:
    """Return the instant that a text names.

    :raises NoInstant: when it names none, or does not say in which zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise NoInstant(f"{text!r} is no instant with a zone, as 2026-03-15T12:00:00+00:00")
    return found.astimezone(UTC)


@dg.asset(
    key=AS_OF,
    group_name="metrics",
    owners=[policy.ENGINEERS],
    kinds={"dbt", "postgres"},
    pool=policy.Pool.replay,
    tags={"domain": "metrics"},
    freshness_policy=policy.FRESH_DAILY,
)
def numbers_as_of(context: dg.AssetExecutionContext, config: Instant) -> dg.MaterializeResult:
    """The marts as they were known at an instant, for questions with `as_of`; kept for 14 days."""
    began, now = time.monotonic(), clock.utc_now()
    with retry.transient(context.retry_number):
        dropped = as_of.sweep(now=now)
        made = as_of.make(read(config.instant), now=now) if config.instant else None
        rows = as_of.rows(made) if made else {}
        known = as_of.at_hand()
    return dg.MaterializeResult(
        metadata={
            "instant": config.instant or "none: only looked for outdated ones",
            "schema": made or "none",
            "tables": len(rows),
            "rows": sum(rows.values()),
            "seconds": round(time.monotonic() - began, 1),
            "dropped": ", ".join(dropped) or "none",
            "at hand": dg.MetadataValue.table(
                [_record(*each) for each in known], schema=dg.TableSchema([dg.TableColumn(name) for name in COLUMNS])
            ),
        }
    )


COLUMNS = ("instant", "schema", "kept until")


def _record(instant: datetime, schema: str, until: datetime) -> dg.TableRecord:
    values = (instant.astimezone(UTC).isoformat(), schema, until.astimezone(UTC).isoformat())
    return dg.TableRecord(dict(zip(COLUMNS, values, strict=True)))


@dg.definitions
def past() -> dg.Definitions:
    """Return the asset, the job that takes an instant, and the daily look for what was kept long enough."""
    job = dg.define_asset_job(
        "as_of",
        dg.AssetSelection.assets(numbers_as_of),
        description="Make the numbers as they were known at `instant`; questions with `as_of` then are answered.",
    )
    daily = policy.scheduled(
        job, "50 4 * * *", name="drop_outdated_as_of", daily=True,
        says="Once a day: numbers as of an instant that were kept for 14 days go.",
    )  # fmt: skip
    return dg.Definitions(assets=[numbers_as_of], jobs=[job], schedules=[daily])
