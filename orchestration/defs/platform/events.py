"""The event log as the pipeline reads it: how far, and whether it is told of things when they happen."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from crm import clock
from orchestration import policy, retry, warehouse

HORIZON = dg.AssetKey(["crm", "event_horizon"])
SLOW, STUCK = 300, 3600
"""Seconds that the oldest running transaction may hold readers back: numbers are late, then numbers stand still."""

LOOK = """
with horizon as (select crm.event_horizon() as tx_id),
unread as (
  select e.aggregate_type, e.created_at, e.occurred_at
    from crm.event_log e, horizon h where e.tx_id >= h.tx_id
), news as (
  select e.aggregate_type, count(*) as events, count(*) filter (
           where e.occurred_at > e.created_at + interval '5 seconds') as ahead
    from crm.event_log e, ops.horizon h where e.tx_id >= h.tx_id group by 1
)
select (select tx_id::text from horizon),
       coalesce(extract(epoch from %(now)s - (select min(created_at) from unread)), 0)::float8 as age_s,
       coalesce((select sum(events) from news), 0)::int as events,
       coalesce((select array_agg(aggregate_type order by aggregate_type) from news where ahead > 0), '{}') as ahead
"""

LATELY = timedelta(days=2)
LATE = """
select source, sum(late_events)::int, min(reaches_back_to)::text
  from marts.dq_late_event where late_events > 0 and recorded_on >= %(since)s group by source order by source
"""


@dg.asset(
    key=HORIZON,
    group_name="sources",
    owners=[policy.ENGINEERS],
    kinds={"postgres"},
    tags={"domain": "platform"},
    freshness_policy=policy.FRESH_LEADS,
    check_specs=[
        dg.AssetCheckSpec("horizon_age", asset=HORIZON, description="No transaction holds readers back for long."),
        dg.AssetCheckSpec("clocks_agree", asset=HORIZON, description="Nothing is said to happen after it was told."),
        dg.AssetCheckSpec("told_in_time", asset=HORIZON, description="Nothing is told weeks after it happened."),
    ],
)
def event_horizon() -> dg.MaterializeResult:
    """Up to which transaction events can be read: whatever is below it has ended, so that no reader misses a row."""
    with retry.transient(), warehouse.connect() as connection:
        row = connection.execute(LOOK, {"now": clock.utc_now()}).fetchone()
        is_counted = connection.execute("select to_regclass('marts.dq_late_event') is not null").fetchone() == (True,)
        since = (clock.utc_now() - LATELY).date()
        late = connection.execute(LATE, {"since": since}).fetchall() if is_counted else []
    assert row is not None
    tx_id, age_s, events, ahead = row
    return dg.MaterializeResult(
        metadata={"horizon": tx_id, "seconds behind": round(age_s, 1), "events since the last build": events},
        data_version=dg.DataVersion(tx_id),
        check_results=[_age(age_s), _clocks(ahead), _late(late)],
    )


def _age(age_s: float) -> dg.AssetCheckResult:
    minutes = f"a transaction has been open for {age_s / 60:.0f} minutes: nothing that happened since is in any number"
    return dg.AssetCheckResult(
        asset_key=HORIZON,
        check_name="horizon_age",
        passed=age_s <= SLOW,
        severity=dg.AssetCheckSeverity.ERROR if age_s > STUCK else dg.AssetCheckSeverity.WARN,
        description=minutes if age_s > SLOW else "readers are up to date",
    )


def _clocks(ahead: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=HORIZON,
        check_name="clocks_agree",
        passed=not ahead,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"events of {', '.join(ahead)} are dated after they were told: a clock is wrong"
        if ahead
        else "all events happened before they were told",
    )


def _late(late: Sequence[tuple[str, int, str]]) -> dg.AssetCheckResult:
    told = ", ".join(f"{events} of {source} (back to {day})" for source, events, day in late)
    return dg.AssetCheckResult(
        asset_key=HORIZON,
        check_name="told_in_time",
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"events came late lately and changed what was long past: {told}"
        if late
        else "nothing was told weeks after it happened",
    )


look_at_events = policy.scheduled(
    policy.job_of("look_at_events", event_horizon, says="Whether readers of events are held back."),
    policy.EVERY_FIVE_MINUTES,
)
