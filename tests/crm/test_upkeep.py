"""What the product does by itself: seen without doing it, asked for without doing it twice."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from cli import worker
from crm import db, ids, jobs, upkeep
from orchestration.defs.operations.upkeep import asset_of


@pytest.fixture(autouse=True)
def own_queue():
    """The queue is made from the settings of the test's database."""
    jobs.app.cache_clear()
    yield
    jobs.app.cache_clear()


@pytest.fixture
async def old_request(tenant, now):
    """A request of two months ago, which retention deletes."""
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            """insert into crm.request_log (tenant_id, at, route, method, status_code, duration_ms)
               values ($1::uuid, $2::timestamptz, '/leads', 'GET', 200, 1)""",
            tenant.id, now - timedelta(days=60),
        )  # fmt: skip


async def work_off():
    """Let a worker do what waits."""
    queue = jobs.workshop()
    async with queue.open_async():
        await queue.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


class TestEvery:
    def test_is_done_by_a_job_that_the_worker_knows_and_schedules(self):
        assert worker.SCHEDULED
        assert [which.task for which in upkeep.EVERY if jobs.TASKS[which.task].schedule is None] == []

    async def test_can_be_looked_at(self, tenant, now):
        for which in upkeep.EVERY:
            found = await upkeep.report(which, now=now)

            assert set(found.due) == set(which.due)
            assert found.is_late(which, now=now), "no worker has ever worked"
            young = replace(found, since=now - which.every)
            assert not young.is_late(which, now=now), "its first turn is still to come"
            assert young.is_late(which, now=now + 3 * which.every)


class TestAskFor:
    async def test_the_worker_does_it_once_and_the_report_says_so(self, tenant, now, old_request, monkeypatch):
        which = upkeep.named("retention")
        only = jobs.Task(jobs.TASKS[which.task].work, "0 0 1 1 *")
        monkeypatch.setattr(jobs, "TASKS", {which.task: only})
        before = await upkeep.report(which, now=now)

        asked = [await upkeep.ask_for(which, now=now) for _ in range(2)]
        waiting = await upkeep.report(which, now=now)
        await work_off()
        after = await upkeep.report(which, now=now)

        assert (before.due["requests"], waiting.due["requests"], after.due["requests"]) == (1, 1, 0)
        assert asked == [True, False], "a turn that waits is not asked for again"
        assert (before.is_waiting, waiting.is_waiting, after.is_waiting) == (False, True, False)
        assert after.done_at is not None

    def test_unknown_ones_are_refused(self):
        with pytest.raises(upkeep.Unknown):
            upkeep.named(str(ids.new()))


class TestAsset:
    async def test_looks_and_changes_nothing_unless_it_is_launched(self, tenant, now, old_request):
        async def run(launch: bool):
            await db.close()
            config = {"ops": {"operations__retention": {"config": {"launch": launch}}}}
            result = await asyncio.to_thread(
                dg.materialize, [asset_of(which) for which in upkeep.EVERY], run_config=config,
                instance=dg.DagsterInstance.ephemeral(),
            )  # fmt: skip
            assert {one.check_name for one in result.get_asset_check_evaluations()} == {"is_done_in_time"}
            return {
                event.asset_key.path[-1]: {name: entry.value for name, entry in event.materialization.metadata.items()}
                for event in result.get_asset_materialization_events()
            }

        looks, launches = await run(False), await run(True)

        for which in upkeep.EVERY:
            assert {f"due: {what}" for what in which.due} < set(looks[which.name]), "a dry run"
            assert looks[which.name]["last done"] == "never"
        assert [name for name, told in launches.items() if told["asked for now"]] == ["retention"]
        looked, launched = looks["retention"], launches["retention"]
        assert (looked["due: requests"], looked["asked for now"], looked["waiting or running"]) == (1, False, False)
        assert (launched["due: requests"], launched["asked for now"], launched["waiting or running"]) == (1, True, True)
