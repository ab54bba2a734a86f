"""Recordings in use: links that play once, holds, and the end of their time."""

import asyncio
from datetime import timedelta

import pytest

from crm import clock, codes, db, objects, orphans, tenant_settings, vault
from crm.actor import Forbidden
from crm.recordings import links, operations, spool, work
from crm.recordings.links import BadLink, LinkUsed
from crm.recordings.operations import RecordingNotFound
from tests.crm.agents import floor
from tests.crm.calls.factory import make_call, make_lead
from tests.crm.recordings.conftest import sound
from tests.crm.recordings.test_spool import in_store, leave, stored

CONTENT = sound(30.0)
"""Some eight pieces of a sealed stream."""


async def record(tenant, folder, now, *, agent=None, content=CONTENT, **of):
    """Store the recording of a call (default: of the firm's agent) and return the call's id and its own."""
    call_id = await make_call(tenant, now, agent=agent or tenant.sales_agent, **of)
    leave(folder, call_id, content, now)
    await spool.sweep(tenant.system, folder, now=now)
    [row] = [row for row in await stored(tenant) if row["call_id"] == call_id]
    return call_id, row["id"]


async def link(actor, call_id, recording_id, now, reason="quality"):
    return await db.run(actor, lambda tx: operations.link(tx, call_id, recording_id, reason=reason, now=now))


async def use(actor, token, recording_id, now):
    _, link_id = links.read(token)
    return await db.run(actor, lambda tx: operations.use(tx, link_id, recording_id, now=now))


async def heard(opened, **span):
    return b"".join([piece async for piece in await operations.content(opened, **span)])


async def ask(tenant, question):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(question)


class TestLink:
    async def test_plays_once(self, tenant, spool, store, now):
        call_id, recording_id = await record(tenant, spool, now)
        manager = tenant.sales_manager

        token, until = await link(manager, call_id, recording_id, now)
        opened = await use(manager, token, recording_id, now + timedelta(seconds=59))

        assert until == now + timedelta(seconds=60)
        assert await heard(opened) == CONTENT
        with pytest.raises(LinkUsed):
            await use(manager, token, recording_id, now + timedelta(seconds=59))
        actions = [row["action"] for row in await ask(tenant, "select action from crm.audit_log order by id")]
        assert actions[-2:] == ["recording.link", "recording.play"]

    async def test_is_good_for_a_minute(self, tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)
        token, until = await link(tenant.sales_manager, call_id, recording_id, now)

        with pytest.raises(LinkUsed):
            await use(tenant.sales_manager, token, recording_id, until)

    async def test_of_ten_who_use_it_at_once_one_listens(self, tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)
        token, _ = await link(tenant.sales_manager, call_id, recording_id, now)

        done = await asyncio.gather(
            *(use(tenant.sales_manager, token, recording_id, now) for _ in range(10)), return_exceptions=True
        )

        assert sorted(type(each).__name__ for each in done) == ["LinkUsed"] * 9 + ["Opened"]

    async def test_plays_no_other_recording_and_is_not_used_up_by_trying(self, tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)
        _, other_id = await record(tenant, spool, now)
        token, _ = await link(tenant.sales_manager, call_id, recording_id, now)

        with pytest.raises(BadLink):
            await use(tenant.sales_manager, token, other_id, now)
        await use(tenant.sales_manager, token, recording_id, now)

    async def test_is_for_those_who_may_listen_and_see_the_call(self, tenant, other_tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)

        with pytest.raises(Forbidden):
            await link(tenant.sales_agent, call_id, recording_id, now)
        with pytest.raises(RecordingNotFound):
            await link(other_tenant.admin, call_id, recording_id, now)
        with pytest.raises(RecordingNotFound):
            await link(tenant.admin, recording_id, recording_id, now)

    async def test_asks_for_a_reason_that_is_a_code(self, tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)

        with pytest.raises(codes.NotACode):
            await link(tenant.admin, call_id, recording_id, now, reason="Ayşe şikayet etti")

    async def test_is_forgotten_when_its_minute_is_long_over(self, tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)
        await link(tenant.admin, call_id, recording_id, now)

        await work.expire(now + work.LINKS + timedelta(hours=1))

        assert await ask(tenant, "select from crm.recording_link") == []


class TestToken:
    @pytest.mark.parametrize(
        "spoil", [lambda t: t[:-1], lambda t: t + "A", lambda t: "A" + t[1:], lambda t: "", str.swapcase]
    )
    async def test_is_not_to_be_made_up(self, tenant, spoil):
        token = links.sign(tenant.id, tenant.team_id)

        assert links.read(token) == (tenant.id, tenant.team_id)
        with pytest.raises(BadLink):
            links.read(spoil(token))


class TestContent:
    @pytest.mark.parametrize(
        ("first", "last"),
        [
            (0, 0),
            (0, 43),
            (44, None),
            (65_535, 65_536),
            (65_536, 131_071),
            (200_000, 300_000),
            (len(CONTENT) - 1, None),
        ],
    )
    async def test_gives_any_part(self, tenant, spool, now, first, last):
        call_id, recording_id = await record(tenant, spool, now)
        token, _ = await link(tenant.admin, call_id, recording_id, now)
        opened = await use(tenant.admin, token, recording_id, now)

        assert await heard(opened, first=first, last=last) == CONTENT[first : None if last is None else last + 1]


class TestExpire:
    async def test_destroys_what_is_kept_no_longer_with_its_key(self, tenant, spool, store, now):
        call_id, recording_id = await record(tenant, spool, now)
        [before] = await stored(tenant)
        due = now + timedelta(days=180)

        await work.expire(now + timedelta(days=179))
        assert len(await in_store(tenant)) == 1
        await work.expire(due)
        await work.destroy(tenant.system, recording_id=recording_id)
        await work.destroy(tenant.system, recording_id=recording_id)

        [row] = await stored(tenant)
        assert (row["deleted_at"], row["deletion_reason"]) == (due, "retention")
        assert await in_store(tenant) == []
        assert await vault.find(tenant.id, [before["key_id"]]) == {}
        with pytest.raises(RecordingNotFound):
            await link(tenant.admin, call_id, recording_id, due)

    async def test_leaves_what_is_held_until_it_is_released(self, tenant, spool, now):
        call_id, recording_id = await record(tenant, spool, now)
        admin, late = tenant.admin, now + timedelta(days=400)

        await db.run(admin, lambda tx: operations.hold(tx, call_id, recording_id, reason="lawsuit", now=now))
        await db.run(admin, lambda tx: operations.hold(tx, call_id, recording_id, reason="lawsuit", now=now))
        await work.expire(late)
        assert (await stored(tenant))[0]["deleted_at"] is None
        await db.run(admin, lambda tx: operations.release(tx, call_id, recording_id, reason="closed", now=late))
        await work.expire(late)

        assert (await stored(tenant))[0]["deleted_at"] == late
        events = await ask(
            tenant, "select event_type from crm.event_log where aggregate_type = 'recording' order by id"
        )
        assert [row["event_type"] for row in events] == [
            "recording.stored", "recording.held", "recording.released", "recording.deleted",
        ]  # fmt: skip

    async def test_days_go_by_what_the_firm_had_set_when_the_call_was(self, tenant, spool, now):
        wanted = {"days": {"standard": 30, "sale": 1000}, "by_purpose": {"callback": "sale"}}
        await db.run(
            tenant.admin,
            lambda tx: tenant_settings.change(tx, "recording.retention", wanted, now=now - timedelta(hours=1)),
        )

        for purpose in ("click", "callback"):
            await record(tenant, spool, now, purpose=purpose)

        began = now - timedelta(minutes=2)
        kept = {row["retention"]: row["delete_after"] - began for row in await stored(tenant)}
        assert kept == {"standard": timedelta(days=30), "sale": timedelta(days=1000)}

    async def test_an_object_that_no_row_knows_is_swept(self, tenant, spool, now):
        _, recording_id = await record(tenant, spool, now)

        async def nothing():
            yield b"lost"

        await objects.put(f"recordings/{tenant.id}/{tenant.team_id}", nothing())
        await orphans.sweep(tenant.id, "recordings", work.KNOWN, now=clock.utc_now())
        assert len(await in_store(tenant)) == 2, "one that is young may be about to get its row"

        await orphans.sweep(tenant.id, "recordings", work.KNOWN, now=clock.utc_now() + timedelta(hours=2))

        assert await in_store(tenant) == [f"recordings/{tenant.id}/{recording_id}"]


class TestSight:
    async def test_an_agents_recordings_are_their_teams_too(self, tenant, spool, now):
        [other] = await floor.hire(tenant, 1, now)
        lead_id, contact_id = await make_lead(tenant, now, other)
        call_id, recording_id = await record(tenant, spool, now, agent=other, lead_id=lead_id, contact_id=contact_id)

        token, _ = await link(tenant.sales_manager, call_id, recording_id, now)

        assert (await use(tenant.sales_manager, token, recording_id, now)).size == len(CONTENT)
