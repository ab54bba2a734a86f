"""Two weeks of a bank's real calls through import, pipeline and metrics, against figures straight from the file."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from crm import clock, db
from crm.queues.figures import Counts
from kpis import query
from kpis.query import Query
from tests.conftest import Tenant
from tests.ingestion.files.test_bank_calls import counted, day_of, facts, file, is_visit, load, seconds
from tests.pipeline import Build

__all__ = ["facts", "file"]
Row = dict[str, str]
Facts = list[Row]

METRICS = (
    "offered", "answered", "abandoned", "short_abandons", "service_level", "service_level_strict",
    "service_level_credit", "service_level_answered", "service_level_ignore_sl_abandons", "asa_s", "abandonment_rate",
    "abandonment_rate_gross", "avg_abandon_wait_s",
)  # fmt: skip
FEBRUARY = {"since": date(1999, 2, 1), "until": date(1999, 3, 1)}


def answered_on(row: Row) -> date:
    """The day on which an agent took the call, in the bank's zone."""
    began = seconds(row["q_start"]) if row["q_start"] != "0:00:00" else seconds(row["ser_start"]) - int(row["q_time"])
    return day_of(row) + timedelta(days=(began + int(row["q_time"])) // (24 * 3600))


def figures(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in METRICS}


def as_told(counts: Counts) -> dict[str, Any]:
    return {name: pytest.approx(getattr(counts, name)) for name in METRICS}


def mean_service(rows: Iterable[Row]) -> Any:
    served = [int(row["ser_time"]) for row in rows]
    return pytest.approx(sum(served) / len(served))


async def ask(tenant: Tenant, *metrics: str, by: str | None = None, **how: Any) -> list[dict[str, Any]]:
    asked = Query(list(metrics), by=[by] if by else [], **FEBRUARY, **how)
    return (await db.run(tenant.analyst, lambda tx: query.ask(tx, asked, now=clock.utc_now()))).rows


async def test_every_figure_is_that_of_the_file(build: Build, tenant: Tenant, file: Path, facts: Facts) -> None:
    days: dict[str, Facts] = defaultdict(list)
    queues: dict[str, Facts] = defaultdict(list)
    for row in filter(is_visit, facts):
        days[day_of(row).isoformat()].append(row)
        queues[row["type"].lower()].append(row)
    await load(tenant, file)

    await build("--select", "+fct_call_leg", "+dim_queue", "dim_date", "--indirect-selection=cautious")

    [whole] = await ask(tenant, *METRICS)
    assert figures(whole) == as_told(counted(facts))
    assert (whole["offered"], whole["answered"], whole["abandoned"], whole["short_abandons"]) == (
        16290, 14405, 1885, 161,
    )  # fmt: skip
    assert [round(100 * whole[name], 2) for name in ("service_level", "abandonment_rate")] == [56.81, 10.69]
    assert round(whole["asa_s"], 2) == 34.41
    by_day = {row["metric_time"]: figures(row) for row in await ask(tenant, *METRICS, grain="day")}
    assert by_day == {day: as_told(counted(rows)) for day, rows in days.items()}
    by_queue = {row["queue"]: figures(row) for row in await ask(tenant, *METRICS, by="queue")}
    assert by_queue == {queue: as_told(counted(rows)) for queue, rows in queues.items()}
    await _require_service(tenant, [row for row in facts if row["outcome"] == "AGENT"])


async def _require_service(tenant: Tenant, served: Facts) -> None:
    """The time of service, a service of no seconds counted; nobody wrote anything up, so it is the time of handling."""
    [handled] = await ask(tenant, "handled")
    [whole] = await ask(tenant, "talk_s", "aht_s", "aht_s_call")
    days: dict[str, Facts] = defaultdict(list)
    queues: dict[str, Facts] = defaultdict(list)
    for row in served:
        days[answered_on(row).isoformat()].append(row)
        queues[row["type"].lower()].append(row)
    by_day = {row["metric_time"]: row["talk_s"] for row in await ask(tenant, "talk_s", grain="day")}
    by_queue = {row["queue"]: row["talk_s"] for row in await ask(tenant, "talk_s", by="queue")}

    assert (handled["handled"], whole["direction"], round(whole["talk_s"], 2)) == (14405, "inbound", 166.86)
    assert (whole["aht_s"], whole["aht_s_call"]) == (pytest.approx(whole["talk_s"]), pytest.approx(whole["talk_s"]))
    assert by_day == {day: mean_service(rows) for day, rows in days.items()}
    assert by_queue == {queue: mean_service(rows) for queue, rows in queues.items()}
