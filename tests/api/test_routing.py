"""Rule sets and the reasons of decisions over HTTP."""

from datetime import timedelta

import pytest

from crm import clock, db
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.routing import moves
from crm.users import availability
from tests.crm.routing import firm


def to_team(tenant, **more):
    target = {"kind": "team", "team_id": str(tenant.team_id)}
    return {"name": "ours", "definition": {"default": {"target": target}}, **more}


@pytest.fixture
async def drafted(admin, tenant):
    return (await admin.post("/routing/rule-sets", json=to_team(tenant))).json()


class TestRuleSets:
    async def test_go_from_draft_to_published(self, admin, tenant, drafted):
        where = f"/routing/rule-sets/{drafted['id']}"
        changed = await admin.put(where, json=to_team(tenant, name="better"))
        published = await admin.post(f"{where}/publish", json={})
        refused = await admin.put(where, json=to_team(tenant))
        listed = await admin.get("/routing/rule-sets")

        assert (changed.status_code, changed.json()["version"]) == (200, None)
        assert (published.json()["version"], published.json()["is_live"]) == (1, True)
        assert (refused.status_code, refused.json()["code"]) == (409, "routing.rule_set_published")
        assert [(each["name"], each["is_live"]) for each in listed.json()["items"]] == [("better", True)]

    async def test_say_where_they_are_wrong(self, admin):
        bad = {"name": "x", "definition": {"rules": [{"name": "a", "when": {"colour": ["red"]}}]}}

        response = await admin.post("/routing/rule-sets", json=bad)

        assert response.status_code == 422
        assert response.json()["code"] == "routing.rules_invalid"
        assert response.json()["field_errors"].keys() >= {"rules.0.when.colour", "rules.0.target"}

    async def test_are_tried_on_what_came(self, admin, tenant, drafted, now):
        await firm.route(tenant, await firm.arrive(tenant, 3, now), now)
        window = {"since": now.isoformat(), "until": (now + timedelta(days=1)).isoformat()}

        response = await admin.post(f"/routing/rule-sets/{drafted['id']}/simulate", json=window)

        assert response.status_code == 200
        assert (response.json()["leads"], response.json()["same_agent"]) == (3, 3)

    async def test_refuse_a_window_that_is_none(self, admin, drafted, now):
        window = {"since": now.isoformat(), "until": now.isoformat()}

        response = await admin.post(f"/routing/rule-sets/{drafted['id']}/simulate", json=window)

        assert (response.status_code, response.json()["code"]) == (422, "routing.window_invalid")


class TestWhy:
    async def test_says_why_this_agent(self, admin, tenant, now):
        [lead] = await firm.arrive(tenant, 1, now)
        await firm.route(tenant, [lead], now)

        told = (await admin.get(f"/leads/{lead}/routing")).json()

        [decision] = told["decisions"]
        assert decision["user_id"] == str(tenant.sales_agent.user_id)
        assert decision["sentence"]["tr"].startswith("Varsayılan ekibe düştü: sıra ondaydı")
        assert [each["code"] for each in decision["considered"]] == ["able"]
        assert decision["reasons"][0]["draws"][0]["turn"] == 0
        assert told["waits"] is None
        assert told["answer"]["code"] == "given"

    @pytest.mark.parametrize(
        ("more", "code"),
        [
            ({"is_test": True}, "test"),
            ({"status": Status.lost, "loss_reason": "price"}, "ended"),
            ({"status": Status.contacted}, "under_way"),
            ({}, "not_yet"),
        ],
    )
    async def test_says_why_nobody_decided(self, admin, tenant, now, more, code):
        [lead] = await firm.arrive(tenant, 1, now, **more)

        told = (await admin.get(f"/leads/{lead}/routing")).json()

        assert (told["answer"]["code"], told["decisions"], told["waits"]) == (code, [], None)
        assert told["answer"].keys() == {"code", "tr", "en"}

    async def test_says_what_was_done_by_hand_and_what_an_administrator_has_to_do(self, admin, tenant, now):
        [lead] = await firm.arrive(tenant, 1, now)
        await admin.post(f"/leads/{lead}/assign", json={"user_id": str(tenant.sales_agent.user_id)})
        by_hand = (await admin.get(f"/leads/{lead}/routing")).json()
        later = clock.utc_now()
        await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead, Status.wrong_number, now=later))
        await db.run(tenant.system, lambda tx: moves.take_back(tx, now=later))

        queued = (await admin.get(f"/leads/{lead}/routing")).json()

        assert by_hand["answer"]["code"] == "by_hand"
        assert (queued["answer"]["code"], queued["waits"]["queue"]) == ("in_queue", "wrong_number")
        assert [move["from_user_id"] for move in queued["moves"]] == [str(tenant.sales_agent.user_id)]

    async def test_says_why_nobody(self, admin, tenant, now):
        await db.run(tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=False, now=now))
        [lead] = await firm.arrive(tenant, 1, now)
        await firm.route(tenant, [lead], now)

        told = (await admin.get(f"/leads/{lead}/routing")).json()

        assert told["decisions"][0]["user_id"] is None
        assert told["decisions"][0]["sentence"]["en"].endswith("nobody is free, so it waits; 1 are paused.")
        assert told["waits"]["next_at"] is None
        assert told["answer"]["code"] == "waits"

    async def test_hides_leads_one_does_not_see(self, agent, tenant, now):
        [lead] = await firm.arrive(tenant, 1, now)

        response = await agent.get(f"/leads/{lead}/routing")

        assert (response.status_code, response.json()["code"]) == (404, "lead.not_found")
