"""Data Docs of the gates: what is asked of data at the border and how it stood this morning, as pages."""

import dagster as dg

from crm import clock
from crm.settings import settings
from expectations.rules import CALLS, IMPORTS, LEADS, REPORT_ROWS, REPORT_SETS
from orchestration import days, policy, retry, warehouse
from orchestration.defs.ads import border as reports
from orchestration.defs.imports import border as files


@dg.asset(
    key=["ops", "data_docs"],
    group_name="quality",
    owners=[policy.ENGINEERS],
    kinds={"great_expectations"},
    tags={"domain": "quality"},
    freshness_policy=policy.FRESH_DAILY,
    deps=[dg.AssetKey(["raw", name]) for name in ("ad_reports", "calls", "imports", "leads")],
)
def data_docs() -> dg.MaterializeResult:
    """Pages about every rule of the gates and how many rows keep to it. They hold counts, never a value."""
    # Imported here: it takes seconds, and whoever loads the code does not need it.
    import pandas as pd

    from expectations import docs

    now = clock.utc_now()
    with retry.transient(), warehouse.connect() as connection:
        rows, sets = reports.recent(connection)
        found = [
            (REPORT_ROWS, rows),
            (REPORT_SETS, sets),
            (LEADS, days.recent(connection, LEADS, now=now)),
            (CALLS, days.recent(connection, CALLS, now=now)),
            (IMPORTS, files.recent(connection, now=now)),
        ]
        page = docs.publish(
            [(suite, pd.DataFrame(frame)) for suite, frame in found if frame], settings().home.resolve() / "data-docs"
        )
    return dg.MaterializeResult(
        metadata={"page": dg.MetadataValue.path(str(page)), **{suite.asset: len(frame) for suite, frame in found}}
    )


write_data_docs = policy.scheduled(
    policy.job_of("write_data_docs", data_docs, says="The pages about the gates, every morning."),
    "20 4 * * *",
    daily=True,
)
