"""Numbers as of an instant are what was published then, though more has become known since."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from orchestration import as_of, warehouse
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, rows

FACTS = ("--select", "+fct_lead_stage_reached", "--exclude-resource-type", "test")
MARTS = ("fct_lead_cycle", "fct_lead_stage_interval", "fct_lead_stage_reached")


async def content(tenant: Tenant, schema: str) -> dict[str, list[str]]:
    return {
        mart: sorted(str(tuple(row)) for row in await rows(tenant.admin, f"select * from {schema}.{mart}"))
        for mart in MARTS
    }


class TestMake:
    async def test_equals_what_was_published_though_late_events_came(
        self, build: Build, tenant: Tenant, other_tenant: Tenant
    ) -> None:
        await golden.Desk(tenant).lead("meta")
        await golden.Desk(other_tenant).lead("google")
        await build(*FACTS)
        yesterday = await content(tenant, "published")
        (stood,) = await rows(tenant.admin, "select as_of from ops.publication where domain = 'leads'")
        await golden.Desk(tenant).lead("meta")  # of the same day as the first, and recorded later

        now = datetime.now(UTC)
        schema = await asyncio.to_thread(as_of.make, stood["as_of"], now=now, select=("+fct_lead_stage_reached",))
        await build(*FACTS)

        today = await content(tenant, "published")
        assert await content(tenant, schema) == yesterday
        assert len(today["fct_lead_cycle"]) == 2 * len(yesterday["fct_lead_cycle"]) == 2
        (known,) = await rows(tenant.admin, "select * from ops.as_of")
        assert (known["schema_name"], known["instant"]) == (schema, stood["as_of"])
        with warehouse.connect() as connection:
            kept = as_of.drop_outdated(connection, now=now)
            dropped = as_of.drop_outdated(connection, now=now + as_of.KEPT_FOR)
        assert (kept, dropped) == ([], [schema])
        with pytest.raises(asyncpg.UndefinedTableError):
            await content(tenant, schema)

    def test_refuses_the_future(self, database: str) -> None:
        now = datetime.now(UTC)

        with pytest.raises(as_of.InTheFuture):
            as_of.make(now + timedelta(minutes=1), now=now)
