"""Changes to many leads over HTTP: accepted once, followed, cancelled, reported."""

import asyncio

import pytest

from crm import clock, db, ids
from crm.bulk import running
from tests.api.test_leads import store


async def work(tenant, run):
    """Do the job that the worker would do."""
    while await running.step(tenant.system, run, now=clock.utc_now()):
        pass


class TestBulk:
    async def test_is_accepted_done_and_reported(self, admin, tenant):
        leads = [await store(admin, tags=["fair"]) for _ in range(3)]

        accepted = await admin.post(
            "/leads/bulk", json={"action": "status", "status": "contacted", "filter": ["tags:any:fair"]}
        )
        run = accepted.json()["id"]
        await work(tenant, run)

        assert (accepted.status_code, accepted.json()["status"], accepted.json()["total"]) == (202, "queued", 3)
        done = (await admin.get(f"/bulk/{run}")).json()
        assert (done["status"], done["processed"], done["done"]) == ("done", 3, 3)
        report = await admin.get(f"/bulk/{run}/report")
        assert report.headers["content-type"].startswith("text/csv")
        assert report.text.splitlines() == ["lead_id,verdict,code", *(f"{lead},done," for lead in sorted(leads))]
        assert [each["id"] for each in (await admin.get("/bulk")).json()["items"]] == [run]
        assert (await admin.post(f"/bulk/{run}/cancel")).json()["code"] == "bulk.ended"

    async def test_sent_twice_is_one_run(self, admin, tenant):
        lead = await store(admin)
        sent = {
            "json": {"action": "assign", "user_id": str(tenant.sales_agent.user_id), "lead_ids": [lead]},
            "headers": {"Idempotency-Key": "b1"},
        }

        first, again = await admin.post("/leads/bulk", **sent), await admin.post("/leads/bulk", **sent)
        other = await admin.post("/leads/bulk", **{**sent, "json": {**sent["json"], "reason": "other"}})

        assert first.json() == again.json()
        assert other.json()["code"] == "idempotency.conflict"
        assert len((await admin.get("/bulk")).json()["items"]) == 1

    async def test_sent_twice_at_once_is_one_run(self, admin, tenant):
        sent = {
            "json": {"action": "status", "status": "contacted", "lead_ids": [await store(admin)]},
            "headers": {"Idempotency-Key": "b2"},
        }

        answers = await asyncio.gather(*(admin.post("/leads/bulk", **sent) for _ in range(4)))

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len((await admin.get("/bulk")).json()["items"]) == 1
        async with db.transaction(tenant.system) as tx:
            wanted = await tx.fetchval("select count(*) from jobs.procrastinate_jobs where task_name = 'bulk.run'")
        assert wanted == 1

    async def test_takes_a_hundred_thousand_ids_and_pages(self, admin):
        many = {"action": "status", "status": "contacted", "lead_ids": [str(ids.new()) for _ in range(100_000)]}

        accepted = await admin.post("/leads/bulk", json=many)
        more = await admin.post("/leads/bulk", json={**many, "lead_ids": [*many["lead_ids"], str(ids.new())]})
        cancelled = await admin.post(f"/bulk/{accepted.json()['id']}/cancel")
        await admin.post("/leads/bulk", json={**many, "lead_ids": many["lead_ids"][:1]})
        first = (await admin.get("/bulk?limit=1")).json()
        rest = (await admin.get("/bulk", params={"limit": 1, "cursor": first["next_cursor"]})).json()

        assert (accepted.status_code, accepted.json()["total"]) == (202, 100_000)
        assert more.status_code == 422
        assert cancelled.json()["status"] == "cancelled"
        assert rest["items"][0]["id"] == accepted.json()["id"]
        assert rest["next_cursor"] is None

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"status": "contacted"}, 422, "invalid"),
            ({"status": "contacted", "filter": []}, 422, "invalid"),
            ({"status": "contacted", "filter": ["status:in:new"], "lead_ids": [str(ids.new())]}, 422, "invalid"),
            ({"action": "assign", "lead_ids": [str(ids.new())]}, 422, "invalid"),
            ({"action": "assign", "status": "won", "team_id": str(ids.new()), "lead_ids": [str(ids.new())]},
             422, "invalid"),
            ({"action": "assign", "team_id": str(ids.new()), "lead_ids": [str(ids.new())]}, 422, "assignee.unknown"),
            ({"status": "contacted", "filter": ["status:in:odd"]}, 422, "filter.invalid"),
            ({"status": "contacted", "filter": ["status:in:won"]}, 422, "bulk.nothing"),
            ({"status": "odd", "filter": ["status:in:new"]}, 422, "invalid"),
            ({"status": "assigned", "filter": ["status:in:new"]}, 409, "lead.transition"),
            ({"status": "lost", "filter": ["status:in:new"]}, 422, "lead.fields_missing"),
        ],
    )  # fmt: skip
    async def test_refuses_what_cannot_be(self, admin, body, status, code):
        await store(admin)

        answer = await admin.post("/leads/bulk", json={"action": "status", **body})

        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
