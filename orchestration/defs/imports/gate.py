"""The gate for imported files."""

import dagster as dg

from crm import clock
from orchestration import border, policy
from orchestration.defs.imports import border as files

IMPORTS = dg.AssetKey(["raw", "imports"])


@dg.asset(
    key=IMPORTS,
    group_name="ingestion",
    owners=[policy.ENGINEERS],
    kinds={"postgres", "great_expectations"},
    pool=policy.Pool.border,
    tags={"domain": "imports"},
    freshness_policy=policy.FRESH_LEADS,
    check_specs=[border.check_spec(IMPORTS, "Imports went to the end of their files, and most rows could be read.")],
)
def imports() -> dg.MaterializeResult:
    """Files of leads and calls that somebody imported, each judged when its import ended."""
    return border.look(IMPORTS, files.judge_new, files.standing, now=clock.utc_now())
