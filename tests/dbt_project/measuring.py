"""Metrics read from the workshop itself, whatever is published."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from crm import db
from kpis import compiler
from tests.conftest import Tenant


async def measure(tenant: Tenant, *metrics: str, by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return metrics by MetricFlow's names of dimensions, from the schema that dbt builds in."""
    sql = compiler.compile_sql(metrics, tuple(by), None, None, (), schema="marts")
    async with db.transaction(tenant.admin) as tx:
        await tx.execute("set local timezone to 'UTC'")
        found = await tx.fetch(sql)
    return [{name: float(v) if isinstance(v, Decimal) else v for name, v in row.items()} for row in found]
