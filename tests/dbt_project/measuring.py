"""Metrics read from what the build has published."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from crm import clock, db
from kpis import compiler, manifest, query
from kpis.answers import MARKS
from kpis.compiler import Source
from kpis.query import Query
from orchestration import warehouse
from tests.conftest import Tenant


async def measure(tenant: Tenant, *metrics: str, by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return metrics by MetricFlow's names of dimensions, from what is published."""
    source = Source(("measured", *metrics), manifest.together(manifest.part_of(each) for each in metrics))
    sql = compiler.compile_sql(source, metrics, by, schema="published")
    async with db.transaction(tenant.admin) as tx:
        await tx.execute("set local timezone to 'UTC'")
        found = await tx.fetch(sql)
    return [{name: float(v) if isinstance(v, Decimal) else v for name, v in row.items()} for row in found]


async def holds(
    tenant: Tenant, *, by: Sequence[str] = (), since: date | None = None, until: date | None = None, **figures: Any
) -> None:
    """Check golden figures: what metrics answer is what somebody worked out by hand.

    Each is a number, or numbers by the values of what the metric is cut by (several: a tuple). Which metrics are named
    here is what `tests/kpis/test_golden.py` knows of them.
    """
    asked = Query(list(figures), by=by, since=since, until=until)
    answer = await db.run(tenant.sales_manager, lambda tx: query.ask(tx, asked, now=clock.utc_now()))
    for name, expected in figures.items():
        wanted = expected if isinstance(expected, Mapping) else {(): expected}
        found = {_cut(row, answer.metrics): row[name] for row in answer.rows if name in row}
        told = {key: value for key, value in found.items() if value is not None or key in wanted}
        assert told == pytest.approx(wanted), f"{name}: {told}"


def put(tenant: Tenant, relation: str, *rows: Mapping[str, Any]) -> None:
    """Put rows written by hand into what is published: what a source tells that comes later."""
    into = f"insert into published.{relation} select * from jsonb_populate_record(null::published.{relation}, %s)"
    with warehouse.connect() as connection:
        for row in rows:
            connection.execute(into, (Jsonb({"tenant_id": str(tenant.id), **row}, dumps=db.to_json),))


def _cut(row: Mapping[str, Any], metrics: Sequence[str]) -> Any:
    values = tuple(value for name, value in row.items() if name not in (*metrics, *MARKS))
    return values[0] if len(values) == 1 else values
