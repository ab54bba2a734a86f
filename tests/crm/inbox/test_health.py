"""A source that keeps failing is told of once, left in peace for growing times, and told of again when it is well."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from crm import db, tenant_settings
from crm.inbox import health
from crm.inbox import operations as inbox
from tests.crm.inbox.conftest import receive

HOUR = timedelta(hours=1)


async def told(tenant):
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select event_type, payload_json from crm.event_log where aggregate_type = 'connection'")
    return [(row["event_type"], row["payload_json"]) for row in rows if row["event_type"] != "connection.created"]


async def fail(tenant, meta, now, times=1, **more):
    for n in range(times):
        await db.run(
            tenant.system,
            lambda tx, n=n: health.failed(tx, meta.id, "meta.busy", now=now + timedelta(seconds=n), **more),
        )


async def answer(tenant, meta, now, **more):
    await db.run(tenant.system, lambda tx: health.answered(tx, meta.id, now=now, **more))


async def blocked(tenant, meta, now):
    async with db.transaction(tenant.system) as tx:
        return await health.blocked_until(tx, meta.id, now=now)


class TestFailed:
    async def test_tells_once_in_a_streak(self, tenant, meta, now):
        await fail(tenant, meta, now, 4)
        before = await told(tenant)

        await fail(tenant, meta, now, 20)

        [(what, detail)] = await told(tenant)
        assert before == []
        assert what == "connection.failing"
        assert (detail["reason"], detail["failures"]) == ("meta.busy", 5)

    async def test_obeys_the_tenants_own_number(self, tenant, meta, now):
        await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, "connection.alert_after", 2, now=now))

        await fail(tenant, meta, now, 2)

        assert [what for what, _ in await told(tenant)] == ["connection.failing"]

    async def test_leaves_the_source_in_peace(self, tenant, meta, now):
        await fail(tenant, meta, now, 4)
        before = await blocked(tenant, meta, now)

        await fail(tenant, meta, now, 9)

        assert before is None
        assert await blocked(tenant, meta, now) > now + timedelta(seconds=100)

    async def test_waits_as_long_as_the_source_said(self, tenant, meta, now):
        await fail(tenant, meta, now, wait=timedelta(minutes=30))

        assert await blocked(tenant, meta, now) == now + timedelta(minutes=30)
        assert await blocked(tenant, meta, now + timedelta(minutes=30)) is None


class TestAnswered:
    async def test_ends_the_streak_and_tells_that_it_did(self, tenant, meta, now):
        await fail(tenant, meta, now, 6)

        for _ in range(3):
            await answer(tenant, meta, now + timedelta(minutes=1))
        await fail(tenant, meta, now, 4)

        assert [what for what, _ in await told(tenant)] == ["connection.failing", "connection.recovered"]

    async def test_what_an_outage_put_off_is_tried_at_once(self, tenant, meta, now):
        for n in range(3):
            await receive(tenant, meta, str(n).encode(), now)
        claimed = await db.run(tenant.system, lambda tx: inbox.claim(tx, at_most=2, now=now))
        await db.run(tenant.system, lambda tx: inbox.put_off(tx, claimed[0], "meta.busy", wait=HOUR, now=now))
        await fail(tenant, meta, now, 5)

        await answer(tenant, meta, now + timedelta(minutes=1))

        async with db.transaction(tenant.system) as tx:
            due = dict(await tx.fetch("select id, next_attempt_at from crm.inbox_message where attempts = 0"))
            worked_on = await tx.fetchval("select next_attempt_at from crm.inbox_message where attempts = 1")
        assert due.pop(claimed[0].id) == now + timedelta(minutes=1)
        assert set(due.values()) == {now}, "one that nobody has tried yet stays in its place"
        assert worked_on == now + inbox.LEASE, "and so does the one somebody works on"

    async def test_a_short_streak_ends_without_a_word(self, tenant, meta, now):
        await fail(tenant, meta, now, 4)
        await answer(tenant, meta, now)
        await fail(tenant, meta, now, 4)

        assert await told(tenant) == []

    async def test_writes_nothing_for_a_source_that_is_well(self, tenant, meta, now):
        await answer(tenant, meta, now)

        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.connection_health") == 0

    async def test_a_pause_is_kept(self, tenant, meta, now):
        await answer(tenant, meta, now, pause=timedelta(minutes=1))

        assert await blocked(tenant, meta, now) == now + timedelta(minutes=1)


@given(st.integers(0, 10**6))
def test_rests_grow_and_have_an_end(too_many):
    rest = health.rest_after(too_many).total_seconds()

    longest = min(health.LONGEST_REST, 2.0 ** min(too_many, 20))
    assert longest / 2 <= rest <= longest
