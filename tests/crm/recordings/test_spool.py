"""From the exchange's folder into the store: once, whole, and nothing lost, whoever dies or is slow."""

import asyncio
import os
from datetime import timedelta
from uuid import UUID

import pytest

from crm import db, ids, objects, vault
from crm.calls import keeping
from crm.recordings import spool as spools
from crm.recordings import storing
from tests.crm.calls.factory import make_call, make_lead
from tests.crm.recordings.conftest import sound


def leave(folder, name, content, now, *, ago=timedelta(minutes=1)):
    """Leave a file as the exchange does, written so long ago."""
    path = folder / f"{name}.wav"
    path.write_bytes(content)
    written = (now - ago).timestamp()
    os.utime(path, (written, written))
    return path


async def sweep(tenant, folder, now):
    done = await spools.sweep(tenant.system, folder, now=now)
    return done.stored, done.waiting, done.unreadable


async def stored(tenant):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch("select * from crm.recording order by id")


async def in_store(tenant):
    return [each.name async for batch in objects.listing(f"recordings/{tenant.id}") for each in batch]


async def opened(tenant, row):
    """The bytes of a recording as they were."""
    key = (await vault.find(tenant.id, [row["key_id"]]))[row["key_id"]]
    return b"".join([piece async for piece in vault.open_stream(key, await objects.get(row["object_key"]))])


class TestSweep:
    async def test_stores_sealed_and_deletes_what_belongs_to_a_call(self, tenant, spool, store, now):
        lead_id, contact_id = await make_lead(tenant, now)
        call_id = await make_call(tenant, now, lead_id=lead_id, contact_id=contact_id)
        content = sound(2.0)
        leave(spool, call_id, content, now)

        assert await sweep(tenant, spool, now) == (1, 0, 0)

        [row] = await stored(tenant)
        assert (row["call_id"], row["contact_id"], row["duration_s"]) == (call_id, contact_id, 2.0)
        assert (row["size"], row["retention"]) == (len(content), "standard")
        assert row["delete_after"] == now - timedelta(minutes=2) + timedelta(days=180)
        assert await opened(tenant, row) == content
        sealed = b"".join([piece async for piece in await objects.get(row["object_key"])])
        assert content[100:160] not in sealed
        assert list(spool.iterdir()) == []
        assert str(call_id) not in row["object_key"]

    async def test_again_finds_nothing_to_do(self, tenant, spool, now):
        call_id = await make_call(tenant, now)
        leave(spool, call_id, sound(), now)
        await sweep(tenant, spool, now)

        assert await sweep(tenant, spool, now) == (0, 0, 0)
        assert len(await stored(tenant)) == 1

    async def test_what_was_stored_before_a_death_is_known_and_only_deleted(self, tenant, spool, now):
        call_id = await make_call(tenant, now)
        leave(spool, call_id, sound(), now)
        await sweep(tenant, spool, now)
        left = leave(spool, call_id, sound(), now)

        assert await sweep(tenant, spool, now) == (0, 0, 0)

        assert not left.exists()
        assert len(await in_store(tenant)) == len(await stored(tenant)) == 1

    async def test_another_sound_of_the_same_call_is_another_recording(self, tenant, spool, now):
        call_id = await make_call(tenant, now)
        for loudness in (1, 2):
            leave(spool, call_id, sound(loudness=loudness), now)
            await sweep(tenant, spool, now)

        assert [row["call_id"] for row in await stored(tenant)] == [call_id, call_id]

    async def test_a_call_of_the_exchanges_own_name_is_found(self, tenant, spool, now):
        call_id = await make_call(tenant, now, id=keeping.call_id_of(tenant.id, "1772530000.42"), direction="inbound")
        leave(spool, "1772530000.42", sound(), now)

        await sweep(tenant, spool, now)

        assert [row["call_id"] for row in await stored(tenant)] == [call_id]

    async def test_waits_for_a_call_that_goes_on_and_for_one_that_is_not_known_yet(self, tenant, spool, now):
        going_on = await make_call(tenant, now, ended_at=None, status="connected")
        for name in (going_on, ids.new()):
            leave(spool, name, sound(), now)

        assert await sweep(tenant, spool, now) == (0, 2, 0)
        assert len(list(spool.iterdir())) == 2

    async def test_leaves_alone_what_is_being_written(self, tenant, spool, now):
        leave(spool, await make_call(tenant, now), sound(), now, ago=timedelta(seconds=2))

        assert await sweep(tenant, spool, now) == (0, 0, 0)
        assert await sweep(tenant, spool, now + timedelta(seconds=4)) == (1, 0, 0)

    async def test_sets_aside_what_is_no_recording(self, tenant, spool, now):
        call_id = await make_call(tenant, now)
        leave(spool, call_id, b"<html>", now)

        assert await sweep(tenant, spool, now) == (0, 0, 1)
        assert await sweep(tenant, spool, now) == (0, 0, 0)
        assert [path.name for path in spool.iterdir()] == [f"{call_id}.wav.unreadable"]

    async def test_another_firms_call_is_not_known_here(self, tenant, other_tenant, spool, now):
        leave(spool, await make_call(other_tenant, now), sound(), now)

        assert await sweep(tenant, spool, now) == (0, 1, 0)

    async def test_two_sweeps_at_once_store_once(self, tenant, spool, now):
        calls = [await make_call(tenant, now) for _ in range(5)]
        for call_id in calls:
            leave(spool, call_id, sound(), now)

        done = await asyncio.gather(*(sweep(tenant, spool, now) for _ in range(3)))

        assert sum(each[0] for each in done) == 5
        rows = await stored(tenant)
        assert sorted(row["call_id"] for row in rows) == sorted(calls)
        assert sorted(await in_store(tenant)) == sorted(row["object_key"] for row in rows)
        assert list(spool.iterdir()) == []

    async def test_a_store_that_does_not_answer_leaves_the_file(self, tenant, spool, now, monkeypatch):
        call_id = await make_call(tenant, now)
        path = leave(spool, call_id, sound(), now)

        async def down(name, parts):
            raise objects.StoreUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(objects, "put", down)
            with pytest.raises(objects.StoreUnavailable):
                await sweep(tenant, spool, now)

        assert path.exists()
        assert await sweep(tenant, spool, now) == (1, 0, 0)

    async def test_a_folder_that_is_not_there_holds_nothing(self, tenant, spool, now):
        assert await sweep(tenant, spool / "nowhere", now) == (0, 0, 0)


class TestObjectKey:
    def test_is_made_of_ids(self):
        tenant_id, recording_id = UUID(int=1), UUID(int=2)

        assert storing.object_key(tenant_id, recording_id) == f"recordings/{tenant_id}/{recording_id}"
