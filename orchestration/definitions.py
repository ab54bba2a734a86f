"""Everything Dagster knows of: the folders below `defs`, one per domain, and a job that makes all of it once."""

from pathlib import Path

import dagster as dg

from orchestration import marts, progress

EVERYTHING = "everything"
NUMBERS = (
    dg.AssetSelection.all()
    - dg.AssetSelection.groups("operations", "metrics")
    - dg.AssetSelection.keys(["ops", "data_docs"], ["ops", "replayed_day"], ["raw", "fx_rates"])
)
"""What numbers are made of: neither what only looks, nor pages, nor days done again, nor what is asked of others."""


@dg.definitions
def defs() -> dg.Definitions:
    """Load the domains' folders."""
    whole = dg.Definitions(
        assets=marts.sources(),
        jobs=[dg.define_asset_job(EVERYTHING, NUMBERS, description="Make every number once, to its publication.")],
        # Steps write to one database under one lock: a process for each would only cost its start.
        executor=dg.in_process_executor,
        loggers={"console": dg.colored_console_logger, "lines": progress.lines},
    )
    return dg.Definitions.merge(dg.load_from_defs_folder(path_within_project=Path(__file__).parent), whole)
