"""Intake over HTTP: dead letters with their reasons, connections with their outlook, leads asked for again."""

import pytest

from crm import db, ids
from crm.inbox import health, tokens
from crm.inbox.chore import Inbox
from crm.inbox.connections import Source
from ingestion.sources import parsers
from tests.crm.inbox.conftest import META, connect
from tests.ingestion.sources.conftest import GOOGLE

WINDOW = {"since": "2026-02-01T00:00:00+03:00", "until": "2026-03-01T00:00:00+03:00"}


@pytest.fixture
async def meta(tenant, now):
    return await connect(tenant, Source.meta, META, now)


@pytest.fixture
async def google(tenant, now):
    return await connect(tenant, Source.google, GOOGLE, now)


async def send(nobody, connection, *bodies):
    for body in bodies:
        answer = await nobody.post(
            f"/webhooks/google/{connection.id}", json={"google_key": GOOGLE["google_key"], **body}
        )  # fmt: skip
        assert answer.status_code == 200


async def work_off(tenant):
    from crm import clock

    await Inbox(clock.utc_now, parsers()).work(tenant.id)


NOBODY = {"lead_id": "1", "user_column_data": []}


class TestDeadLetters:
    async def test_are_listed_with_their_reasons(self, nobody, admin, tenant, google):
        await send(nobody, google, NOBODY, {"lead_id": "2"}, {**NOBODY, "lead_id": "3"})
        await work_off(tenant)

        listed = (await admin.get("/inbox", params={"status": "failed", "reason": "lead.unreachable"})).json()["items"]
        reasons = (await admin.get("/inbox/reasons")).json()["items"]

        assert [each["last_error"] for each in listed] == ["lead.unreachable"] * 2
        assert [(each["reason"], each["source"], each["messages"]) for each in reasons] == [
            ("lead.unreachable", "google", 2), ("google.malformed", "google", 1),
        ]  # fmt: skip

    async def test_of_one_reason_are_replayed_together(self, nobody, admin, tenant, google):
        await send(nobody, google, NOBODY, {"lead_id": "2"}, {**NOBODY, "lead_id": "3"})
        await work_off(tenant)

        answer = await admin.post("/inbox/replay", json={"reason": "lead.unreachable"})
        waiting = (await admin.get("/inbox", params={"status": "pending"})).json()["items"]

        assert (answer.status_code, answer.json()) == (202, {"messages": 2})
        assert len(waiting) == 2

    async def test_a_cursor_of_another_filter_is_refused(self, nobody, admin, tenant, google):
        await send(nobody, google, NOBODY, {**NOBODY, "lead_id": "3"})
        cursor = (await admin.get("/inbox", params={"limit": 1})).json()["next_cursor"]

        answer = await admin.get("/inbox", params={"limit": 1, "cursor": cursor, "reason": "lead.unreachable"})

        assert answer.status_code == 422


class TestConnections:
    async def test_show_what_is_foreseen_and_how_the_source_behaves(self, admin, tenant, meta, now):
        for n in range(5):
            await db.run(tenant.system, lambda tx, n=n: health.failed(tx, meta.id, "meta.token", now=now))
        await db.run(tenant.system, lambda tx: tokens.refused(tx, meta, "meta.token", now=now))

        [shown] = (await admin.get("/connections")).json()["items"]
        alone = (await admin.get(f"/connections/{meta.id}")).json()

        assert (shown["token"]["outlook"], shown["token"]["last_error"]) == ("refused", "meta.token")
        assert (shown["health"]["is_failing"], shown["health"]["failures"]) == (True, 5)
        assert shown["health"].keys() == alone["health"].keys()
        assert shown["reconciled_until"] is None

    async def test_show_what_waits_and_what_was_given_up(self, nobody, admin, tenant, google, meta):
        before = {each["source"]: each["inbox"] for each in (await admin.get("/connections")).json()["items"]}
        await send(nobody, google, NOBODY)
        await work_off(tenant)
        await send(nobody, google, {**NOBODY, "lead_id": "2"}, {**NOBODY, "lead_id": "3"})

        after = {each["source"]: each["inbox"] for each in (await admin.get("/connections")).json()["items"]}

        assert before["google"] == before["meta"] == after["meta"] == {"waiting": 0, "oldest_at": None, "given_up": 0}
        assert (after["google"]["waiting"], after["google"]["given_up"]) == (2, 1)
        [*_, oldest] = (await admin.get("/inbox", params={"status": "pending"})).json()["items"]
        assert after["google"]["oldest_at"] == oldest["received_at"]


class TestBackfill:
    async def test_is_taken_once_and_wants_a_job(self, admin, tenant, meta):
        body = {**WINDOW, "form": "900800700"}
        answers = [
            await admin.post(f"/connections/{meta.id}/backfill", json=body, headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]

        async with db.transaction(tenant.system) as tx:
            jobs = await tx.fetch("select args from jobs.procrastinate_jobs where task_name = 'inbox.pull'")
        listed = (await admin.get(f"/connections/{meta.id}/pulls")).json()["items"]
        assert [each.status_code for each in answers] == [202, 202]
        assert answers[0].json() == answers[1].json() == listed[0]
        assert len(listed) == len(jobs) == 1
        assert (listed[0]["kind"], listed[0]["status"], listed[0]["since"]) == (
            "backfill", "running", "2026-01-31T21:00:00Z",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (WINDOW, "form"),
            ({"since": WINDOW["until"], "until": WINDOW["since"], "form": "1"}, "until"),
            ({**WINDOW, "form": "../me"}, "form"),
            ({**WINDOW, "since": "2026-02-01T00:00:00", "form": "1"}, "since"),
        ],
    )
    async def test_says_what_is_wrong(self, admin, meta, body, field):
        answer = await admin.post(f"/connections/{meta.id}/backfill", json=body)

        assert answer.status_code == 422
        assert any(field in name for name in answer.json()["field_errors"])

    async def test_of_a_connection_that_is_not_there(self, admin, tenant):
        missing = f"/connections/{ids.new()}"

        asked = await admin.post(f"{missing}/backfill", json={**WINDOW, "form": "1"})

        assert (asked.status_code, (await admin.get(f"{missing}/pulls")).status_code) == (404, 404)

    async def test_is_nothing_for_agents(self, agent, meta):
        asked = await agent.post(f"/connections/{meta.id}/backfill", json={**WINDOW, "form": "1"})

        assert asked.status_code == 403
