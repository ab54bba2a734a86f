"""Webhooks over HTTP: what is signed is stored once, what is not leaves nothing."""

import pytest

from crm import db
from crm.inbox.connections import Source
from crm.inbox.signatures import meta_signature
from crm.leads import intake
from crm.routing import operations as routing
from tests.crm.inbox.conftest import GOOGLE, META, connect

BODY = b'{"object": "page", "entry": []}'


def signed(body=BODY, secret=META["app_secret"]):
    return {"X-Hub-Signature-256": meta_signature(body, secret)}


async def stored(tenant):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetchval("select count(*) from crm.inbox_message")


@pytest.fixture
async def meta(tenant, now):
    return await connect(tenant, Source.meta, META, now)


@pytest.fixture
async def google(tenant, now):
    return await connect(tenant, Source.google, GOOGLE, now)


class TestReceive:
    async def test_stores_what_is_signed(self, nobody, tenant, meta):
        response = await nobody.post("/webhooks/meta", content=BODY, headers=signed())

        assert (response.status_code, response.json()) == (200, {"received": True})
        assert await stored(tenant) == 1

    async def test_a_redelivery_is_answered_the_same_and_changes_nothing(self, nobody, tenant, meta):
        answers = [await nobody.post(f"/webhooks/meta/{meta.id}", content=BODY, headers=signed()) for _ in range(3)]

        assert {(each.status_code, each.text) for each in answers} == {(200, '{"received":true}')}
        assert await stored(tenant) == 1

    @pytest.mark.parametrize(
        "headers", [{}, signed(secret="other"), signed(body=b"{}"), {"X-Hub-Signature-256": "sha256=ü"}]
    )
    async def test_leaves_nothing_of_what_is_not_signed(self, nobody, tenant, meta, headers):
        headers = {name: value.encode() for name, value in headers.items()}
        response = await nobody.post("/webhooks/meta", content=BODY, headers=headers)

        assert response.status_code == 403
        assert response.json()["code"] == "webhook.signature"
        assert await stored(tenant) == 0

    async def test_takes_googles_key_in_the_body(self, nobody, tenant, google):
        good = await nobody.post("/webhooks/google", json={**GOOGLE, "lead_id": "1"})
        bad = await nobody.post("/webhooks/google", json={"google_key": "guess", "lead_id": "1"})

        assert (good.status_code, bad.status_code) == (200, 403)
        assert await stored(tenant) == 1

    async def test_a_signature_of_one_firm_opens_no_other(self, nobody, tenant, other_tenant, meta, now):
        other = await connect(other_tenant, Source.meta, {**META, "app_secret": "another-secret"}, now)

        response = await nobody.post(f"/webhooks/meta/{other.id}", content=BODY, headers=signed())

        assert response.status_code == 403
        assert await stored(other_tenant) == 0

    @pytest.mark.parametrize("source", ["meta", "nobody"])
    async def test_knows_no_connection_that_is_not_there(self, nobody, tenant, source):
        response = await nobody.post(f"/webhooks/{source}", content=BODY, headers=signed())

        assert (response.status_code, response.json()["code"]) == (404, "connection.not_found")


QUESTION = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": META["verify_token"]}


class TestVerify:
    async def test_echoes_the_challenge(self, nobody, meta):
        response = await nobody.get("/webhooks/meta", params=QUESTION)

        assert (response.status_code, response.text) == (200, "1158201444")
        assert response.headers["content-type"].startswith("text/plain")

    @pytest.mark.parametrize("wrong", [{"hub.verify_token": "guess"}, {"hub.mode": "unsubscribe"}])
    async def test_refuses_a_wrong_token(self, nobody, meta, wrong):
        response = await nobody.get(f"/webhooks/meta/{meta.id}", params={**QUESTION, **wrong})

        assert (response.status_code, response.json()["code"]) == (403, "webhook.token")

    async def test_google_asks_no_such_thing(self, nobody, google):
        response = await nobody.get("/webhooks/google", params=QUESTION)

        assert response.status_code == 403


class TestConnections:
    async def test_secrets_go_in_and_never_come_out(self, admin, tenant):
        body = {"source": "meta", "name": "Page", "secrets": META}
        made = await admin.post("/connections", json=body, headers={"Idempotency-Key": "k"})
        again = await admin.post("/connections", json=body, headers={"Idempotency-Key": "k"})
        changed = await admin.patch(
            f"/connections/{made.json()['id']}", json={"secrets": {"app_secret": "a new secret"}}
        )
        listed = await admin.get("/connections")

        assert (made.status_code, changed.status_code, listed.status_code) == (201, 200, 200)
        assert again.json() == made.json()
        for answer in (made, changed, listed):
            assert not any(secret in answer.text for secret in [*META.values(), "a new secret"])

    async def test_says_which_secret_is_missing_without_repeating_one(self, admin, tenant):
        response = await admin.post("/connections", json={"source": "google", "name": "G", "secrets": META})

        assert response.status_code == 422
        assert response.json()["field_errors"]["secrets.google_key"]
        assert META["app_secret"] not in response.text


class TestInbox:
    async def test_shows_messages_without_what_they_say(self, nobody, admin, tenant, google):
        await nobody.post("/webhooks/google", json={**GOOGLE, "phone": "+905321234567"})

        listed = await admin.get("/inbox", params={"status": "pending"})

        [only] = listed.json()["items"]
        assert (only["source"], only["status"], only["attempts"]) == ("google", "pending", 0)
        assert "5321234567" not in listed.text
        assert (await admin.get("/inbox", params={"status": "failed"})).json()["items"] == []

    async def test_pages_by_cursor(self, nobody, admin, tenant, google):
        for n in range(5):
            await nobody.post("/webhooks/google", json={**GOOGLE, "lead_id": str(n)})

        seen, cursor = [], ""
        while cursor is not None:
            page = (await admin.get("/inbox", params={"limit": 2, "cursor": cursor})).json()
            seen += [each["id"] for each in page["items"]]
            cursor = page["next_cursor"]

        assert len(set(seen)) == len(seen) == 5
        assert seen == sorted(seen, reverse=True)

    async def test_replays_a_message(self, nobody, admin, agent, tenant, google):
        await nobody.post("/webhooks/google", json={**GOOGLE, "lead_id": "1"})
        [only] = (await admin.get("/inbox")).json()["items"]

        allowed, refused = [await each.post(f"/inbox/{only['id']}/replay") for each in (admin, agent)]

        assert (allowed.status_code, allowed.json()["status"], refused.status_code) == (202, "pending", 403)


class TestRouting:
    async def test_members_are_set_listed_and_removed(self, admin, tenant):
        who = f"/routing/members/{tenant.team_id}/{tenant.sales_manager.user_id}"

        made = await admin.put(who, json={"weight": 3, "capacity": 7})
        listed = await admin.get("/routing/members", params={"team_id": str(tenant.team_id)})
        removed = await admin.delete(who)

        assert (made.status_code, removed.status_code) == (200, 204)
        assert made.json()["open_leads"] == 0
        assert made.json() in listed.json()["items"]
        assert (await admin.delete(who)).status_code == 404

    async def test_an_agent_pauses_alone(self, agent, tenant):
        response = await agent.put("/users/me/availability", json={"accepting": False})

        assert response.status_code == 204
        assert (await agent.get("/routing/members")).status_code == 403

    async def test_explains_a_decision(self, admin, tenant, now):
        stored = await db.run(tenant.system, lambda tx: intake.create(tx, intake.NewLead(source="api"), now=now))
        await db.run(tenant.system, lambda tx: routing.sweep(tx, now=now))

        response = await admin.get("/routing/decisions", params={"lead": str(stored.lead_id)})

        [decision] = response.json()["items"]
        assert decision["user_id"] == str(tenant.sales_agent.user_id)
        assert decision["reasons"][0]["code"] == "chosen"
