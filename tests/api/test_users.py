"""Users and teams through HTTP."""

from uuid import uuid4

from crm import db, ids
from tests.api.conftest import Client
from tests.conftest import Tenant

NEW = {"email": "can@acme.example", "name": "Can", "roles": ["sales_agent"], "password": "yeşil-deniz-dalga"}


class TestListUsers:
    async def test_pages_through_everybody_once(self, tenant: Tenant, admin: Client) -> None:
        seen, place = [], {}
        while True:
            page = (await admin.get("/users", params={"limit": 2, **place})).json()
            seen += [user["id"] for user in page["items"]]
            if page["next_cursor"] is None:
                break
            place = {"cursor": page["next_cursor"]}

        assert sorted(seen) == sorted(str(actor.user_id) for actor in tenant.actors.values())

    async def test_refuses_a_cursor_of_another_list(self, tenant: Tenant, admin: Client) -> None:
        cursor = (await admin.get("/users", params={"limit": 2})).json()["next_cursor"]

        response = await admin.get("/users", params={"cursor": cursor, "is_active": True})

        assert (response.status_code, response.json()["code"]) == (422, "cursor.other_filter")

    async def test_refuses_a_cursor_that_was_altered_and_pages_too_large(self, admin: Client) -> None:
        cursor = (await admin.get("/users", params={"limit": 2})).json()["next_cursor"]

        altered = await admin.get("/users", params={"cursor": f"{cursor[:-4]}AAAA"})
        large = await admin.get("/users", params={"limit": 201})

        assert (altered.status_code, altered.json()["code"].split(".")[0]) == (422, "cursor")
        assert (large.status_code, list(large.json()["field_errors"])) == (422, ["limit"])


class TestCreateUser:
    async def test_lets_an_agent_of_a_team_take_leads(self, tenant: Tenant, admin: Client) -> None:
        made = await admin.post("/users", json={**NEW, "team_id": str(tenant.team_id)})

        assert made.status_code == 201
        agents = (await admin.get("/dashboard/agents")).json()["items"]
        assert made.json()["id"] in {agent["id"] for agent in agents if agent["accepting"]}

    async def test_is_done_once_under_one_key(self, admin: Client) -> None:
        key = {"Idempotency-Key": "k-1"}

        first = await admin.post("/users", json=NEW, headers=key)
        again = await admin.post("/users", json=NEW, headers=key)
        other = await admin.post("/users", json={**NEW, "name": "Cem"}, headers=key)

        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")

    async def test_refuses_an_address_in_use(self, admin: Client) -> None:
        await admin.post("/users", json=NEW)

        response = await admin.post("/users", json=NEW)

        assert (response.status_code, response.json()["code"]) == (409, "user.email_taken")
        assert response.json()["field_errors"] == {"email": "in use"}


class TestInvite:
    async def test_keeps_no_token_and_gives_the_same_one_again(self, tenant: Tenant, admin: Client) -> None:
        body = {"email": "davet@acme.example", "roles": ["sales_manager"]}

        first = await admin.post("/users/invitations", json=body, headers={"Idempotency-Key": "k-2"})
        again = await admin.post("/users/invitations", json=body, headers={"Idempotency-Key": "k-2"})

        assert first.content == again.content
        async with db.transaction(tenant.system) as tx:
            kept = await tx.fetchval("select response::text from crm.idempotency_key where key = 'k-2'")
        assert first.json()["token"] not in kept


class TestUpdateUser:
    async def test_closing_an_account_ends_its_sessions_and_its_share_of_leads(
        self, tenant: Tenant, admin: Client
    ) -> None:
        response = await admin.patch(f"/users/{tenant.sales_agent.user_id}", json={"is_active": False})

        assert response.json()["is_active"] is False
        assert (await admin.get("/dashboard/stats")).json()["agents_accepting"] == 0

    async def test_leaves_a_team_when_told_null_and_stays_when_told_nothing(
        self, tenant: Tenant, admin: Client
    ) -> None:
        path = f"/users/{tenant.sales_agent.user_id}"

        stayed = (await admin.patch(path, json={"name": "Başka"})).json()
        left = (await admin.patch(path, json={"team_id": None})).json()

        assert (stayed["team_id"], left["team_id"]) == (str(tenant.team_id), None)

    async def test_keeps_one_administrator(self, tenant: Tenant, admin: Client) -> None:
        response = await admin.patch(f"/users/{tenant.admin.user_id}", json={"roles": ["analyst"]})

        assert (response.status_code, response.json()["code"]) == (409, "user.last_admin")

    async def test_refuses_a_team_that_does_not_exist(self, tenant: Tenant, admin: Client) -> None:
        response = await admin.patch(f"/users/{tenant.sales_agent.user_id}", json={"team_id": str(uuid4())})

        assert (response.status_code, response.json()["code"]) == (404, "team.not_found")


class TestAvailability:
    async def test_is_changed_once_and_told(self, tenant: Tenant, agent: Client) -> None:
        for _ in range(2):
            assert (await agent.put("/users/me/availability", json={"accepting": False})).status_code == 204

        async with db.transaction(tenant.system) as tx:
            told = await tx.fetch(
                "select payload_json from crm.event_log where event_type = 'agent.availability_changed'"
            )
        assert [row[0]["accepting"] for row in told] == [False]

    async def test_needs_a_share_of_leads(self, admin: Client) -> None:
        response = await admin.put("/users/me/availability", json={"accepting": True})

        assert (response.status_code, response.json()["code"]) == (409, "agent.no_team")


class TestTeams:
    async def test_are_made_changed_and_deleted(self, admin: Client) -> None:
        made = (await admin.post("/teams", json={"name": "İzmir"})).json()
        changed = (await admin.patch(f"/teams/{made['id']}", json={"region": "Ege"})).json()
        deleted = await admin.delete(f"/teams/{made['id']}")

        assert (made["timezone"], changed["region"], deleted.status_code) == ("Europe/Istanbul", "Ege", 204)
        assert (await admin.get(f"/teams/{made['id']}")).status_code == 404

    async def test_stay_while_somebody_is_in_them(self, tenant: Tenant, admin: Client) -> None:
        response = await admin.delete(f"/teams/{tenant.team_id}")

        assert (response.status_code, response.json()["code"]) == (409, "team.in_use")

    async def test_refuse_a_zone_that_does_not_exist(self, admin: Client) -> None:
        response = await admin.post("/teams", json={"name": "Ay", "timezone": "Moon/Crater"})

        assert (response.status_code, list(response.json()["field_errors"])) == (422, ["timezone"])

    async def test_of_another_firm_are_not_found(self, other_tenant: Tenant, admin: Client) -> None:
        theirs = await admin.get(f"/teams/{other_tenant.team_id}")
        none = await admin.get(f"/teams/{ids.new()}")

        assert theirs.status_code == none.status_code == 404
        assert {**theirs.json(), "trace_id": ""} == {**none.json(), "trace_id": ""}
