"""Profiles, absences, hours and teams of people through HTTP."""

from datetime import timedelta

from crm import clock
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant


def later(**more: float) -> str:
    return (clock.utc_now() + timedelta(**more)).isoformat()


class TestProfile:
    async def test_is_changed_and_read_as_of_an_instant(self, tenant: Tenant, admin: Client, agent: Client) -> None:
        path = f"/users/{tenant.sales_agent.user_id}/profile"
        before = later()

        changed = await admin.patch(path, json={"skills": {"hair": 4}, "languages": ["tr"], "daily_cap": 20})
        planned = await admin.patch(path, json={"daily_cap": None, "valid_from": later(days=1)})
        own = (await agent.get(path)).json()
        past = (await agent.get(path, params={"at": before})).json()

        assert (changed.status_code, changed.json()["skills"], planned.json()["daily_cap"]) == (200, {"hair": 4}, None)
        assert (own["languages"], own["daily_cap"], past["skills"], past["daily_cap"]) == (["tr"], 20, {}, None)
        assert {row["field"] for row in (await admin.get(f"{path}/history")).json()["items"]} == {
            "skills", "languages", "daily_cap",
        }  # fmt: skip

    async def test_of_others_is_not_found_for_an_agent(self, tenant: Tenant, agent: Client) -> None:
        response = await agent.get(f"/users/{tenant.admin.user_id}/profile")

        assert (response.status_code, response.json()["code"]) == (404, "user.not_found")

    async def test_names_the_field_at_fault(self, tenant: Tenant, admin: Client) -> None:
        path = f"/users/{tenant.sales_agent.user_id}/profile"

        high = await admin.patch(path, json={"skills": {"hair": 9}})
        null = await admin.patch(path, json={"skills": None})
        past = await admin.patch(path, json={"daily_cap": 1, "valid_from": later(days=-1)})

        assert [each.status_code for each in (high, null, past)] == [422] * 3
        assert (list(null.json()["field_errors"]), list(past.json()["field_errors"])) == (["skills"], ["valid_from"])


class TestAbsences:
    async def test_are_planned_listed_and_cancelled_by_oneself(self, tenant: Tenant, agent: Client) -> None:
        path = f"/users/{tenant.sales_agent.user_id}/absences"
        body, key = {"kind": "training", "ends_at": later(hours=3)}, {"Idempotency-Key": "away-1"}

        made = await agent.post(path, json=body, headers=key)
        again = await agent.post(path, json=body, headers=key)
        overlapping = await agent.post(path, json=body)
        cancelled = await agent.delete(f"{path}/{made.json()['id']}")
        listed = (await agent.get(path)).json()["items"]

        assert (made.status_code, made.content == again.content) == (201, True)
        assert (overlapping.status_code, overlapping.json()["code"]) == (409, "absence.overlaps")
        assert (cancelled.status_code, listed) == (200, [cancelled.json()])
        assert listed[0]["cancelled_by"] == str(tenant.sales_agent.user_id)

    async def test_of_others_are_not_found_for_an_agent(self, tenant: Tenant, agent: Client) -> None:
        response = await agent.post(f"/users/{tenant.admin.user_id}/absences", json={"ends_at": later(hours=1)})

        assert (response.status_code, response.json()["code"]) == (404, "user.not_found")


class TestHours:
    async def test_are_a_persons_own_from_a_coming_date(self, tenant: Tenant, sign_in: SignIn) -> None:
        manager, path = sign_in(tenant.sales_manager), f"/users/{tenant.sales_agent.user_id}/hours"
        hours = [{"weekday": 0, "opens": 540, "closes": 780}]

        none = (await manager.get(path)).json()["items"]
        made = await manager.put(path, json={"hours": hours, "valid_from": later(days=2)[:10]})
        today = await manager.put(path, json={"hours": hours, "valid_from": later(days=-1)[:10]})
        backwards = await manager.put(
            path, json={"hours": [{"weekday": 0, "opens": 780, "closes": 540}], "valid_from": later(days=2)[:10]}
        )

        assert (none, [row["hours"] for row in made.json()["items"]]) == ([], [hours])
        assert (today.status_code, today.json()["code"]) == (422, "calendar.past")
        assert (backwards.status_code, backwards.json()["code"]) == (422, "calendar.hours_invalid")


class TestTeams:
    async def test_have_a_lead_and_a_history(self, tenant: Tenant, admin: Client) -> None:
        path, lead = f"/teams/{tenant.team_id}", str(tenant.sales_manager.user_id)

        led = (await admin.patch(path, json={"lead_user_id": lead})).json()
        named = (await admin.patch(path, json={"name": "Satış 1"})).json()
        emptied = (await admin.patch(path, json={"lead_user_id": None})).json()
        history = (await admin.get(f"{path}/history")).json()["items"]

        assert (led["lead_user_id"], led["lead_name"]) == (lead, "sales_manager")
        assert (named["lead_user_id"], emptied["lead_user_id"]) == (lead, None)
        assert [row["lead_user_id"] for row in history] == [None, lead, None]

    async def test_remember_their_members(self, tenant: Tenant, admin: Client) -> None:
        made = (await admin.post("/teams", json={"name": "İzmir", "region": "ege"})).json()
        who = tenant.sales_agent.user_id

        await admin.patch(f"/users/{who}", json={"team_id": made["id"]})

        members = (await admin.get(f"/teams/{made['id']}/members")).json()["items"]
        stations = (await admin.get(f"/users/{who}/teams")).json()["items"]
        assert [row["user_id"] for row in members] == [str(who)]
        assert [(row["team_id"], row["ended_at"] is None) for row in stations] == [
            (str(tenant.team_id), False),
            (made["id"], True),
        ]
