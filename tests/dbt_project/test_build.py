"""The whole project on a database with what real operations wrote."""

import csv
import random
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from crm import db
from crm.leads import intake, operations, rules
from crm.leads.rules import Channel, Direction, Status
from crm.sla import clocks
from kpis import project
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, rows

MARTS = (
    "fct_lead_cycle", "fct_lead_stage_interval", "fct_lead_assignment_interval", "fct_activity", "fct_sla_timer",
    "fct_sale",
)  # fmt: skip
FACTS = ("--select", *(f"+{mart}" for mart in MARTS), "--exclude-resource-type", "test")


class TestBuild:
    async def test_marts_hold_what_happened(self, build: Build, tenant: Tenant, other_tenant: Tenant) -> None:
        leads = await golden.play(tenant)
        await golden.Desk(other_tenant).lead("meta")

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

    @pytest.mark.parametrize("seed", [1])
    async def test_following_events_equals_building_anew(self, build: Build, tenant: Tenant, seed: int) -> None:
        chance = random.Random(seed)
        late = golden.Desk(tenant)
        for round_no in range(3):
            await _something_happens(tenant, chance, round_no)
            if round_no == 1:
                # Its transaction starts before the build and ends after it: the build must not skip it for good.
                async with db.transaction(tenant.system) as tx:
                    await intake.create(
                        tx, intake.NewLead(source="api", name="Geç", platform="late"), now=golden.RECEIVED
                    )
                    await _something_happens(tenant, chance, 10)
                    await build(*FACTS)
            await build(*FACTS)
        await late.lead("meta")
        await build(*FACTS)
        followed = {mart: await _content(tenant, mart) for mart in MARTS}

        await build("--full-refresh", *FACTS)

        anew = {mart: await _content(tenant, mart) for mart in MARTS}
        assert followed == anew
        assert any(
            row["platform"] == "late"
            for row in await rows(tenant.admin, "select platform from published.fct_lead_cycle")
        )
        assert len(anew["fct_lead_stage_interval"]) > len(anew["fct_lead_cycle"]) > 20
        assert all(anew.values())


async def _something_happens(tenant: Tenant, chance: random.Random, round_no: int) -> None:
    """Store leads and take any earlier ones through random steps, some of them told late."""
    at = golden.RECEIVED + timedelta(days=round_no)
    new = [intake.NewLead(source="api", name="Ali", platform=chance.choice(["meta", "google"])) for _ in range(8)]
    await db.run(tenant.system, lambda tx: intake.create_many(tx, new, now=at))
    known = await rows(tenant.system, "select id, status from crm.lead order by id")
    for lead in chance.sample(known, min(12, len(known))):
        choice = [to for to in sorted(rules.FOLLOWS[Status(lead["status"])]) if to not in (Status.assigned, Status.new)]
        to, told = chance.choice(choice), at + timedelta(minutes=chance.randrange(600))
        if to is Status.won:
            await golden.Desk(tenant).sell(lead["id"], day=(told - golden.RECEIVED) / timedelta(days=1))
        else:
            await db.run(
                tenant.system,
                lambda tx, lead=lead, to=to, told=told: operations.change_status(
                    tx, lead["id"], to, reason="other", now=told
                ),
            )
        await _goes_on(tenant, chance, lead["id"], told)
        happened = told - timedelta(days=chance.randrange(5))
        await db.run(
            tenant.system,
            lambda tx, lead=lead, told=told, happened=happened: operations.record_activity(
                tx, lead["id"], Channel.call, Direction.outbound, "answered",
                is_human=chance.random() < 0.5, occurred_at=happened, now=told,
            ),
        )  # fmt: skip


async def _goes_on(tenant: Tenant, chance: random.Random, lead: UUID, told: datetime) -> None:
    """Give a lead to somebody or to nobody, and look at its clocks as they stand a while later."""
    who = chance.choice([tenant.sales_agent, tenant.sales_manager, None])
    reason, later = chance.choice(["manual", "router.round_robin"]), told + timedelta(minutes=chance.randrange(90))
    await db.run(
        tenant.system,
        lambda tx: operations.assign(
            tx, lead, who and who.user_id, team_id=tenant.team_id, reason=reason, now=told
        ),
    )  # fmt: skip
    await db.run(tenant.system, lambda tx: clocks.settle(tx, [lead], now=later))


async def _content(tenant: Tenant, mart: str) -> list[str]:
    return sorted(str(tuple(row)) for row in await rows(tenant.admin, f"select * from published.{mart}"))


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
