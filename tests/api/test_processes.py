"""Call processes through HTTP: drafted, published, followed by a call."""

from typing import Any

from crm import clock, db
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant
from tests.crm.processes.scripts import offer
from tests.crm.processes.test_runs import a_call

BODY: dict[str, Any] = {"key": "offer", "labels": {"tr": "Teklif", "en": "Offer"}, "definition": offer()}


async def published(admin: Client) -> str:
    """Make and publish the small process; calls by click follow it."""
    process_id: str = (await admin.post("/process-master", json=BODY)).json()["id"]
    await admin.post(f"/process-master/{process_id}/publish")
    await admin.put("/process-master/uses", json={"purpose": "click", "process_id": process_id})
    return process_id


class TestProcesses:
    async def test_are_drafted_mended_published_and_retired(self, admin: Client) -> None:
        wrong = offer()
        wrong["steps"][3]["text"]["tr"] = "Teşekkürler {contact.phone}"

        made = await admin.post("/process-master", json=BODY, headers={"Idempotency-Key": "p-1"})
        again = await admin.post("/process-master", json=BODY, headers={"Idempotency-Key": "p-1"})
        path = f"/process-master/{made.json()['id']}"
        bad = await admin.put(f"{path}/draft", json={"definition": wrong})
        refused = await admin.post(f"{path}/publish")
        good = await admin.put(f"{path}/draft", json={"definition": offer()})
        published = await admin.post(f"{path}/publish")
        late = await admin.post(f"{path}/publish")
        second = await admin.put(f"{path}/draft", json={"definition": wrong})
        dropped = await admin.delete(f"{path}/draft")
        retired = await admin.post(f"{path}/retire", json={"version_no": 1})
        listed = (await admin.get("/process-master")).json()["items"]
        versions = (await admin.get(f"{path}/versions")).json()["items"]

        assert (made.status_code, made.content == again.content) == (201, True)
        assert list(bad.json()["problems"]) == ["steps.thanks.text.tr"]
        assert (refused.status_code, refused.json()["code"]) == (422, "process.not_sound")
        assert list(refused.json()["field_errors"]) == ["steps.thanks.text.tr"]
        assert (good.json()["problems"], good.json()["status"]) == ({}, "draft")
        assert (published.json()["version_no"], published.json()["draft_no"]) == (1, None)
        assert (late.status_code, late.json()["code"]) == (409, "process.no_draft")
        assert (second.json()["version_no"], dropped.status_code) == (2, 204)
        assert retired.json()["version_no"] is None
        assert [(each["key"], each["version_no"]) for each in listed] == [("offer", None)]
        assert [(each["version_no"], each["status"]) for each in versions] == [(1, "retired")]

    async def test_are_tried_with_answers_before_they_are_published(self, admin: Client) -> None:
        made = (await admin.post("/process-master", json=BODY)).json()
        path = f"/process-master/{made['id']}/versions/1/walk"

        first = (await admin.post(path, json={})).json()
        last = (await admin.post(path, json={"answers": {"interested": False, "wish": "x"}})).json()
        wrong = await admin.post(path, json={"answers": {"interested": "perhaps"}})

        assert (first["at_step"], first["path"][0]["text"]["tr"]) == (
            "hello", "Good day müşterimiz, this is temsilciniz of firmamız. (tr)"
        )  # fmt: skip
        assert (last["at_step"], last["dropped"], last["path"][-1]["key"]) == (None, ["wish"], "thanks")
        assert (wrong.status_code, wrong.json()["field_errors"]) == (422, {"answers.interested": "true or false"})

    async def test_lead_an_agent_through_a_call(self, tenant: Tenant, admin: Client, agent: Client) -> None:
        await published(admin)
        path = f"/process-master/runs/{await a_call(tenant, clock.utc_now())}"

        before = (await agent.get(path)).json()
        saved = await agent.put(path, json={"answers": {"interested": True, "kind": "hair", "budget": 9000,
                                                        "wish": "0532 123 45 67"}, "revision": 0})  # fmt: skip
        stale = await agent.put(path, json={"answers": {}, "revision": 0})
        foreign = await admin.put(path, json={"answers": {}})
        hidden = await agent.post(f"{path}/reveal", json={"reason": "I wonder"})
        written = await admin.post(f"{path}/reveal", json={"reason": "a second number"})

        assert (before["process"], before["version_no"], before["revision"]) == ("offer", 1, 0)
        assert before["path"][0]["text"]["en"].startswith("Good day Ayşe Yılmaz, this is sales_agent of acme")
        assert (saved.json()["disposition"], saved.json()["revision"]) == ("interested", 1)
        answers = {
            question["key"]: question["answer"] for step in saved.json()["path"] for question in step["questions"]
        }
        assert answers["kind"] == "hair"
        assert "123" not in answers["wish"]
        assert (stale.status_code, stale.json()["code"]) == (409, "process.moved_on")
        assert (foreign.status_code, foreign.json()["code"]) == (404, "process.run_not_found")
        assert (hidden.status_code, written.json()) == (403, {"answers": {"wish": "0532 123 45 67"}})

    async def test_are_managed_by_managers_and_followed_by_agents(
        self, tenant: Tenant, admin: Client, agent: Client, sign_in: SignIn
    ) -> None:
        process_id = await published(admin)

        manager = sign_in(tenant.sales_manager)
        statuses = [
            (await client.post(f"/process-master/{process_id}/retire", json={"version_no": 1})).status_code
            for client in (agent, sign_in(tenant.compliance_auditor), manager)
        ]

        assert statuses == [403, 403, 200]
        assert (await sign_in(tenant.compliance_auditor).get("/process-master/uses")).json()["items"][0]["purpose"] == (
            "click"
        )

    async def test_keep_what_no_process_can_be(self, admin: Client) -> None:
        deep = {**BODY, "definition": {"start": "a", "steps": [{"key": "a.b", "text": {"tr": "x", "en": "\x00"}}]}}

        response = await admin.post("/process-master", json=deep)

        assert response.status_code == 422
        assert {field.split(".")[-1] for field in response.json()["field_errors"]} == {"steps", "key", "en"}


async def test_calls_without_a_process_have_no_run(tenant: Tenant, agent: Client) -> None:
    call_id = await a_call(tenant, clock.utc_now())

    response = await agent.get(f"/process-master/runs/{call_id}")

    assert response.status_code == 404
    assert await db.run(tenant.system, lambda tx: tx.fetchval("select count(*) from crm.process_run")) == 0
