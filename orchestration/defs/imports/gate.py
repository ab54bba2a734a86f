"""The gate for imported files."""

import dagster as dg

from crm import clock
from expectations.rules import IMPORTS
from orchestration import border, policy
from orchestration.defs.imports import border as files


@border.gate(
    IMPORTS.asset,
    domain="imports",
    freshness=policy.FRESH_LEADS,
    asks="Imports went to the end of their files, and most rows could be read.",
)
def imports() -> dg.MaterializeResult:
    """Files of leads and calls that somebody imported, each judged when its import ended."""
    return border.look(IMPORTS.asset, files.judge_new, files.standing, now=clock.utc_now())
