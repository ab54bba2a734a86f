"""The gate before the marts of leads."""

import dagster as dg

from crm import clock
from expectations.rules import LEADS
from orchestration import border, policy
from orchestration.defs.leads import border as forms


@border.gate(
    LEADS.asset,
    domain="leads",
    freshness=policy.FRESH_LEADS,
    asks="Each form brings about as many leads as usual, with numbers, ad ids, questions and times in order.",
)
def leads() -> dg.MaterializeResult:
    """What each form brought each day, judged against its past. Agents have these leads already; numbers wait."""
    return border.look(LEADS.asset, forms.judge_new, forms.standing, now=clock.utc_now())
