"""Metrics read from what the build has published."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from crm import db
from kpis import compiler, manifest
from kpis.compiler import Source
from tests.conftest import Tenant


async def measure(tenant: Tenant, *metrics: str, by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return metrics by MetricFlow's names of dimensions, from what is published."""
    source = Source(("measured", *metrics), manifest.together(manifest.part_of(each) for each in metrics))
    sql = compiler.compile_sql(source, metrics, by, schema="published")
    async with db.transaction(tenant.admin) as tx:
        await tx.execute("set local timezone to 'UTC'")
        found = await tx.fetch(sql)
    return [{name: float(v) if isinstance(v, Decimal) else v for name, v in row.items()} for row in found]
