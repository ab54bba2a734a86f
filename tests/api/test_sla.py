"""Service levels over HTTP."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from crm import clock, db, ids
from crm.leads import intake
from crm.leads import operations as leads
from crm.leads.intake import NewLead
from crm.sla import clocks
from tests.conftest import Tenant

ALL_DAY = {"code": "always", "kind": "first_response", "target_s": 600, "time": "calendar"}


async def make_lead(tenant: Tenant, *, minutes_ago: float = 0, to: str | None = "sales_agent") -> UUID:
    at = clock.utc_now() - timedelta(minutes=minutes_ago)
    lead = NewLead(source="api", email=f"{ids.new().hex}@mail.example")
    lead_id = (await db.run(tenant.admin, lambda tx: intake.create(tx, lead, now=at))).lead_id
    if to:
        user = tenant.actors[to].user_id
        await db.run(tenant.admin, lambda tx: leads.assign(tx, lead_id, user, reason="manual", now=at))
    return lead_id


async def settle(tenant: Tenant, *lead_ids: UUID) -> None:
    now = clock.utc_now()
    await db.run(tenant.system, lambda tx: clocks.settle(tx, lead_ids, now=now))


@pytest.fixture
async def rules_of_yesterday(tenant: Tenant):
    """Rules that count all time, so that the hour at which tests run does not matter."""
    from crm.sla import operations as sla
    from crm.sla.rules import RULES

    yesterday = clock.utc_now() - timedelta(days=1)
    rules = RULES.validate_python([ALL_DAY])
    await db.run(tenant.admin, lambda tx: sla.publish(tx, rules, now=yesterday))


@pytest.mark.usefixtures("rules_of_yesterday")
class TestClocks:
    async def test_show_what_is_left(self, agent, tenant):
        lead = await make_lead(tenant, minutes_ago=4)
        await settle(tenant, lead)

        (shown,) = (await agent.get(f"/sla/leads/{lead}")).json()["items"]

        assert (shown["kind"], shown["state"], shown["rule"]) == ("first_response", "running", "always")
        assert 340 < shown["remaining_s"] <= 360

    async def test_show_what_is_late_even_before_the_worker_saw_it(self, agent, tenant):
        lead = await make_lead(tenant, minutes_ago=11)
        just_before = clock.utc_now() - timedelta(minutes=2)
        await db.run(tenant.system, lambda tx: clocks.settle(tx, [lead], now=just_before))

        (shown,) = (await agent.get(f"/sla/leads/{lead}")).json()["items"]

        assert shown["state"] == "breached"
        assert -80 < shown["remaining_s"] <= -60

    async def test_are_hidden_with_their_lead(self, agent, tenant):
        lead = await make_lead(tenant, to=None)
        await settle(tenant, lead)

        assert (await agent.get(f"/sla/leads/{lead}")).status_code == 404


@pytest.mark.usefixtures("rules_of_yesterday")
class TestOverdue:
    async def test_pages_through_what_one_sees_the_longest_overdue_first(self, agent, admin, tenant):
        mine = [await make_lead(tenant, minutes_ago=n) for n in (30, 50, 40, 5)]
        other = await make_lead(tenant, minutes_ago=60, to="admin")
        await settle(tenant, *mine, other)

        first = (await agent.get("/sla/overdue", params={"limit": 2})).json()
        second = (await agent.get("/sla/overdue", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        everything = (await admin.get("/sla/overdue", params={"kind": "first_response"})).json()

        assert [each["lead_id"] for each in first["items"] + second["items"]] == [
            str(lead) for lead in (mine[1], mine[2], mine[0])
        ]
        assert second["next_cursor"] is None
        assert everything["items"][0]["lead_id"] == str(other)

    async def test_refuses_a_cursor_of_another_filter(self, admin, tenant):
        await settle(tenant, *[await make_lead(tenant, minutes_ago=n) for n in (30, 40)])
        cursor = (await admin.get("/sla/overdue", params={"limit": 1})).json()["next_cursor"]

        answer = await admin.get("/sla/overdue", params={"limit": 1, "cursor": cursor, "kind": "check_in"})

        assert (answer.status_code, answer.json()["code"][:6]) == (422, "cursor")

    async def test_leaves_out_what_was_answered(self, admin, tenant):
        lead = await make_lead(tenant, minutes_ago=30)
        await admin.post(f"/leads/{lead}/activities", json={"channel": "call", "direction": "outbound"})
        await settle(tenant, lead)

        assert (await admin.get("/sla/overdue")).json()["items"] == []


class TestRules:
    async def test_are_published_as_a_new_version(self, admin):
        body = {"rules": [ALL_DAY]}

        made = await admin.post("/sla/rules", json=body, headers={"Idempotency-Key": "rules-1"})
        again = await admin.post("/sla/rules", json=body, headers={"Idempotency-Key": "rules-1"})

        assert (made.status_code, made.json()["version"]) == (201, 1), made.text
        assert again.json() == made.json()
        versions = [each["version"] for each in (await admin.get("/sla/rules")).json()["items"]]
        assert versions == [1, 0]

    async def test_are_refused_where_they_do_not_hang_together(self, admin):
        wrong = [
            {**ALL_DAY, "target_s": 0},
            {**ALL_DAY, "reminders": [-600]},
            {**ALL_DAY, "statuses": ["new"], "pause_in": ["new"]},
            {**ALL_DAY, "repeats": 2},
            {**ALL_DAY, "kind": "someday"},
        ]

        answers = [await admin.post("/sla/rules", json={"rules": [rule]}) for rule in wrong]

        assert [each.status_code for each in answers] == [422] * len(wrong)

    async def test_say_which_status_or_team_is_unknown(self, admin, other_tenant):
        foreign = str(other_tenant.team_id)
        status, team = [
            (await admin.post("/sla/rules", json={"rules": [{**ALL_DAY, **wrong}]})).json()
            for wrong in ({"statuses": ["nosuch"]}, {"teams": [foreign]})
        ]

        assert "'interested'" in status["field_errors"]["rules.0.statuses.0"], "what is allowed is named"
        assert team["code"] == "sla.rules_invalid"
        assert team["field_errors"] == {"rules.0.teams": f"no team has the id {foreign}"}

    async def test_show_their_effect_before_they_hold(self, admin, tenant):
        await make_lead(tenant, minutes_ago=20)
        since = (clock.utc_now() - timedelta(hours=1)).isoformat()

        answer = await admin.post("/sla/rules/preview", json={"rules": [ALL_DAY], "since": since})

        assert answer.status_code == 200, answer.text
        assert answer.json()["then"] == {"first_response": {"breached": 1}}
        assert (await admin.get("/sla/rules")).json()["items"][0]["version"] == 0, "nothing was published"


class TestPriority:
    async def test_is_set_by_whoever_works_on_the_lead(self, agent, tenant):
        mine, other = await make_lead(tenant), await make_lead(tenant, to="admin")

        answers = [await agent.put(f"/sla/leads/{lead}/priority", json={"priority": "high"}) for lead in (mine, other)]

        assert [each.status_code for each in answers] == [200, 404]


@pytest.mark.usefixtures("rules_of_yesterday")
class TestNotifications:
    async def test_reach_the_owner_and_nobody_else_of_the_same_rank(self, sign_in, agent, tenant):
        lead = await make_lead(tenant, minutes_ago=11)
        colleague = replace(tenant.sales_agent, user_id=tenant.analyst.user_id)
        listeners = (agent, sign_in(colleague))
        cursors = [(await each.get("/realtime/poll")).json()["cursor"] for each in listeners]

        await settle(tenant, lead)

        heard = []
        for each, cursor in zip(listeners, cursors, strict=True):
            answer = (await each.get("/realtime/poll", params={"cursor": cursor})).json()
            heard.append([event["type"] for event in answer["events"]])
        assert heard == [["sla.breached"], []]
