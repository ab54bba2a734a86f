"""The whole project on a database with what real operations wrote."""

import csv
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from crm import campaigns, db
from crm.leads import rules
from kpis import project
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, rows


class TestBuild:
    async def test_marts_hold_what_happened(self, build: Build, tenant: Tenant, other_tenant: Tenant) -> None:
        leads = await golden.play(tenant)
        await golden.Desk(other_tenant).lead("meta")
        campaign = await _campaign(tenant, name="Bahar")

        await build()

        cycles = {
            (row["lead_id"], row["cycle_no"]): row
            for row in await rows(tenant.admin, "select * from published.fct_lead_cycle")
        }
        assert {lead for lead, _ in cycles} == set(leads.values()), "and none of another tenant"
        one, two = cycles[leads["one"], 1], cycles[leads["two"], 1]
        assert (one["received_on"], one["max_rank"], one["speed_to_lead_s"]) == (date(2026, 3, 2), 5, 120)
        assert (one["first_contact_at"], one["won_at"]) == (
            golden.T0 + timedelta(seconds=120), golden.RECEIVED + timedelta(days=10)
        )  # fmt: skip
        assert (two["status"], two["max_rank"], two["speed_to_lead_s"], two["first_contact_at"]) == (
            "no_answer",
            2,
            600,
            None,
        )
        assert (cycles[leads["three"], 1]["is_won_90d"], cycles[leads["three"], 1]["max_rank"]) == (False, 5)
        assert (cycles[leads["four"], 1]["loss_reason"], cycles[leads["four"], 1]["max_rank"]) == ("competitor", 1)
        assert cycles[leads["four"], 1]["speed_to_lead_s"] is None
        assert (cycles[leads["five"], 1]["won_at"], cycles[leads["five"], 1]["max_rank"]) == (None, 5)
        first, second = cycles[leads["six"], 1], cycles[leads["six"], 2]
        assert (first["status"], first["is_won_90d"], first["max_rank"]) == ("won", True, 5)
        assert (second["status"], second["is_won_90d"], second["max_rank"]) == ("contacted", False, 2)
        assert second["received_at"] == golden.RECEIVED + timedelta(days=32)
        intervals = await rows(
            tenant.admin,
            f"select status, stage, cycle_no, seconds, ended_at from published.fct_lead_stage_interval"
            f" where lead_id = '{leads['six']}' order by interval_no",
        )
        assert [tuple(row)[:4] for row in intervals] == [
            ("new", "lead", 1, 2 * 86400),
            ("won", "sale", 1, 30 * 86400),
            ("recycled", "lead", 2, 86400),
            ("contacted", "contacted", 2, None),
        ]
        lost = await rows(
            tenant.admin,
            "select stage from published.fct_lead_stage_interval"
            f" where lead_id = '{leads['five']}' and status = 'lost'",
        )
        assert [row["stage"] for row in lost] == ["sale"], "lost keeps what was reached"
        (published,) = await rows(tenant.admin, "select * from ops.publication where domain = 'leads'")
        assert published["source_max_recorded_at"] <= published["as_of"] <= datetime.now(UTC)
        await self._require_names_of_before(build, tenant, campaign)

    async def _require_names_of_before(self, build: Build, tenant: Tenant, campaign: UUID) -> None:
        """No event carries a name: what a campaign was called is kept as runs found it, through every rebuild."""
        renamed = golden.RECEIVED + timedelta(days=1)
        await db.run(tenant.admin, lambda tx: campaigns.update(tx, campaign, name="Yaz", now=renamed))

        await build("--full-refresh", "--select", "snap_campaign", "dim_campaign_version")

        versions = await rows(
            tenant.admin,
            "select name, valid_from, valid_to from published.dim_campaign_version"
            f" where campaign_id = '{campaign}' order by version_no",
        )
        assert [(row["name"], row["valid_to"]) for row in versions] == [("Bahar", renamed), ("Yaz", None)]
        assert versions[1]["valid_from"] == renamed


async def _campaign(tenant: Tenant, *, name: str) -> UUID:
    return await db.run(
        tenant.admin,
        lambda tx: campaigns.create(tx, platform="meta", external_id="c-9", name=name, now=golden.RECEIVED),
    )


class TestStageMap:
    def test_equals_the_rules_of_the_crm(self) -> None:
        with open(project.FOLDER / "seeds" / "dim_stage_map.csv") as file:
            current = {
                row["status"]: (row["stage"], row["rank"]) for row in csv.DictReader(file) if not row["valid_to"]
            }

        assert current == {
            status.value: (stage.value, str(rules.RANK[stage])) if stage else ("", "")
            for status, stage in rules.STAGE.items()
        }
