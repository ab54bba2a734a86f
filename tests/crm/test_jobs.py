"""Jobs: wanted with the change or not at all, done by a worker, done again when it dies."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest

from crm import db, ids, jobs, retention
from crm.idempotency import Idempotency
from crm.leads import intake
from crm.leads.intake import NewLead


@pytest.fixture(autouse=True)
def own_queue():
    """The queue is made from the settings of the test's database."""
    jobs.app.cache_clear()
    yield
    jobs.app.cache_clear()


@pytest.fixture
def no_other_tasks(monkeypatch):
    """The worker knows no work but the test's: what comes by itself would join in near its hour."""
    monkeypatch.setattr(jobs, "TASKS", {})


async def stored(tenant):
    """Return what stands in the queue; its tables are of no tenant."""
    async with db.transaction(tenant.system) as tx:
        return [dict(row) for row in await tx.fetch("select * from jobs.procrastinate_jobs order by id")]


async def work_until(done, *, within=60):
    """Run a worker until a condition holds."""
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.serve(stop, grace=0.5))
    async with asyncio.timeout(within):
        while not await done():
            assert not worker.done(), worker
            await asyncio.sleep(0.05)
    stop.set()
    await worker


class TestDefer:
    async def test_a_job_comes_with_the_commit(self, tenant):
        lead = ids.new()
        async with db.transaction(tenant.system) as tx:
            job_id = await jobs.defer(tx, "test.touch", lead_id=lead)
            assert await stored(tenant) == []

        [job] = await stored(tenant)
        assert (job["id"], job["task_name"], job["status"]) == (job_id, "test.touch", "todo")
        assert job["args"] == {
            "tenant_id": str(tenant.id), "trace_id": str(tx.actor.trace_id), "lead_id": str(lead),
        }  # fmt: skip

    async def test_a_rollback_takes_it_along(self, tenant):
        async def fails(tx):
            await jobs.defer(tx, "test.touch", lead_id=ids.new())
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await db.run(tenant.system, fails)

        assert await stored(tenant) == []

    async def test_takes_a_lock_and_an_instant(self, tenant, now):
        async with db.transaction(tenant.system) as tx:
            await jobs.defer(tx, "test.touch", lock="one", at=now, lead_id=ids.new())

        [job] = await stored(tenant)
        assert (job["lock"], job["scheduled_at"]) == ("one", now)

    async def test_refuses_what_is_no_id(self, tenant):
        async with db.transaction(tenant.system) as tx:
            with pytest.raises(TypeError, match="phone"):
                await jobs.defer(tx, "test.touch", phone="+905321234567")

    async def test_notifies_nobody(self, tenant):
        async with db.transaction(tenant.system) as tx:
            enabled = await tx.fetchval(
                "select count(*) from pg_trigger where tgrelid = 'jobs.procrastinate_jobs'::regclass"
                " and tgname like '%notify%' and tgenabled <> 'D'"
            )
        assert enabled == 0


@pytest.mark.usefixtures("no_other_tasks")
class TestServe:
    async def test_does_what_was_wanted_under_the_same_trace(self, tenant, monkeypatch):
        done, lead = [], ids.new()

        async def touch(actor, *, lead_id):
            done.append((actor.tenant_id, actor.trace_id, actor.is_system, lead_id))

        monkeypatch.setitem(jobs.TASKS, "test.touch", jobs.Task(touch))
        async with db.transaction(tenant.system) as tx:
            await jobs.defer(tx, "test.touch", lead_id=lead)

        async def is_done():
            return [job["status"] for job in await stored(tenant)] == ["succeeded"]

        await work_until(is_done)
        assert done == [(tenant.id, tx.actor.trace_id, True, lead)]

    async def test_plans_what_fails_for_later(self, tenant, monkeypatch, now):
        async def fails(actor):
            raise RuntimeError

        monkeypatch.setitem(jobs.TASKS, "test.fails", jobs.Task(fails))
        async with db.transaction(tenant.system) as tx:
            await jobs.defer(tx, "test.fails")

        async def is_planned():
            [job] = await stored(tenant)
            return job["attempts"] == 1 and job["status"] == "todo"

        await work_until(is_planned)
        [job] = await stored(tenant)
        assert job["scheduled_at"] is not None


WORKER = textwrap.dedent("""
    import asyncio, sys
    from crm import jobs

    @jobs.task("test.slow")
    async def slow(actor, *, lead_id):
        print("begun", flush=True)
        await asyncio.sleep(600)

    asyncio.run(jobs.serve(asyncio.Event()))
""")


@pytest.mark.usefixtures("no_other_tasks")
class TestRescue:
    async def test_the_job_of_a_killed_worker_is_run_again(self, tenant, monkeypatch):
        lead, done = ids.new(), []
        async with db.transaction(tenant.system) as tx:
            await jobs.defer(tx, "test.slow", lead_id=lead)
        doomed = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, env=os.environ, text=True)
        await asyncio.wait_for(asyncio.to_thread(doomed.stdout.readline), 30)
        doomed.send_signal(signal.SIGKILL)
        doomed.wait()
        doomed.stdout.close()

        async def slow(actor, *, lead_id):
            done.append(lead_id)

        monkeypatch.setitem(jobs.TASKS, "test.slow", jobs.Task(slow))
        monkeypatch.setattr(jobs, "HEARTBEAT", 0.2)
        monkeypatch.setattr(jobs, "DEAD_AFTER", 1.5)

        async def is_done():
            return bool(done)

        await work_until(is_done)
        [job] = await stored(tenant)
        assert done == [lead]
        assert (job["status"], job["attempts"]) == ("succeeded", 2)


class TestRetention:
    async def test_forgets_what_is_old_and_keeps_the_rest(self, tenant, now):
        for age in (timedelta(hours=1), timedelta(hours=49)):
            key = Idempotency(str(age), "POST /leads", b"1" * 32)
            await db.run(
                tenant.admin,
                lambda tx, key=key, age=age: intake.create(
                    tx, NewLead(source="api", email="a@example.com"), now=now - age, idempotency=key
                ),
            )

        async with jobs.app().open_async():
            await retention.forget(now)

        async with db.transaction(tenant.system) as tx:
            assert [row["key"] for row in await tx.fetch("select key from crm.idempotency_key")] == ["1:00:00"]

    async def test_its_schedule_is_known_to_the_worker(self, database):
        assert ("retention.forget", "") in jobs.workshop().periodic_registry.periodic_tasks
