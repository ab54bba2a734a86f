"""The gate before the marts of leads."""

import dagster as dg

from crm import clock
from orchestration import border, policy
from orchestration.defs.leads import border as forms

LEADS = dg.AssetKey(["raw", "leads"])


@dg.asset(
    key=LEADS,
    group_name="ingestion",
    owners=[policy.owner_of("leads")],
    kinds={"postgres", "great_expectations"},
    pool=policy.Pool.border,
    tags={"domain": "leads"},
    freshness_policy=policy.FRESH_LEADS,
    check_specs=[
        border.check_spec(
            LEADS, "Each form brings about as many leads as usual, with numbers, ad ids, questions and times in order."
        )
    ],
)
def leads() -> dg.MaterializeResult:
    """What each form brought each day, judged against its past. Agents have these leads already; numbers wait."""
    return border.look(LEADS, forms.judge_new, forms.standing, now=clock.utc_now())
