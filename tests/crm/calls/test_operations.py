"""Beginning calls: how many, and by whom."""

from datetime import datetime, timedelta

import pytest

from crm import db
from crm.actor import Forbidden
from crm.calls import operations
from crm.calls.operations import PER_MINUTE, TooManyCalls
from crm.leads.rows import LeadNotFound
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.calls import factory


class TestRequest:
    async def test_counts_calls_that_were_given_to_somebody_else_since(self, tenant: Tenant, now: datetime):
        lead_id, _ = await factory.make_lead(tenant, now, owner=tenant.sales_agent, phone="+905321234567")
        [colleague] = await floor.hire(tenant, 1, now)
        for _ in range(PER_MINUTE.default):
            began = {"requested_by": tenant.sales_agent.user_id, "requested_at": now - timedelta(seconds=30)}
            await factory.make_call(tenant, now, agent=colleague, **began)

        with pytest.raises(TooManyCalls):
            await db.run(tenant.sales_agent, lambda tx: operations.request(tx, lead_id, now=now))

    @pytest.mark.parametrize("role", ["analyst", "compliance_auditor"])
    async def test_is_not_for_who_only_looks(self, tenant: Tenant, now: datetime, role: str):
        lead_id, _ = await factory.make_lead(tenant, now, owner=tenant.sales_agent, phone="+905321234567")

        with pytest.raises(Forbidden):
            await db.run(tenant.actors[role], lambda tx: operations.request(tx, lead_id, now=now))

    async def test_is_for_leads_one_sees(self, tenant: Tenant, other_tenant: Tenant, now: datetime):
        lead_id, _ = await factory.make_lead(tenant, now, owner=tenant.sales_agent, phone="+905321234567")
        [colleague] = await floor.hire(tenant, 1, now)

        for stranger in (colleague, other_tenant.admin):
            with pytest.raises(LeadNotFound):
                await db.run(stranger, lambda tx: operations.request(tx, lead_id, now=now))
