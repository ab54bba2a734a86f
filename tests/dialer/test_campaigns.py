"""Campaigns that dial by themselves, end to end: database, runner, bridge, loopback exchange, agents."""

from tests.conftest import Tenant
from tests.dialer.dialling_floor import dialling


class TestProgressive:
    async def test_dials_every_lead_once_and_connects_it_to_an_agent(self, tenant: Tenant):
        async with dialling(tenant, agents=2) as floor:
            await floor.campaign(6)

            attempts = await floor.ended(6)

            entries = await floor.rows("select state, reason from crm.dial_entry")
            assert [row["result"] for row in attempts] == ["live_unknown"] * 6
            assert not any(row["is_abandoned"] for row in attempts)
            assert {(row["state"], row["reason"]) for row in entries} == {("done", "spoken")}
            assert len({row["lead_id"] for row in attempts}) == 6
