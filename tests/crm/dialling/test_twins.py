"""What the twin foretold, kept on a real database."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from crm import db, ids
from crm.actor import Forbidden
from crm.dialling import twins
from crm.dialling.twins import BadRun, Outcome, Run, Source
from tests.conftest import Tenant

CAMPAIGN = ids.new()
OUTCOME = Outcome(
    "predictive", 10, 100, 14_400.0, 7, 0.03, 0.004, 0.026, 0.025, 0.027, 0.81, Source.history, attempts=5_000
)  # fmt: skip


async def keep(tenant: Tenant, now: datetime, outcome: Outcome = OUTCOME, role: str = "sales_manager") -> None:
    await db.run(tenant.actors[role], lambda tx: twins.keep(tx, CAMPAIGN, outcome, now=now))


async def latest(tenant: Tenant, at: datetime) -> Run | None:
    async with db.transaction(tenant.system) as tx:
        return await twins.latest(tx, CAMPAIGN, at)


class TestKeep:
    async def test_is_found_as_it_was_kept(self, tenant: Tenant, now: datetime):
        await keep(tenant, now)

        run = await latest(tenant, now)

        assert run is not None
        assert (run.campaign_id, run.made_at, run.outcome) == (CAMPAIGN, now, OUTCOME)

    async def test_needs_the_permission(self, tenant: Tenant, now: datetime):
        with pytest.raises(Forbidden):
            await keep(tenant, now, role="sales_agent")

    async def test_refuses_what_no_shifts_can_come_to(self, tenant: Tenant, now: datetime):
        with pytest.raises(BadRun) as refusal:
            await keep(tenant, now, replace(OUTCOME, occupancy=1.2, shifts=0, cap=0))

        assert refusal.value.fields.keys() == {"occupancy", "shifts", "cap"}

    async def test_is_never_rewritten(self, tenant: Tenant, now: datetime):
        await keep(tenant, now)

        async with db.transaction(tenant.system) as tx:
            with pytest.raises(Exception, match="permission denied"):
                await tx.execute("update crm.twin_run set p_break_30d = 0")


class TestLatest:
    async def test_knows_nothing_before_the_first(self, tenant: Tenant, now: datetime):
        await keep(tenant, now)

        assert await latest(tenant, now - timedelta(seconds=1)) is None

    async def test_takes_the_last_and_of_one_instant_the_most_dangerous(self, tenant: Tenant, now: datetime):
        await keep(tenant, now, replace(OUTCOME, p_break_30d=0.9))
        await keep(tenant, now + timedelta(hours=1), replace(OUTCOME, agents=50, p_break_30d=0.02))
        await keep(tenant, now + timedelta(hours=1))

        run = await latest(tenant, now + timedelta(days=1))

        assert run is not None
        assert (run.outcome.agents, run.outcome.p_break_30d) == (50, 0.02)

    async def test_looks_at_one_policy(self, tenant: Tenant, now: datetime):
        await keep(tenant, now, replace(OUTCOME, policy="progressive"))

        assert await latest(tenant, now) is None

    async def test_never_sees_another_firms(self, tenant: Tenant, other_tenant: Tenant, now: datetime):
        await keep(tenant, now)

        assert await latest(other_tenant, now) is None
