"""Listening, whispering and barging in over HTTP."""

import pytest

from crm import clock, ids
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.calls.test_supervision import talking


@pytest.fixture
async def manager(tenant: Tenant, sign_in: SignIn) -> Client:
    """The manager of the firm's team, who has a telephone."""
    await floor.telephone(tenant, clock.utc_now(), actor=tenant.sales_manager, endpoint="PJSIP/boss")
    return sign_in(tenant.sales_manager)


class TestSupervise:
    @pytest.mark.parametrize("mode", ["listen", "whisper", "barge"])
    async def test_begins_is_listed_and_ends(self, tenant: Tenant, manager: Client, sign_in: SignIn, mode: str) -> None:
        call_id = await talking(tenant, clock.utc_now())
        path = f"/pbx/calls/{call_id}"

        begun = await manager.post(f"{path}/{mode}", json={"reason": "coaching"})
        listed = await sign_in(tenant.compliance_auditor).get(f"{path}/supervision")
        left = await manager.delete(f"{path}/supervision")

        assert begun.status_code == 201
        assert (begun.json()["mode"], begun.json()["notice"], begun.json()["ended_at"]) == (mode, "told", None)
        assert [each["id"] for each in listed.json()["items"]] == [begun.json()["id"]]
        assert left.json()["items"][0]["ended_at"] is not None

    async def test_refuses_in_words(self, tenant: Tenant, manager: Client, agent: Client, admin: Client) -> None:
        now = clock.utc_now()
        going, over = await talking(tenant, now), await talking(tenant, now, status="wrap_up")
        body = {"reason": "coaching"}

        refused = {
            "agent": await agent.post(f"/pbx/calls/{going}/listen", json=body),
            "unknown": await manager.post(f"/pbx/calls/{ids.new()}/listen", json=body),
            "over": await manager.post(f"/pbx/calls/{over}/listen", json=body),
            "reason": await manager.post(f"/pbx/calls/{going}/listen", json={"reason": "Why not?"}),
            "telephone": await admin.post(f"/pbx/calls/{going}/listen", json=body),
        }

        assert {name: (each.status_code, each.json()["code"]) for name, each in refused.items()} == {
            "agent": (403, "forbidden"),
            "unknown": (404, "call.not_found"),
            "over": (409, "call.nothing_to_hear"),
            "reason": (422, "invalid"),
            "telephone": (409, "agent.no_endpoint"),
        }

    async def test_shows_the_agent_nothing_of_it_among_the_asks(
        self, tenant: Tenant, manager: Client, agent: Client
    ) -> None:
        call_id = await talking(tenant, clock.utc_now())
        await manager.post(f"/pbx/calls/{call_id}/listen", json={"reason": "coaching"})

        call = (await agent.get(f"/pbx/calls/{call_id}")).json()

        assert call["asks"] == []
        assert (await agent.get(f"/pbx/calls/{call_id}/supervision")).status_code == 403
