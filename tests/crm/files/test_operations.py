"""Files from upload to destruction, on a folder and on a real S3 server alike."""

import asyncio
import io
import json
import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from crm import clock, db, errors, ids, jobs, objects, orphans, tenant_settings, vault
from crm.actor import Actor, Forbidden
from crm.files import operations, queries, rules, work
from crm.files.operations import NothingToAttachTo, TooLarge, Where
from crm.files.rules import Class, TypeNotTaken
from crm.settings import settings
from crm.timeline import queries as timelines
from tests.conftest import Tenant
from tests.crm.files.conftest import JPEG, PDF


async def upload(
    actor: Actor, where: Where, now: datetime, *, content: bytes = PDF, name: str = "a.pdf",
    kind: Class = Class.general, note: str | None = None,
) -> UUID:  # fmt: skip
    """Put a file away and attach it."""
    async with operations.putting_away(actor, io.BytesIO(content), name, now=now) as stored:
        made = await db.run(actor, lambda tx: operations.attach(tx, stored, where, kind, note=note, now=now))
        stored.is_attached = True
    return made


async def read(actor: Actor, attachment_id: UUID, now: datetime) -> bytes:
    """Open a file and read all of it."""
    opened = await db.run(actor, lambda tx: operations.open_file(tx, attachment_id, now=now))
    return b"".join([piece async for piece in await operations.content(opened)])


async def stored_names() -> list[str]:
    return [each.name async for batch in objects.listing("attachments") for each in batch]


async def raw(name: str) -> bytes:
    return b"".join([piece async for piece in await objects.get(name)])


async def one(tenant: Tenant, sql: str, *args) -> asyncpg.Record:
    async with db.transaction(tenant.system) as tx:
        return (await tx.fetch(sql, *args))[0]


class TestAttach:
    async def test_gives_back_what_was_sent_and_stores_it_unreadable(self, store, tenant, lead, now):
        content = PDF + os.urandom(7_000_000)

        made = await upload(tenant.sales_agent, Where(lead_id=lead), now, content=content)

        assert await read(tenant.sales_agent, made, now) == content
        names = await stored_names()
        assert names == [operations.object_key(tenant.id, made)]
        kept = await raw(names[0])
        assert len(kept) > len(content)
        assert PDF[:20] not in kept

    async def test_leaves_row_activity_event_and_audit(self, store, tenant, lead, now):
        made = await upload(tenant.sales_agent, Where(lead_id=lead), now, note="call 0532 123 45 67", name="Ayşe.exe")

        row = await one(tenant, "select * from crm.attachment where id = $1::uuid", made)
        assert (row["name"], row["content_type"], row["size"], row["lead_id"]) == (
            "Ayşe.pdf", "application/pdf", len(PDF), lead,
        )  # fmt: skip
        activity = await one(tenant, "select * from crm.activity where id = $1::uuid", row["activity_id"])
        assert (activity["kind"], activity["lead_id"], activity["note"]) == ("attachment", lead, "call •••")
        event = await one(tenant, "select * from crm.event_log order by id desc limit 1")
        assert (event["event_type"], event["aggregate_id"]) == ("attachment.added", made)
        assert "Ayşe" not in str(event["payload_json"])
        assert (await one(tenant, "select * from crm.audit_log order by id desc limit 1"))["action"] == (
            "attachment.create"
        )

    async def test_hangs_on_an_activity_that_is_there(self, store, tenant, lead, now):
        first = await upload(tenant.sales_agent, Where(lead_id=lead), now)
        activity = (await one(tenant, "select * from crm.attachment where id = $1::uuid", first))["activity_id"]

        await upload(tenant.sales_agent, Where(lead_id=lead, activity_id=activity), now, content=JPEG)
        page = await db.run(tenant.sales_agent, lambda tx: timelines.of_lead(tx, lead))

        shown = next(each for each in map(json.loads, page.items) if each["id"] == str(activity))
        assert [each["content_type"] for each in shown["attachments"]] == ["application/pdf", "image/jpeg"]

    async def test_leaves_nothing_in_the_store_when_it_is_refused(self, store, tenant, lead, now):
        with pytest.raises(NothingToAttachTo):
            await upload(tenant.sales_agent, Where(lead_id=ids.new()), now)
        with pytest.raises(NothingToAttachTo):
            await upload(tenant.sales_agent, Where(lead_id=lead, activity_id=ids.new()), now)
        with pytest.raises(Forbidden):
            await upload(tenant.compliance_auditor, Where(lead_id=lead), now)
        with pytest.raises(TypeNotTaken):
            await upload(tenant.sales_agent, Where(lead_id=lead), now, content=b"MZ" + b"\0" * 100)

        assert await stored_names() == []

    async def test_keeps_to_the_firms_limit(self, store, tenant, lead, now):
        await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, "attachment.largest_bytes", 2048, now=now))

        with pytest.raises(TooLarge):
            await upload(tenant.sales_agent, Where(lead_id=lead), now, content=PDF + b"x" * 2048)
        assert await upload(tenant.sales_agent, Where(lead_id=lead), now)


class TestOpenFile:
    async def test_writes_down_who_opened_it_before_it_is_read(self, store, tenant, lead, now):
        made = await upload(tenant.sales_agent, Where(lead_id=lead), now)

        await db.run(tenant.sales_agent, lambda tx: operations.open_file(tx, made, now=now))

        row = await one(tenant, "select * from crm.audit_log order by id desc limit 1")
        assert (row["action"], row["target_id"], row["actor_user_id"]) == (
            "attachment.open", made, tenant.sales_agent.user_id,
        )  # fmt: skip

    async def test_health_is_for_those_who_may_and_its_name_too(self, store, tenant, lead, now):
        where = Where(lead_id=lead)
        made = await upload(tenant.sales_agent, where, now, content=JPEG, name="before.jpg", kind=Class.health)

        with pytest.raises(Forbidden):
            await read(tenant.sales_agent, made, now)
        assert await read(tenant.admin, made, now) == JPEG
        names = {}
        for actor in (tenant.sales_agent, tenant.admin):
            page = await db.run(actor, lambda tx: queries.page(tx, queries.Wanted(lead_id=lead)))
            timeline = await db.run(actor, lambda tx: timelines.of_lead(tx, lead))
            names[actor] = ["before.jpg" in "".join(each.items) for each in (page, timeline)]
        assert names == {tenant.sales_agent: [False, False], tenant.admin: [True, True]}

    async def test_is_nobodys_who_does_not_see_the_lead(self, store, tenant, other_tenant, lead, now):
        made = await upload(tenant.admin, Where(lead_id=lead), now)
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.lead set owner_id = null where id = $1::uuid", lead)

        for actor in (tenant.sales_agent, other_tenant.admin):
            with pytest.raises(queries.AttachmentNotFound):
                await read(actor, made, now)

    async def test_says_so_when_the_bytes_were_altered_or_are_gone(self, store, tenant, lead, now):
        made = await upload(tenant.sales_agent, Where(lead_id=lead), now)
        name = operations.object_key(tenant.id, made)
        kept = await raw(name)

        async def altered():
            yield kept[:-1] + bytes([kept[-1] ^ 1])

        await objects.put(name, altered())
        with pytest.raises(vault.Unreadable):
            await read(tenant.sales_agent, made, now)
        await objects.delete([name])
        with pytest.raises(objects.ObjectMissing):
            await read(tenant.sales_agent, made, now)


class TestDelete:
    async def test_destroys_object_and_key_and_keeps_that_there_was_one(self, store, tenant, lead, now):
        made = await upload(tenant.sales_agent, Where(lead_id=lead), now)
        copy = await raw(operations.object_key(tenant.id, made))

        await db.run(tenant.admin, lambda tx: operations.delete(tx, made, reason="mistake", now=now))
        job = await one(tenant, "select task_name, args from jobs.procrastinate_jobs order by id desc limit 1")
        assert (job["task_name"], job["args"]["attachment_id"]) == ("attachment.destroy", str(made))
        assert "attachment.destroy" in jobs.TASKS
        for _ in range(2):  # a job may run twice
            await work.destroy(tenant.system, made)

        assert await stored_names() == []
        row = await one(tenant, "select * from crm.attachment where id = $1::uuid", made)
        assert (row["deleted_at"], row["name"], row["deletion_reason"]) == (now, None, "mistake")
        assert await vault.find(tenant.id, [row["key_id"]]) == {}
        assert copy  # whoever kept a copy of the object has bytes without a key

        with pytest.raises(queries.AttachmentNotFound):
            await read(tenant.admin, made, now)

    async def test_wants_the_job_in_the_transaction_of_the_deletion(self, store, tenant, lead, now):
        made = await upload(tenant.sales_agent, Where(lead_id=lead), now)

        async def delete_and_fail(tx):
            await operations.delete(tx, made, reason="mistake", now=now)
            raise errors.Conflict("something else")

        with pytest.raises(errors.Conflict):
            await db.run(tenant.admin, delete_and_fail)
        await work.destroy(tenant.system, made)

        assert await read(tenant.sales_agent, made, now) == PDF


class TestSweep:
    async def test_takes_what_no_row_knows_once_it_is_old(self, store, tenant, other_tenant, lead, now):
        kept = await upload(tenant.sales_agent, Where(lead_id=lead), now)

        async def parts():
            yield b"an upload whose process died before the row was committed"

        orphan = operations.object_key(tenant.id, ids.new())
        foreign = operations.object_key(other_tenant.id, ids.new())
        not_ours = f"attachments/{tenant.id}/readme.txt"
        for name in (orphan, foreign, not_ours):
            await objects.put(name, parts())

        young = await work.sweep_tenant(tenant.id, now=clock.utc_now())
        later = clock.utc_now() + orphans.GRACE + timedelta(minutes=1)
        old = await work.sweep_tenant(tenant.id, now=later)

        assert (young, old) == (0, 1)
        assert set(await stored_names()) == {operations.object_key(tenant.id, kept), foreign, not_ours}

    async def test_takes_deleted_files_whose_job_was_lost(self, store, tenant, lead, now):
        made = await upload(tenant.sales_agent, Where(lead_id=lead), now)
        await db.run(tenant.admin, lambda tx: operations.delete(tx, made, reason="mistake", now=now))

        await work.sweep(datetime.now(UTC) + 2 * orphans.GRACE)

        assert await stored_names() == []


class TestPuttingAway:
    async def test_leaves_to_the_sweep_what_may_have_been_committed(self, store, tenant, lead, now):
        async def lose_the_connection() -> None:
            where = Where(lead_id=lead)
            async with operations.putting_away(tenant.sales_agent, io.BytesIO(PDF), "a.pdf", now=now) as stored:
                await db.run(
                    tenant.sales_agent, lambda tx: operations.attach(tx, stored, where, Class.general, now=now)
                )
                raise ConnectionError("the commit was sent, its answer never came")

        with pytest.raises(ConnectionError):
            await lose_the_connection()
        made = (await one(tenant, "select id from crm.attachment"))["id"]
        await work.sweep_tenant(tenant.id, now=clock.utc_now() + 2 * orphans.GRACE)

        assert await read(tenant.sales_agent, made, now) == PDF

    async def test_leaves_to_the_sweep_what_was_given_up(self, store, tenant, lead, now):
        reached = asyncio.Event()

        async def wait_for_ever() -> None:
            async with operations.putting_away(tenant.sales_agent, io.BytesIO(PDF), "a.pdf", now=now):
                reached.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(wait_for_ever())
        await reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert len(await stored_names()) == 1
        await work.sweep_tenant(tenant.id, now=clock.utc_now() + 2 * orphans.GRACE)
        assert await stored_names() == []

    async def test_says_so_when_the_store_does_not_answer(self, tenant, lead, now, monkeypatch):
        monkeypatch.setenv("SANTRAL_S3_BUCKET", "nowhere")
        monkeypatch.setenv("SANTRAL_S3_ENDPOINT", "http://127.0.0.1:1")
        monkeypatch.setattr(objects, "PATIENCE", timedelta(seconds=1))
        settings.cache_clear()
        objects.forget()

        with pytest.raises(objects.StoreUnavailable):
            await upload(tenant.sales_agent, Where(lead_id=lead), now)

        objects.forget()


def test_every_class_says_what_opening_needs():
    assert set(rules.NEEDED) == set(Class)
