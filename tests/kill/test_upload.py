"""`kill -9` between putting a file away and committing its row: no row without a file, and the file is swept."""

import asyncio
import os
import sys
from datetime import timedelta

import pytest

from crm import clock, db, objects, orphans
from crm.files import work
from crm.leads import intake
from crm.leads.intake import NewLead
from tests.conftest import Tenant

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

UPLOAD = """
import asyncio, io, sys
from uuid import UUID
from crm import clock, db
from crm.actor import Actor
from crm.files import operations
from crm.files.operations import Where
from crm.files.rules import Class

async def upload(tenant_id, lead_id):
    actor = Actor.system(tenant_id)
    async with operations.putting_away(actor, io.BytesIO(b"%PDF-1.7 findings"), "a.pdf", now=clock.utc_now()) as stored:
        async with db.transaction(actor) as tx:
            await operations.attach(tx, stored, Where(lead_id=lead_id), Class.health, now=clock.utc_now())
            print("attached, not committed", flush=True)
            await asyncio.sleep(60)

asyncio.run(upload(*map(UUID, sys.argv[1:])))
"""


async def test_a_death_before_the_commit_leaves_an_object_for_the_sweep_and_no_row(tenant: Tenant) -> None:
    objects.forget()
    new = NewLead("api", phone="0532 123 45 67")
    lead = await db.run(tenant.system, lambda tx: intake.create(tx, new, now=clock.utc_now()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UPLOAD, str(tenant.id), str(lead.lead_id), env=os.environ, stdout=asyncio.subprocess.PIPE
    )

    async with asyncio.timeout(60):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"attached, not committed\n"
    process.kill()
    await process.wait()

    async with db.transaction(tenant.system) as tx:
        assert await tx.fetch("select 1 from crm.attachment") == []
        assert await tx.fetch("select 1 from crm.activity where kind = 'attachment'") == []
    assert len(await names()) == 1
    await work.sweep(clock.utc_now())
    assert len(await names()) == 1, "an upload whose row is about to be committed is left alone"
    await work.sweep(clock.utc_now() + orphans.GRACE + timedelta(minutes=1))
    assert await names() == []


async def names() -> list[str]:
    return [each.name async for batch in objects.listing("attachments") for each in batch]
