"""What was given up: listed with its reason, replayed, mended."""

import pytest

from crm import db, vault
from crm.actor import Forbidden
from crm.inbox import dead_letters, queries
from crm.inbox.queries import UnknownMessage
from crm.inbox.reading import Reading, Unusable
from tests.crm.inbox.conftest import BODY, LEAD, count, gives, message, raises, receive, says, work


class TestReplay:
    async def test_a_failed_message_has_another_chance(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        await work(tenant, raises(Unusable("google.malformed")), now)

        message_id = (await message(tenant))["id"]
        await db.run(tenant.admin, lambda tx: dead_letters.replay(tx, message_id, now=now))
        await work(tenant, gives(LEAD), now)

        assert (await message(tenant))["status"] == "done"
        assert await count(tenant, "audit_log", "action = 'inbox.replayed'") == 1

    async def test_one_that_is_done_brings_nothing_twice(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        await work(tenant, gives(LEAD), now)
        message_id = (await message(tenant))["id"]

        await db.run(tenant.admin, lambda tx: dead_letters.replay(tx, message_id, now=now))
        await work(tenant, gives(LEAD), now)

        assert await count(tenant, "lead") == 1
        assert (await message(tenant))["status"] == "done"

    async def test_another_firms_is_not_found(self, tenant, other_tenant, google, now):
        message_id = await receive(tenant, google, BODY, now)

        with pytest.raises(UnknownMessage):
            await db.run(other_tenant.admin, lambda tx: dead_letters.replay(tx, message_id, now=now))


class TestReplayFailed:
    async def test_replays_those_of_a_reason(self, tenant, google, now):
        for n in range(4):
            await receive(tenant, google, str(n).encode(), now)
        reasons = iter(["google.malformed", "lead.unreachable", "google.malformed", "lead.unreachable"])

        async def parse(body, connection):
            raise Unusable(next(reasons))

        await work(tenant, parse, now)
        async with db.transaction(tenant.admin) as tx:
            why = {row["reason"]: row["messages"] for row in await queries.reasons(tx)}
            listed = await queries.page(tx, status="failed", reason="lead.unreachable", limit=10)

        replayed = await db.run(
            tenant.admin, lambda tx: dead_letters.replay_failed(tx, reason="lead.unreachable", now=now)
        )

        assert why == {"google.malformed": 2, "lead.unreachable": 2}
        assert len(listed) == replayed == 2
        assert await count(tenant, "inbox_message", "status = 'pending'") == 2
        assert await count(tenant, "audit_log", "action = 'inbox.replayed'") == 1

    async def test_needs_the_permission(self, tenant, google, now):
        with pytest.raises(Forbidden):
            await db.run(tenant.sales_manager, lambda tx: dead_letters.replay_failed(tx, now=now))


class TestResubmit:
    async def failed(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        await work(tenant, raises(Unusable("lead.unreachable")), now)
        return (await message(tenant))["id"]

    async def test_works_the_mended_body_off_and_keeps_the_one_before(self, tenant, google, now):
        message_id = await self.failed(tenant, google, now)
        seen = []

        async def parse(body, connection):
            seen.append(body)
            return Reading([LEAD])

        await db.run(tenant.admin, lambda tx: dead_letters.resubmit(tx, message_id, b"mended \xff", now=now))
        await work(tenant, parse, now)

        async with db.transaction(tenant.system) as tx:
            kept = await tx.fetchrow("select * from crm.inbox_version")
        assert await says(tenant, message_id) == b"mended \xff"
        keys = await vault.find(tenant.id, [kept["key_id"]])
        assert seen == [b"mended \xff"]
        assert (kept["version_no"], kept["replaced_because"], kept["replaced_by"]) == (
            1,
            "mended",
            tenant.admin.user_id,
        )
        assert keys[kept["key_id"]].open(kept["sealed"]).encode("latin-1") == BODY
        assert (await message(tenant))["status"] == "done"
        assert await count(tenant, "audit_log", "action = 'inbox.resubmitted'") == 1

    async def test_the_original_delivered_again_changes_nothing(self, tenant, google, now):
        message_id = await self.failed(tenant, google, now)
        await db.run(tenant.admin, lambda tx: dead_letters.resubmit(tx, message_id, b"mended", now=now))

        assert await receive(tenant, google, BODY, now) is None

    @pytest.mark.parametrize("turn", ["pending", "done"])
    async def test_refuses_a_message_that_was_not_given_up(self, tenant, google, now, turn):
        message_id = await receive(tenant, google, BODY, now)
        if turn == "done":
            await work(tenant, gives(LEAD), now)

        with pytest.raises(dead_letters.NotFailed):
            await db.run(tenant.admin, lambda tx: dead_letters.resubmit(tx, message_id, b"mended", now=now))

        assert await count(tenant, "inbox_version") == 0

    async def test_refuses_one_whose_key_was_destroyed(self, tenant, google, now):
        message_id = await self.failed(tenant, google, now)
        await vault.destroy(tenant.id, [(await message(tenant))["key_id"]], now=now)

        with pytest.raises(dead_letters.Erased):
            await db.run(tenant.admin, lambda tx: dead_letters.resubmit(tx, message_id, b"mended", now=now))

    async def test_needs_the_permission_and_the_right_firm(self, tenant, other_tenant, google, now):
        message_id = await self.failed(tenant, google, now)

        with pytest.raises(Forbidden):
            await db.run(tenant.sales_manager, lambda tx: dead_letters.resubmit(tx, message_id, b"", now=now))
        with pytest.raises(UnknownMessage):
            await db.run(other_tenant.admin, lambda tx: dead_letters.resubmit(tx, message_id, b"", now=now))
