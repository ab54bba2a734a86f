"""Agents at the telephone over HTTP: their own status, the floor, and what supervisors and administrators do."""

from datetime import datetime, timedelta

import pytest
from fastapi import FastAPI

from crm import clock, db, ids
from crm.agents import operations, states
from crm.agents.rules import State
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant
from tests.crm.agents import floor

SECOND = timedelta(seconds=1)


@pytest.fixture
async def manager(tenant: Tenant, sign_in: SignIn) -> Client:
    """The manager of the firm's team."""
    return sign_in(tenant.sales_manager)


@pytest.fixture
async def telephone(tenant: Tenant, admin: Client) -> str:
    """The agent's id, who has a telephone."""
    user_id = str(tenant.sales_agent.user_id)
    given = await admin.put(f"/pbx/agents/{user_id}/endpoint", json={"endpoint": "PJSIP/agent-7"})
    assert given.json() == {"user_id": user_id, "endpoint": "PJSIP/agent-7"}
    return user_id


class TestSession:
    async def test_begins_ends_and_is_told(self, agent: Client, telephone: str) -> None:
        before = await agent.get("/pbx/agent/status")
        began = await agent.post("/pbx/agent/session")
        again = await agent.post("/pbx/agent/session")
        ended = await agent.delete("/pbx/agent/session")

        assert before.json()["state"] == "offline"
        assert (began.status_code, began.json()["state"], began.json()["reason"]) == (200, "available", None)
        assert again.json() == began.json()
        assert ended.json()["state"] == "offline"

    async def test_needs_a_telephone(self, agent: Client) -> None:
        refused = await agent.post("/pbx/agent/session")

        assert (refused.status_code, refused.json()["code"]) == (409, "agent.no_endpoint")

    async def test_is_kept_alive(self, agent: Client, telephone: str) -> None:
        off = await agent.post("/pbx/agent/beat")
        await agent.post("/pbx/agent/session")
        on = await agent.post("/pbx/agent/beat")

        assert (off.status_code, off.json()["code"]) == (409, "agent.not_signed_on")
        assert (on.status_code, on.json()["state"]) == (200, "available")


class TestStatus:
    async def test_is_set_with_a_reason(self, agent: Client, telephone: str) -> None:
        await agent.post("/pbx/agent/session")

        paused = await agent.put("/pbx/agent/status", json={"state": "paused", "reason": "lunch"})
        ready = await agent.put("/pbx/agent/status", json={"state": "available"})

        assert (paused.json()["state"], paused.json()["reason"]) == ("paused", "lunch")
        assert (ready.json()["state"], ready.json()["reason"]) == ("available", None)

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"state": "paused"}, "invalid"),
            ({"state": "available", "reason": "lunch"}, "invalid"),
            ({"state": "on_call"}, "invalid"),
            ({"state": "paused", "reason": "Öğle yemeği"}, "invalid"),
            ({"state": "paused", "reason": "nap"}, "agent.unknown_pause_reason"),
        ],
    )
    async def test_refuses_what_is_none(self, agent: Client, telephone: str, body: dict[str, str], code: str) -> None:
        await agent.post("/pbx/agent/session")

        refused = await agent.put("/pbx/agent/status", json=body)

        assert (refused.status_code, refused.json()["code"]) == (422, code)

    async def test_shows_what_waits_for_the_end_of_the_call(
        self, tenant: Tenant, agent: Client, telephone: str
    ) -> None:
        await agent.post("/pbx/agent/session")
        call_id = ids.new()
        await floor.move(tenant, tenant.sales_agent, State.on_call, clock.utc_now(), call_id=call_id)

        wished = (await agent.put("/pbx/agent/status", json={"state": "paused", "reason": "break"})).json()
        refused = await agent.delete("/pbx/agent/session")

        assert (wished["state"], wished["call_id"]) == ("on_call", str(call_id))
        assert (wished["pending"], wished["pending_reason"]) == ("paused", "break")
        assert (refused.status_code, refused.json()["code"]) == (409, "agent.busy")

    async def test_reasons_have_labels_in_both_languages(self, agent: Client) -> None:
        turkish = (await agent.get("/pbx/pause-reasons")).json()["items"]
        english = (await agent.get("/pbx/pause-reasons", headers={"Accept-Language": "en"})).json()["items"]

        labels = {each["code"]: each["label"] for each in turkish}
        assert (labels["lunch"], labels["missed_calls"]) == ("Yemek", "Cevapsız çağrı")
        assert {each["code"]: each["label"] for each in english}["lunch"] == "Meal"
        assert {each["code"] for each in turkish if each["is_own"]} == {"missed_calls", "exchange"}


class TestEndpoint:
    async def test_is_read_replaced_and_taken(self, admin: Client, telephone: str) -> None:
        path = f"/pbx/agents/{telephone}/endpoint"

        other = await admin.put(path, json={"endpoint": "PJSIP/agent-8"})
        taken = await admin.delete(path)

        assert other.json()["endpoint"] == "PJSIP/agent-8"
        assert taken.json()["endpoint"] is None
        assert (await admin.get(path)).json()["endpoint"] is None

    @pytest.mark.parametrize("wrong", ["PJSIP/a b", "x", "PJSIP/a\r\nAction: Command", ""])
    async def test_refuses_what_could_be_a_command(self, admin: Client, telephone: str, wrong: str) -> None:
        refused = await admin.put(f"/pbx/agents/{telephone}/endpoint", json={"endpoint": wrong})

        assert refused.status_code == 422

    async def test_is_nobody_elses_of_nobody(self, admin: Client, tenant: Tenant, telephone: str) -> None:
        taken = await admin.put(
            f"/pbx/agents/{tenant.sales_manager.user_id}/endpoint", json={"endpoint": "PJSIP/agent-7"}
        )
        unknown = await admin.put(f"/pbx/agents/{ids.new()}/endpoint", json={"endpoint": "PJSIP/agent-9"})

        assert (taken.status_code, taken.json()["code"]) == (409, "agent.endpoint_taken")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "user.not_found")


class TestSupervisor:
    async def test_pauses_frees_and_signs_off(self, agent: Client, manager: Client, telephone: str) -> None:
        await agent.post("/pbx/agent/session")

        paused = await manager.post(f"/pbx/agents/{telephone}/pause", json={"reason": "meeting"})
        freed = await manager.post(f"/pbx/agents/{telephone}/ready", json={"reason": "rush"})
        off = await manager.post(f"/pbx/agents/{telephone}/sign-off", json={"reason": "shift_over"})

        assert [each.json()["state"] for each in (paused, freed, off)] == ["paused", "available", "offline"]

    async def test_is_told_that_the_agent_is_not_there(self, manager: Client, telephone: str) -> None:
        refused = await manager.post(f"/pbx/agents/{telephone}/pause", json={"reason": "meeting"})

        assert (refused.status_code, refused.json()["code"]) == (409, "agent.not_signed_on")

    async def test_sees_the_floor_of_the_team(
        self, tenant: Tenant, agent: Client, manager: Client, telephone: str
    ) -> None:
        [stranger] = await floor.hire(tenant, 1, clock.utc_now(), team_id=None)
        await floor.signed_on(tenant, clock.utc_now(), actor=stranger, endpoint="PJSIP/agent-8")
        await agent.post("/pbx/agent/session")

        items = (await manager.get("/pbx/agents")).json()["items"]

        assert {each["id"]: each["state"] for each in items} == {
            telephone: "available", str(stranger.user_id): "available",
        }  # fmt: skip
        assert "endpoint" not in items[0]

    async def test_sees_the_history_of_states(self, agent: Client, manager: Client, telephone: str) -> None:
        await agent.post("/pbx/agent/session")
        await agent.put("/pbx/agent/status", json={"state": "paused", "reason": "lunch"})
        until = (clock.utc_now() + SECOND).isoformat()

        theirs = (await manager.get(f"/pbx/agents/{telephone}/states", params={"until": until})).json()["items"]
        backwards = await manager.get(f"/pbx/agents/{telephone}/states", params={"until": until, "since": until})

        assert [(each["state"], each["reason"]) for each in theirs] == [("available", None), ("paused", "lunch")]
        assert theirs[0]["ended_at"] == theirs[1]["started_at"]
        assert backwards.status_code == 422
        for since in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2020-01-01T00:00:00Z"):
            assert (await manager.get(f"/pbx/agents/{telephone}/states", params={"since": since})).status_code == 422


class TestDashboard:
    async def test_shows_state_and_occupancy_to_whom_they_concern(
        self, tenant: Tenant, agent: Client, manager: Client, nobody: Client, sign_in: SignIn, telephone: str
    ) -> None:
        began = clock.utc_now() - 100 * SECOND
        await db.run(tenant.sales_agent, lambda tx: _day(tx, began))

        seen = {
            name: (await client.get("/dashboard/agents")).json()
            for name, client in {
                "agent": agent, "manager": manager, "auditor": sign_in(tenant.compliance_auditor),
                "analyst": sign_in(tenant.analyst),
            }.items()
        }  # fmt: skip

        for who in ("agent", "manager", "auditor"):
            [row] = [each for each in seen[who]["items"] if each["id"] == telephone]
            assert row["telephone"]["state"] == "wrap_up"
            assert row["telephone"]["busy_s"] > 0
            assert seen[who]["agents_by_state"]["wrap_up"] == 1
            assert seen[who]["occupancy"] == row["telephone"]["occupancy"]
        assert [each["telephone"] for each in seen["analyst"]["items"]] == [None]
        assert (seen["analyst"]["occupancy"], seen["analyst"]["service_level"]) == (None, None)

    async def test_hides_agents_of_other_teams(self, tenant: Tenant, sign_in: SignIn, telephone: str) -> None:
        [stranger] = await floor.hire(tenant, 1, clock.utc_now())
        other = sign_in(stranger)

        items = (await other.get("/dashboard/agents")).json()["items"]

        assert {each["id"]: each["telephone"] for each in items}[telephone] is None


async def _day(tx: db.Tx, began: datetime) -> None:
    """An agent's day: free for a while, talking, and writing up since."""
    user_id, call_id = tx.actor.user_id, ids.new()
    assert user_id is not None
    await operations.sign_on(tx, now=began)
    await states.move(tx, user_id, State.on_call, call_id=call_id, now=began + 40 * SECOND)
    await states.move(tx, user_id, State.wrap_up, call_id=call_id, now=began + 90 * SECOND)


def test_every_route_is_in_the_description(app: FastAPI) -> None:
    paths = app.openapi()["paths"]

    assert {"get", "put"} <= set(paths["/pbx/agent/status"])
    assert {"post", "delete"} <= set(paths["/pbx/agent/session"])
    assert {"get", "put", "delete"} <= set(paths["/pbx/agents/{user_id}/endpoint"])
