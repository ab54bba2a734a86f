"""The gate before the marts of telephony."""

import dagster as dg

from crm import clock
from orchestration import border, policy
from orchestration.defs.telephony import border as calls

CALLS = dg.AssetKey(["raw", "calls"])


@dg.asset(
    key=CALLS,
    group_name="ingestion",
    owners=[policy.owner_of("telephony")],
    kinds={"postgres", "great_expectations"},
    pool=policy.Pool.border,
    tags={"domain": "telephony"},
    freshness_policy=policy.FRESH_TELEPHONY,
    check_specs=[border.check_spec(CALLS, "About as many calls as usual, each with an end, none before its time.")],
)
def raw_calls() -> dg.MaterializeResult:
    """Calls of each day, judged against their past. Calls themselves go on whatever is found; numbers wait."""
    return border.look(CALLS, calls.judge_new, calls.standing, now=clock.utc_now())
