"""What holds for every asset: who answers for it, when it refreshes, how fresh it must be."""

from datetime import timedelta
from typing import Any

import dagster as dg

OWNER = "team:data-platform"
EVERY_FIVE_MINUTES = "*/5 * * * *"

FRESH_LEADS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15))
"""Lead marts follow operations within minutes."""
FRESH_TELEPHONY = FRESH_LEADS
"""So do those of telephony."""
FRESH_OPERATIONS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6), warn_window=timedelta(hours=2))
"""What the product does by itself is looked at every hour."""
FRESH_DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2), warn_window=timedelta(hours=30))
"""What comes once a day."""
FRESH_ADS = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3), warn_window=timedelta(days=2))
"""Advertising reports come daily."""


def gated_eager() -> dg.AutomationCondition[Any]:
    """Refresh when something upstream did, but only past checks that block.

    A failed blocking check stops the run it happened in; the upstream's materialization is on record all the same, and
    bare `eager` would take it at the next tick. A test keeps bare `eager` out.
    """
    return dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()
