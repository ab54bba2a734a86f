"""The bell between commits and those who wait for them."""

import asyncio

from crm import clock, db
from crm.events import bell
from crm.users import availability
from tests.conftest import Tenant


async def set_accepting(tenant: Tenant, accepting: bool) -> None:
    """Commit one event."""
    await db.run(
        tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=accepting, now=clock.utc_now())
    )


async def seconds_until_heard(ear: bell.Ear, at_most: float) -> float:
    """Wait for the bell; return how long it took."""
    started = asyncio.get_running_loop().time()
    await ear.wait(at_most)
    return asyncio.get_running_loop().time() - started


class TestBell:
    async def test_is_heard_soon_after_a_commit_with_events(self, tenant: Tenant) -> None:
        ear = bell.Ear()
        async with bell.listening(ear), bell.ringing():
            await ear.wait(5)  # the ear rings once when it begins to listen
            await set_accepting(tenant, False)

            took = await seconds_until_heard(ear, 5)

        assert took < 2

    async def test_stays_silent_when_nothing_was_recorded(self, tenant: Tenant) -> None:
        ear = bell.Ear()
        async with bell.listening(ear), bell.ringing():
            await ear.wait(5)
            await set_accepting(tenant, True)

            took = await seconds_until_heard(ear, 0.4)

        assert took >= 0.4

    async def test_is_heard_again_after_the_database_dropped_the_listener(self, tenant: Tenant, monkeypatch) -> None:
        monkeypatch.setattr(bell, "AGAIN", 0.05)
        ear = bell.Ear()
        async with bell.listening(ear), bell.ringing():
            await ear.wait(5)
            other = await bell._connect()
            await other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename = current_user and pid <> pg_backend_pid() and query ilike 'listen%'"
                " and datname = current_database()"
            )
            await other.close()
            await ear.wait(5)  # the new ear has begun to listen
            await set_accepting(tenant, False)

            took = await seconds_until_heard(ear, 5)

        assert took < 2
