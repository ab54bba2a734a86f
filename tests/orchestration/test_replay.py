"""A day that is built anew from events is what readers see, to the hash; and a number that is not is found."""

import asyncio
from datetime import UTC, datetime

import psycopg

from orchestration import replay
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, rows

LEADS = "+fct_lead_stage_reached"


class TestCompare:
    async def test_a_replayed_day_is_identical_and_a_changed_number_is_not(
        self, build: Build, tenant: Tenant, database: str
    ) -> None:
        await golden.Desk(tenant).lead("meta")
        await build("--select", LEADS, "--exclude-resource-type", "test")
        [cycle] = await rows(tenant.admin, "select received_on from published.fct_lead_cycle")

        schema = await asyncio.to_thread(replay.made, now=datetime.now(UTC), select=(LEADS,))
        again = replay.made(now=datetime.now(UTC), select=(LEADS,))
        same = replay.compare(schema, cycle["received_on"])
        with psycopg.connect(database.replace("+asyncpg", ""), autocommit=True) as owner:
            owner.execute("update published.fct_lead_cycle set cycle_no = cycle_no + 1")
            other = replay.compare(schema, cycle["received_on"])
            owner.execute("insert into ops.held_back select tenant_id, 'leads', now() from crm.tenant")
            held_back = replay.compare(schema, cycle["received_on"])

        assert again == schema, "what stands is not made again"
        assert {"fct_lead_cycle"} <= {table.name for table in same if table.rows}
        assert [table.name for table in same if not table.is_identical] == []
        assert "fct_lead_cycle" in [table.name for table in other if not table.is_identical]
        assert not any(table.rows for table in held_back), "whoever keeps older numbers on purpose is not compared"
