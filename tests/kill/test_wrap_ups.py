"""`kill -9` while wrap-ups are ended: each is ended once, and no agent is left writing up what is over."""

import asyncio
import os
import sys
from datetime import timedelta

import pytest

from crm import clock
from crm.calls.chore import WrapUps
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.calls.factory import call, make_wrapping, told

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

FORCE = """
import asyncio, sys
from uuid import UUID
from crm import clock, db
from crm.actor import Actor
from crm.calls import dispositions

async def force(tenant_id, commits):
    async with db.transaction(Actor.system(tenant_id)) as tx:
        assert await dispositions.force_due(tx, now=clock.utc_now()) == 1
        if not commits:
            print("forced, not committed", flush=True)
            await asyncio.sleep(60)
    print("committed", flush=True)
    await asyncio.sleep(60)

asyncio.run(force(UUID(sys.argv[1]), sys.argv[2] == "after"))
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_each_is_ended_once(tenant: Tenant, when: str) -> None:
    ended = clock.utc_now() - timedelta(minutes=5)
    agent = await floor.signed_on(tenant, ended - timedelta(minutes=1))
    for to in (floor.State.reserved, floor.State.on_call):
        await floor.move(tenant, agent, to, ended)
    call_id = await make_wrapping(tenant, ended, agent=agent)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORCE, str(tenant.id), when, env=os.environ, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        assert process.stdout is not None
        assert b"committed" in await process.stdout.readline()
    process.kill()
    await process.wait()

    chore = WrapUps(clock.utc_now)
    await chore.work(tenant.id)

    stored = await call(tenant, call_id)
    assert (stored["status"], stored["disposition"], stored["is_disposition_forced"]) == ("dispositioned", "none", True)
    assert stored["wrap_ended_at"] == stored["wrap_until"]
    assert [event for event, _ in await told(tenant, call_id)] == ["call.wrap_up", "call.dispositioned"]
    assert await floor.standing(tenant, agent) == ("available", None)
