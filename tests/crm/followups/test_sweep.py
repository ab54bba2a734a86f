"""What is sold or undone by another door than the sale's: its check-ins come and go all the same, once."""

import asyncio
import signal
import subprocess
import sys

import pytest

from crm.events.log import Event
from crm.followups import operations, sweep
from crm.followups.chore import FollowUps
from crm.leads import operations as leads
from crm.leads.rules import Status
from tests.crm.followups.test_operations import DAY, DUE, pending, sold
from tests.crm.leads.test_operations import do, events_of, make_lead, rows


async def won(tenant, now, **fields):
    """Return a lead whose procedure has a day and which a plain change of status won."""
    lead = await make_lead(tenant, now)
    await do(
        tenant.admin, operations.plan_procedure, lead, procedure_type="hair", takes_place_on=DAY, now=now
    )  # fmt: skip
    await do(tenant.admin, leads.change_status, lead, Status.won, now=now, **fields)
    return lead


async def scheduled(tenant, lead):
    return [kind for kind, _ in await events_of(tenant, lead)].count("check_in.scheduled")


class TestScheduleMissing:
    async def test_makes_up_for_the_other_door(self, tenant, now):
        lead = await won(tenant, now)
        assert await pending(tenant) == []

        assert await do(tenant.system, sweep.schedule_missing, now=now) == 1

        assert await pending(tenant) == DUE
        assert await scheduled(tenant, lead) == 4

    async def test_many_workers_schedule_each_once(self, tenant, now):
        found = [await won(tenant, now) for _ in range(5)]

        await asyncio.gather(*(FollowUps(lambda: now).work(tenant.id) for _ in range(4)))
        await FollowUps(lambda: now).work(tenant.id)

        assert await pending(tenant) == sorted(DUE * 5)
        assert [await scheduled(tenant, lead) for lead in found] == [4] * 5

    async def test_leaves_alone_what_is_scheduled_not_won_or_of_no_day(self, tenant, now):
        done, undated = await sold(tenant, now, takes_place_on=DAY), await sold(tenant, now)
        open_ = await won(tenant, now)
        await do(tenant.admin, leads.change_status, open_, Status.lost, reason="cancelled", now=now)

        assert await do(tenant.system, sweep.schedule_missing, now=now) == 0

        assert [await scheduled(tenant, each) for each in (done, undated, open_)] == [4, 0, 0]

    async def test_a_plan_that_asks_for_nothing_is_asked_once(self, tenant, now):
        lead = await won(tenant, now)
        late = DUE[-1].replace(year=2028)

        assert await do(tenant.system, sweep.schedule_missing, now=late) == 1
        assert await do(tenant.system, sweep.schedule_missing, now=late) == 0

        assert await scheduled(tenant, lead) == 0

    async def test_one_that_fails_in_the_middle_leaves_nothing_half(self, tenant, now):
        lead = await won(tenant, now)

        async def cut_off(tx):
            await sweep.schedule_missing(tx, now=now)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await do(tenant.system, lambda tx: cut_off(tx))
        assert await pending(tenant) == []
        await FollowUps(lambda: now).work(tenant.id)

        assert (await pending(tenant), await scheduled(tenant, lead)) == (DUE, 4)


KILLED = """
import asyncio, os, signal
from datetime import datetime
from uuid import UUID
from crm import db
from crm.actor import Actor
from crm.followups import {module} as work

async def main():
    async with db.transaction(Actor.system(UUID("{tenant}"))) as tx:
        await work.{call}
        print("done", flush=True)
        {end}

asyncio.run(main())
"""


class TestKilled:
    @pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "pass"])
    async def test_a_kill_before_the_commit_leaves_it_to_the_next(self, tenant, now, end):
        """A process is killed after it has scheduled and before it commits; control: not killed, nothing is left."""
        lead = await won(tenant, now)
        call = f"schedule_missing(tx, now=datetime.fromisoformat('{now.isoformat()}'))"
        program = KILLED.format(module="sweep", tenant=tenant.id, call=call, end=end)

        process = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
        assert process.stdout.strip() == "done", process.stderr
        is_killed = process.returncode == -signal.SIGKILL
        assert is_killed == ("kill" in end)
        assert len(await pending(tenant)) == (0 if is_killed else 4)
        await _until_free(tenant, lead)
        await FollowUps(lambda: now).work(tenant.id)

        assert (await pending(tenant), await scheduled(tenant, lead)) == (DUE, 4)


async def _until_free(tenant, lead):
    """Wait until the server has noticed that the process is gone."""
    await rows(tenant, "select id from crm.lead where id = $1::uuid for update", lead)


def _event(tenant, payload, now):
    return Event(
        tenant.id, 1, 1, "lead", tenant.id, "lead.status_changed", payload, now, now, None, None
    )  # fmt: skip


class TestHear:
    @pytest.mark.parametrize(
        ("payload", "is_wanted"),
        [
            ({"from": "new", "to": "won"}, True),
            ({"from": "won", "to": "lost"}, True),
            ({"from": "new", "to": "lost"}, False),
        ],
    )
    def test_comes_when_a_lead_is_won_or_is_won_no_more(self, tenant, now, payload, is_wanted):
        chore, heard = FollowUps(lambda: now), []
        chore.want = heard.append

        chore.hear(_event(tenant, payload, now))

        assert heard == ([tenant.id] if is_wanted else [])
