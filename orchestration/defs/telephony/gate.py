"""The gate before the marts of telephony."""

import dagster as dg

from crm import clock
from expectations.rules import CALLS
from orchestration import border, policy
from orchestration.defs.telephony import border as calls


@border.gate(
    CALLS.asset,
    domain="telephony",
    freshness=policy.FRESH_TELEPHONY,
    asks="About as many calls as usual, each with an end, none before its time.",
)
def raw_calls() -> dg.MaterializeResult:
    """Calls of each day, judged against their past. Calls themselves go on whatever is found; numbers wait."""
    return border.look(CALLS.asset, calls.judge_new, calls.standing, now=clock.utc_now())
