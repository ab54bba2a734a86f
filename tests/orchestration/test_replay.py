"""A day that is built anew from events is what readers see, to the hash; and a number that is not is found."""

import asyncio
from datetime import UTC, date, datetime

import psycopg

from orchestration import relations, replay
from orchestration.replay import Table
from tests.conftest import Tenant
from tests.dbt_project import golden_money, telephony
from tests.pipeline import Build

FACTS = ("+fct_lead_stage_reached", "+fct_queue_visit", "+fct_sale", "+fct_ad_result_daily", "+fct_lead_consent")
DAYS = [*(date(2026, 3, day) for day in range(16, 22)), date(2026, 4, 1), telephony.DAY.date()]
FALSIFIED = ("fct_lead_cycle", "fct_queue_visit", "fct_sale", "fct_ad_spend_daily", "fct_lead_consent")
"""One table of each domain whose days are replayed."""


def compare(schema: str) -> list[Table]:
    return [table for day in DAYS for table in replay.compare(schema, day) if table.rows or table.replayed_rows]


class TestCompare:
    async def test_replayed_days_of_every_domain_are_identical_and_a_changed_number_is_not(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, database: str
    ) -> None:
        await golden_money.play(tenant)
        golden_money.let_pass()
        await telephony.import_calls(tenant, telephony.golden_day())
        await build("--select", *FACTS, "--exclude-resource-type", "test")
        domain_of = {relation.name: relation.domain for relation in relations.all_relations()}

        schema = await asyncio.to_thread(replay.made, now=datetime.now(UTC), select=FACTS)
        again = replay.made(now=datetime.now(UTC), select=FACTS)
        same = compare(schema)
        with psycopg.connect(database.replace("+asyncpg", ""), autocommit=True) as owner:
            for name in FALSIFIED:
                owner.execute(f"delete from published.{name} where ctid in (select max(ctid) from published.{name})")
            owner.execute("update published.fct_lead_cycle set cycle_no = cycle_no + 1")
            other = compare(schema)
            owner.execute(
                "insert into ops.held_back select tenant_id, domain, now() from crm.tenant, unnest(%s::text[]) domain",
                (sorted(set(domain_of.values())),),
            )
            held_back = compare(schema)

        assert again == schema, "what stands is not made again"
        assert {domain_of[table.name] for table in same} == {"ads", "leads", "money", "quality", "telephony"}
        assert [table.name for table in same if not table.is_identical] == []
        assert {table.name for table in other if not table.is_identical} >= set(FALSIFIED)
        assert held_back == [], "whoever keeps older numbers on purpose is not compared"
