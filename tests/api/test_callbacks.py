"""Callbacks through HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from crm import clock, db, ids
from crm.db import to_json
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant
from tests.crm.callbacks.floor import (
    HOUR,
    QUEUE,
    calls,
    calls_in,
    on_duty,
    open_queue,
    people,
    talks,
    turn,
)


@pytest.fixture(autouse=True)
async def queue(tenant: Tenant) -> None:
    """The queue there is, and people are called at any hour: what time it is now says nothing of the code."""
    await open_queue(tenant, clock.utc_now() - HOUR)
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.calling_hours (tenant_id, id, country, valid_from, windows, holidays, created_at)"
            " values ($1::uuid, $2::uuid, 'TR', '2020-01-01', $3::jsonb, true, now())",
            tenant.id,
            ids.new(),
            to_json([{"days": [1, 2, 3, 4, 5, 6, 7], "start": 0, "end": 1440}]),
        )


async def promise(client: Client, person: tuple[Any, Any], **more: Any) -> Any:
    """Promise a person a callback; return the answer."""
    body = {"contact_id": str(person[0]), "lead_id": str(person[1]), "queue": QUEUE, "kind": "web", **more}
    return await client.post("/queue/callbacks", json=body)


class TestCallbacks:
    async def test_are_promised_made_and_kept(self, tenant: Tenant, admin: Client) -> None:
        now = clock.utc_now()
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)

        made = await promise(admin, person)
        path = f"/queue/callbacks/{made.json()['id']}"
        twice = await promise(admin, person)
        await turn(tenant, clock.utc_now())
        during = (await admin.get(path)).json()
        late = await admin.post(f"{path}/cancel", json={"reason": "customer"})
        [call] = await calls(tenant)
        await talks(tenant, call["id"], now, until=now + timedelta(minutes=1))
        await turn(tenant, clock.utc_now())
        done = (await admin.get(path)).json()
        attempts = (await admin.get(f"{path}/attempts")).json()["items"]

        assert (made.status_code, made.json()["status"], made.json()["is_kept"]) == (201, "scheduled", None)
        assert "*" in made.json()["phone_masked"] or "•" in made.json()["phone_masked"]
        assert (twice.status_code, twice.json()["code"]) == (409, "callback.promised")
        assert (during["status"], during["attempts"], during["call_id"]) == ("attempted", 1, str(call["id"]))
        assert (late.status_code, late.json()["code"]) == (409, "callback.in_progress")
        assert (done["status"], done["is_kept"], done["due_at"]) == ("completed", True, None)
        assert [(each["attempt_no"], each["outcome"]) for each in attempts] == [(1, "answered")]

    async def test_are_changed_and_cancelled(self, tenant: Tenant, admin: Client) -> None:
        now = clock.utc_now()
        [person] = await people(tenant, 1, now)
        path = f"/queue/callbacks/{(await promise(admin, person)).json()['id']}"
        later = (now + timedelta(days=1)).isoformat()

        moved = await admin.post(f"{path}/reschedule", json={"promised_from": later})
        past = await admin.post(f"{path}/reschedule", json={"promised_from": "2020-01-01T00:00:00Z"})
        far = await admin.post(f"{path}/reschedule", json={"promised_from": "9999-12-31T23:59:59Z"})
        gone = [await admin.post(f"{path}/cancel", json={"reason": "customer"}) for _ in range(2)]
        closed = await admin.post(f"{path}/take")

        assert moved.json()["promised_from"] == moved.json()["due_at"]
        assert [each.json()["field_errors"].keys() for each in (past, far)] == [{"promised_from"}] * 2
        assert [(each.status_code, each.json()["status"]) for each in gone] == [(200, "cancelled")] * 2
        assert (closed.status_code, closed.json()["code"]) == (409, "callback.closed")

    async def test_keep_a_callers_place(self, tenant: Tenant, admin: Client) -> None:
        now = clock.utc_now()
        [person] = await people(tenant, 1, now)
        call_id = await calls_in(tenant, person, now)
        body = {"kind": "hold", "call_id": str(call_id)}

        made = await admin.post("/queue/callbacks", json=body, headers={"Idempotency-Key": "h-1"})
        again = await admin.post("/queue/callbacks", json=body, headers={"Idempotency-Key": "h-1"})
        wrong = await admin.post("/queue/callbacks", json={**body, "queue": QUEUE})

        assert (made.status_code, made.json()["status"], made.content == again.content) == (201, "requested", True)
        assert made.json()["enqueued_at"].startswith(now.isoformat()[:19])
        assert wrong.status_code == 422

    async def test_are_listed_for_those_whose_they_are(
        self, tenant: Tenant, other_tenant: Tenant, admin: Client, agent: Client, sign_in: SignIn
    ) -> None:
        first, second = await people(tenant, 2, clock.utc_now())
        for person in (first, second):
            await promise(admin, person)

        before = (await agent.get("/queue/callbacks")).json()["items"]
        await on_duty(tenant, clock.utc_now())
        after = (await agent.get("/queue/callbacks", params={"is_open": True})).json()["items"]
        page = (await admin.get("/queue/callbacks", params={"limit": 1})).json()
        rest = (await admin.get("/queue/callbacks", params={"limit": 1, "cursor": page["next_cursor"]})).json()
        foreign = await sign_in(other_tenant.admin).get(f"/queue/callbacks/{after[0]['id']}")
        audited = (await sign_in(tenant.compliance_auditor).get("/queue/callbacks")).json()["items"]
        none = (await admin.get("/queue/callbacks", params={"status": "failed"})).json()["items"]

        assert (before, len(after), len(audited), none) == ([], 2, 2, [])
        assert [each["contact_name"] for each in after] == [None, None]
        assert [page["items"][0]["contact_id"], rest["items"][0]["contact_id"]] == [str(second[0]), str(first[0])]
        assert (rest["next_cursor"], foreign.status_code) == (None, 404)

    async def test_say_why_somebody_is_not_called(self, tenant: Tenant, admin: Client) -> None:
        [person] = await people(tenant, 1, clock.utc_now())
        await admin.post(
            f"/contacts/{person[0]}/consents",
            json={"channel": "call", "purpose": "enquiry", "status": "withdrawn", "source": "phone", "evidence": {}},
        )

        refused = await promise(admin, person, kind="agent")

        assert (refused.status_code, refused.json()["code"]) == (403, "callback.not_callable")
        assert refused.json()["field_errors"] == {"reason": "opted_out"}

    async def test_show_how_they_are_kept(self, tenant: Tenant, admin: Client) -> None:
        [person] = await people(tenant, 1, clock.utc_now())
        await promise(admin, person)

        shown = (await admin.get("/queue/callbacks/figures", params={"queue": QUEUE})).json()
        bad = await admin.get("/queue/callbacks/figures", params={"until": "0001-01-01T00:00:00Z"})

        assert (shown["requested"], shown["pending"], shown["is_mature"]) == (1, 1, False)
        assert (shown["callback_kept_rate"], shown["callback_wait_s"]) == (0.0, None)
        assert bad.json()["requested"] == 0
