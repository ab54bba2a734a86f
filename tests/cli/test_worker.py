"""The worker as a process: leads are given out while it lives, and what waited while it was dead."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from crm import db
from crm.leads import intake
from crm.leads.intake import NewLead

SANTRAL = Path(sys.executable).parent / "santral"


@asynccontextmanager
async def worker():
    """Run `santral worker` on the test's database."""
    process = subprocess.Popen([SANTRAL, "worker"], env=os.environ, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def arrive(tenant, how_many, now):
    for _ in range(how_many):
        await db.run(tenant.system, lambda tx: intake.create(tx, NewLead(source="api"), now=now))


async def given(tenant, how_many, *, within=60):
    """Wait until so many leads are given out."""
    async with asyncio.timeout(within):
        while True:
            async with db.transaction(tenant.system) as tx:
                if await tx.fetchval("select count(*) from crm.lead where owner_id is not null") == how_many:
                    return
            await asyncio.sleep(0.05)


async def beats(tenant, *, within=60):
    """Wait until a worker's heart beats in the job queue, as the supervisor asks."""
    async with asyncio.timeout(within):
        while True:
            async with db.transaction(tenant.system) as tx:
                if await tx.fetchval("select exists (select from jobs.procrastinate_workers)"):
                    return
            await asyncio.sleep(0.05)


class TestWorker:
    async def test_gives_out_what_waited_and_what_comes(self, tenant, now):
        await arrive(tenant, 3, now)

        async with worker():
            await given(tenant, 3)
            await arrive(tenant, 2, now)
            await given(tenant, 5)

    async def test_leaves_cleanly_when_told(self, tenant, now):
        async with worker() as process:
            await beats(tenant)
            process.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(asyncio.to_thread(process.wait), 15)

        assert code == 0
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from jobs.procrastinate_workers") == 0

    async def test_the_next_one_finds_what_a_killed_one_left(self, tenant, now):
        async with worker() as process:
            await arrive(tenant, 1, now)
            await given(tenant, 1)
            process.kill()
        await arrive(tenant, 4, now)

        async with worker():
            await given(tenant, 5)
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.routing_decision") == 5
