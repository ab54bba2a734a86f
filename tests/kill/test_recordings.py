"""`kill -9` while recordings are fetched: what was stored is not stored again, and what was not is still there."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from crm import clock, db, objects, orphans
from crm.recordings import spool as spools
from crm.recordings import work
from tests.conftest import Tenant
from tests.crm.calls.factory import make_call
from tests.crm.recordings.conftest import sound, spool  # noqa: F401 - a fixture
from tests.crm.recordings.test_spool import in_store, leave, opened, stored

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

SWEEP = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from crm import clock
from crm.actor import Actor
from crm.recordings import spool, storing

place, at = sys.argv[3], int(sys.argv[4])
count = 0
real = {"keep": storing.keep, "put": storing.objects.put, "unlink": Path.unlink}

async def here(name):
    global count
    if name == place:
        count += 1
        if count == at:
            print("here", flush=True)
            await asyncio.sleep(60)

async def keep(*args, **kwargs):
    await here("before the row")
    return await real["keep"](*args, **kwargs)

async def put(*args, **kwargs):
    await here("before the object")
    return await real["put"](*args, **kwargs)

def unlink(path, **kwargs):
    global count
    if place == "before the file goes":
        count += 1
        if count == at:
            print("here", flush=True)
            import time
            time.sleep(60)
    return real["unlink"](path, **kwargs)

storing.keep, storing.objects.put, Path.unlink = keep, put, unlink
asyncio.run(spool.sweep(Actor.system(UUID(sys.argv[1])), Path(sys.argv[2]), now=clock.utc_now()))
"""


@pytest.mark.parametrize("place", ["before the object", "before the row", "before the file goes"])
async def test_nothing_is_lost_and_nothing_doubled(tenant: Tenant, spool: Path, place: str) -> None:  # noqa: F811
    objects.forget()
    now = clock.utc_now()
    contents = {await make_call(tenant, now): sound(1.0, loudness=n) for n in range(1, 7)}
    for call_id, content in contents.items():
        leave(spool, call_id, content, now)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SWEEP, str(tenant.id), str(spool), place, "3", env=os.environ,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"here\n"
    process.kill()
    await process.wait()
    assert 0 < len(list(spool.iterdir())) < len(contents), "the kill came into the middle"

    await spools.sweep(tenant.system, spool, now=now)

    rows = await stored(tenant)
    assert {row["call_id"]: await opened(tenant, row) for row in rows} == contents
    assert len(rows) == len(contents)
    assert list(spool.iterdir()) == []
    await orphans.sweep(tenant.id, "recordings", work.KNOWN, now=now + orphans.GRACE + timedelta(minutes=1))
    assert sorted(await in_store(tenant)) == sorted(row["object_key"] for row in rows)
    async with db.transaction(tenant.system) as tx:
        told = await tx.fetchval("select count(*) from crm.event_log where event_type = 'recording.stored'")
    assert told == len(contents)
