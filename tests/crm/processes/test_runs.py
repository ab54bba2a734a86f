"""A call follows the version it started with: what is answered is kept, and what it says names people as one may."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crm import db, ids, vault
from crm.actor import Actor
from crm.calls import arriving
from crm.contacts.revealing import NothingToReveal
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.processes import operations as processes
from crm.processes import runs, version_for
from crm.processes.answers import BadAnswer
from crm.processes.runs import MovedOn, RunNotFound
from tests.conftest import Tenant
from tests.crm.processes.scripts import offer, read
from tests.crm.processes.test_operations import other, publish_next, published
from tests.crm.queues.factory import make_queue

MINUTE = timedelta(minutes=1)
YES: dict[str, Any] = {"interested": True, "kind": "hair", "budget": 9000}


async def a_call(tenant: Tenant, now: datetime, agent: Actor | None = None, **person: Any) -> UUID:
    """Store a lead of the agent's and a call to it that follows what it should."""
    agent = agent or tenant.sales_agent
    lead = NewLead(source="api", name="Ayşe Yılmaz", **person)
    [made] = await db.run(tenant.system, lambda tx: intake.create_many(tx, [lead], now=now))
    call_id = ids.new()
    async with db.transaction(tenant.system) as tx:
        await tx.execute("update crm.lead set owner_id = $1::uuid where id = $2::uuid", agent.user_id, made.lead_id)
        version_id = await version_for(tx, purpose="click", lead_id=made.lead_id, at=now)
        await tx.execute(
            "insert into crm.call (tenant_id, id, direction, purpose, status, lead_id, contact_id, agent_user_id,"
            " process_version_id, requested_at, updated_at) select $1::uuid, $2::uuid, 'agent_first', 'click',"
            " 'connected', id, contact_id, $4::uuid, $5::uuid, $6::timestamptz, $6::timestamptz from crm.lead"
            " where tenant_id = $1::uuid and id = $3::uuid",
            tenant.id, call_id, made.lead_id, agent.user_id, version_id, now,
        )  # fmt: skip
    return call_id


@pytest.fixture
async def process_id(tenant: Tenant, now: datetime) -> UUID:
    """The small process, followed by calls by click."""
    found = await published(tenant, now)
    await db.run(tenant.admin, lambda tx: processes.use(tx, found, purpose="click", now=now))
    return found


async def save(tenant: Tenant, call_id: UUID, answers: dict[str, Any], now: datetime, **more: Any) -> runs.Run:
    """Save answers as the agent."""
    return await db.run(tenant.sales_agent, lambda tx: runs.save(tx, call_id, answers, **more, now=now))


@pytest.mark.usefixtures("process_id")
class TestSave:
    async def test_says_what_comes_next_and_keeps_each_revision(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        first = await save(tenant, call_id, {"interested": True}, now)
        second = await save(tenant, call_id, YES, now + MINUTE, revision=1)

        rows = await db.run(tenant.system, lambda tx: tx.fetch("select revision, answers, at_step, disposition from "
                            "crm.process_run order by revision"))  # fmt: skip
        assert (first.walk.at and first.walk.at.key, second.walk.at, second.revision) == ("details", None, 2)
        assert [tuple(row) for row in rows] == [
            (1, {"interested": True}, "details", None), (2, YES, None, "interested")
        ]  # fmt: skip

    async def test_changes_nothing_when_the_same_is_sent_again(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        found = [await save(tenant, call_id, {**YES, "wish": "call 0532 123 45 67"}, now) for _ in range(3)]

        assert [run.revision for run in found] == [1, 1, 1]
        assert await _told(tenant, "process.answered") == 1

    async def test_drops_what_another_turn_asked(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)
        await save(tenant, call_id, YES, now)

        run = await save(tenant, call_id, {**YES, "interested": False}, now)

        assert (run.walk.kept, run.walk.path[-1].key) == ({"interested": False}, "thanks")

    async def test_refuses_what_is_based_on_an_older_revision(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)
        await save(tenant, call_id, {"interested": True}, now, revision=0)

        with pytest.raises(MovedOn):
            await save(tenant, call_id, YES, now, revision=0)
        with pytest.raises(BadAnswer):
            await save(tenant, call_id, {"interested": "yes"}, now, revision=1)

    async def test_keeps_all_revisions_of_those_who_save_at_once(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        await asyncio.gather(*(save(tenant, call_id, {**YES, "budget": n}, now) for n in range(5)))

        rows = await db.run(
            tenant.system, lambda tx: tx.fetch("select revision, answers from crm.process_run order by 1")
        )
        assert [row["revision"] for row in rows] == [1, 2, 3, 4, 5]
        assert {row["answers"]["budget"] for row in rows} == set(range(5))

    async def test_is_for_whoever_speaks_on_the_call(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        for actor in (tenant.sales_manager, tenant.admin):
            with pytest.raises(RunNotFound):
                await db.run(actor, lambda tx: runs.save(tx, call_id, YES, now=now))

    async def test_tells_the_timeline_once_when_it_ends(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        for budget in (9000, 9500):
            await save(tenant, call_id, {**YES, "budget": budget}, now)

        shown = await db.run(
            tenant.system,
            lambda tx: tx.fetch("select outcome, detail from crm.activity where kind = 'process.completed'"),
        )
        assert [(row["outcome"], row["detail"]["call_id"]) for row in shown] == [("interested", str(call_id))]

    async def test_keeps_events_and_audit_free_of_answers(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        await save(tenant, call_id, {**YES, "wish": "as soon as I am back from Ankara"}, now)

        kept = await db.run(tenant.system, lambda tx: tx.fetch(
            "select payload_json::text from crm.event_log union all select metadata_json::text from crm.audit_log"
        ))  # fmt: skip
        assert not [row[0] for row in kept if "Ankara" in row[0] or "9000" in row[0]]


class TestVersions:
    async def test_a_call_keeps_the_version_it_started_with(
        self, tenant: Tenant, process_id: UUID, now: datetime
    ) -> None:  # fmt: skip
        early = await a_call(tenant, now)
        await publish_next(tenant, process_id, other(), now + MINUTE)
        late = await a_call(tenant, now + MINUTE)
        await db.run(tenant.admin, lambda tx: processes.retire(tx, process_id, now=now + 2 * MINUTE))

        run = await save(tenant, early, YES, now + 3 * MINUTE)

        assert (run.version.version_no, run.walk.path[-1].key) == (1, "book")
        assert (await save(tenant, late, {}, now + 3 * MINUTE)).version.version_no == 2

    async def test_a_call_that_follows_none_has_no_run(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        with pytest.raises(RunNotFound):
            await save(tenant, call_id, {}, now)


@pytest.mark.usefixtures("process_id")
class TestGet:
    async def test_names_the_person_to_whoever_sees_them(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)

        run = await db.run(tenant.sales_agent, lambda tx: runs.get(tx, call_id))

        assert (run.facts["contact.name"], run.facts["firm.name"], run.revision) == ("Ayşe Yılmaz", "acme", 0)

    async def test_shows_initials_to_an_agent_whose_lead_it_is_not(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now, agent=tenant.sales_manager)
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.call set agent_user_id = $1::uuid where id = $2::uuid", tenant.sales_agent.user_id, call_id
            )

        run = await db.run(tenant.sales_agent, lambda tx: runs.get(tx, call_id))

        assert run.facts["contact.name"] == "A. Y."

    async def test_is_nothing_to_other_agents_and_firms(
        self, tenant: Tenant, other_tenant: Tenant, now: datetime
    ) -> None:  # fmt: skip
        call_id = await a_call(tenant, now, agent=tenant.sales_manager)

        for actor in (tenant.sales_agent, tenant.analyst, other_tenant.admin):
            with pytest.raises(RunNotFound):
                await db.run(actor, lambda tx, actor=actor: runs.get(tx, call_id))


@pytest.mark.usefixtures("process_id")
class TestReveal:
    async def test_shows_what_was_said_as_it_was_written(self, tenant: Tenant, now: datetime) -> None:
        call_id = await a_call(tenant, now)
        await save(tenant, call_id, {**YES, "wish": "ring my wife, 0532 123 45 67"}, now)

        run = await db.run(tenant.sales_agent, lambda tx: runs.get(tx, call_id))
        written = await db.run(tenant.admin, lambda tx: runs.reveal(tx, call_id, "a second number", now=now))

        assert "123" not in str(run.walk.kept["wish"])
        assert written == {"wish": "ring my wife, 0532 123 45 67"}
        assert await _told(tenant, "call.revealed") == 1

    async def test_says_when_nothing_is_hidden_or_nothing_can_be_read_any_more(
        self, tenant: Tenant, now: datetime
    ) -> None:  # fmt: skip
        call_id = await a_call(tenant, now)
        await save(tenant, call_id, YES, now)

        with pytest.raises(NothingToReveal):
            await db.run(tenant.admin, lambda tx: runs.reveal(tx, call_id, "why", now=now))

        await save(tenant, call_id, {**YES, "wish": "ada@mail.example"}, now)
        async with db.transaction(tenant.system) as tx:
            key_id = await tx.fetchval("select texts_key_id from crm.process_run where texts_key_id is not null")
        await vault.destroy(tenant.id, [key_id], now=now)
        with pytest.raises(vault.Unreadable):
            await db.run(tenant.admin, lambda tx: runs.reveal(tx, call_id, "why", now=now))


async def _told(tenant: Tenant, kind: str) -> int:
    async with db.transaction(tenant.system) as tx:
        return int(await tx.fetchval("select count(*) from crm.event_log where event_type = $1::text", kind))


def test_the_script_of_these_tests_is_read_as_it_is_written() -> None:
    assert read(offer()).model_dump(mode="json")["start"] == "hello"


async def test_a_call_that_comes_in_follows_the_process_of_its_queue(tenant: Tenant, now: datetime) -> None:
    found = await published(tenant, now)
    async with db.transaction(tenant.system) as tx:
        await make_queue(tx, "sales", since=now)
    await db.run(tenant.admin, lambda tx: processes.use(tx, found, queue="sales", now=now))

    call_ids = [
        await db.run(tenant.system, lambda tx, to=to: arriving.arrive(tx, f"17.{to}", "", queue=to, at=now, now=now))
        for to in ("sales", "service")
    ]

    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select id, process_version_id is not null from crm.call")
    assert {row["id"]: row[1] for row in rows} == dict(zip(call_ids, (True, False), strict=True))
