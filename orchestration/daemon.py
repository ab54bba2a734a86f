"""Dagster's daemon, told of the pools before its first look at the queue: `python -m orchestration.daemon run …`.

By itself it learns of a pool from the first runs that want it, and lets all of those go at once.
"""

import os
import sys

import dagster as dg
from dagster._daemon.cli import main

from orchestration import policy


def limit_pools(instance: dg.DagsterInstance) -> None:
    """Give every pool the limit that the settings name; one that somebody has set stays as it is."""
    storage = instance.event_log_storage
    known = {pool.name for pool in storage.get_pool_limits()}
    for pool in policy.POOLS:
        if pool not in known:
            storage.initialize_concurrency_limit_to_default(pool)


if __name__ == "__main__":
    if os.environ.get("DAGSTER_HOME"):  # without one the daemon itself says what is missing
        with dg.DagsterInstance.get() as found:
            limit_pools(found)
    sys.exit(main())
