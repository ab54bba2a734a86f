"""The exchange's queues kept as they are to be: members, order, ways out, and what supervisors do."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from crm import db
from crm.actor import Actor
from crm.agents import endpoints
from crm.agents import operations as agents
from crm.db import Tx
from crm.queues import actions, members, operations, steering, visits
from crm.queues.members import Told
from crm.queues.rules import Way
from crm.queues.visits import Stay
from crm.users import profiles
from tests.conftest import Tenant
from tests.crm.queues.factory import after, make_call, make_queue, set_version

ENDPOINT = "PJSIP/a-1"


async def sign_on(tenant: Tenant, now: datetime, *, endpoint: str = ENDPOINT, actor: Actor | None = None) -> Actor:
    who = actor or tenant.sales_agent
    await db.run(tenant.admin, lambda tx: endpoints.give(tx, who.user_id, endpoint, now=now))
    await db.run(who, lambda tx: agents.sign_on(tx, now=now))
    return who


async def steer(tenant: Tenant, now: datetime) -> steering.Steered:
    return await db.run(tenant.system, lambda tx: steering.steer(tx, now))


async def asks(tenant: Tenant, *kinds: str) -> list[dict[str, Any]]:
    """What was asked of the exchange since the last time; it is done now."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch(
            "update crm.exchange_ask set status = 'done' where status = 'waiting' returning kind, args, call_id, id"
        )
    found = sorted(rows, key=lambda row: row["id"])
    return [{"kind": row["kind"], **row["args"]} for row in found if not kinds or row["kind"] in kinds]


async def hear(tenant: Tenant, now: datetime, *, queue: str = "sales", endpoint: str = ENDPOINT, **how: bool) -> None:
    told = Told(queue, endpoint, how.get("is_member", True), how.get("is_paused", False))
    await db.run(tenant.system, lambda tx: members.hear(tx, [told], now=now))


async def wait(tx: Tx, since: datetime, queue: str = "sales") -> UUID:
    """Let a caller wait since an instant."""
    call_id = await make_call(tx, now=since)
    await visits.keep(tx, call_id, [Stay(1, queue, since)], now=since)
    return call_id


async def visit(tenant: Tenant, call_id: UUID) -> asyncpg.Record:
    async with db.transaction(tenant.system) as tx:
        row = await tx.fetchrow(
            "select * from crm.queue_visit where call_id = $1::uuid order by visit_no desc limit 1", call_id
        )
    assert row is not None
    return row


class TestMembers:
    async def test_adds_whoever_signs_on_and_says_it_once(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
        await sign_on(tenant, now)

        first = await steer(tenant, after(now, 1))
        added = await asks(tenant, "queue_add")
        again = await steer(tenant, after(now, 2))
        await hear(tenant, after(now, 2))
        settled = await steer(tenant, after(now, 9))

        assert (first.members, again.members, settled.members) == (1, 0, 0)
        assert [(each["queue"], each["endpoint"], each["is_paused"]) for each in added] == [("sales", ENDPOINT, False)]

    async def test_asks_again_what_the_exchange_did_not_do(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
        await sign_on(tenant, now)

        counts = [(await steer(tenant, after(now, seconds))).members for seconds in (1, 2, 6)]

        assert counts == [1, 0, 1]

    async def test_takes_out_who_signed_off_and_leaves_strangers(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
        who = await sign_on(tenant, now)
        await steer(tenant, now)
        await hear(tenant, now)
        await hear(tenant, now, endpoint="PJSIP/desk")
        await asks(tenant)

        await db.run(who, lambda tx: agents.sign_off(tx, now=after(now, 10)))
        await steer(tenant, after(now, 10))

        assert [each["endpoint"] for each in await asks(tenant, "queue_remove")] == [ENDPOINT]

    async def test_adds_everybody_again_when_the_exchange_has_forgotten(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
        await sign_on(tenant, now)
        await steer(tenant, now)
        await hear(tenant, now)
        await asks(tenant)

        await db.run(tenant.system, lambda tx: members.hear(tx, [], is_whole=True, now=after(now, 10)))
        await steer(tenant, after(now, 11))

        assert [each["kind"] for each in await asks(tenant, "queue_add")] == ["queue_add"]

    async def test_opens_the_next_ring_when_somebody_has_waited(self, tenant: Tenant, now: datetime) -> None:
        needs = [
            {"needs": [{"skill": "sales", "level": 4}]},
            {"after_s": 30, "needs": [{"skill": "sales", "level": 2}]},
        ]
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, rings=needs)
            call_id = await wait(tx, now)
        who = await sign_on(tenant, now)
        await db.run(tenant.admin, lambda tx: profiles.change(tx, who.user_id, {"skills": {"sales": 3}}, now=now))

        early = await steer(tenant, after(now, 29))
        late = await steer(tenant, after(now, 30))
        [added] = await asks(tenant, "queue_add")
        await hear(tenant, after(now, 31))
        gone = Stay(1, "sales", now, left_at=after(now, 33), outcome="abandoned")
        await db.run(tenant.system, lambda tx: visits.keep(tx, call_id, [gone], now=after(now, 33)))
        await steer(tenant, after(now, 36))

        assert (early.members, late.members) == (0, 1)
        assert added["penalty"] > 0
        assert len(await asks(tenant, "queue_remove")) == 1

    async def test_changes_a_penalty_with_the_skill(self, tenant: Tenant, now: datetime) -> None:
        ring = {"needs": [{"skill": "sales"}]}
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, rings=[ring], choice="best_skilled")
        who = await sign_on(tenant, now)
        await db.run(tenant.admin, lambda tx: profiles.change(tx, who.user_id, {"skills": {"sales": 2}}, now=now))
        await steer(tenant, now)
        await hear(tenant, now)
        [added] = await asks(tenant, "queue_add")
        later = after(now, 60)
        await db.run(tenant.admin, lambda tx: profiles.change(tx, who.user_id, {"skills": {"sales": 5}}, now=later))

        await steer(tenant, later)

        [changed] = await asks(tenant, "queue_penalty")
        assert (added["penalty"], changed["penalty"]) == (3, 0)

    async def test_a_retired_queue_loses_its_members(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now)
        await sign_on(tenant, now)
        await steer(tenant, now)
        await hear(tenant, now)
        await asks(tenant)
        await db.run(tenant.admin, lambda tx: operations.retire(tx, queue_id, now=after(now, 9)))

        await steer(tenant, after(now, 10))

        assert len(await asks(tenant, "queue_remove")) == 1


class TestOrder:
    async def test_brings_a_priority_caller_forward_once(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            await wait(tx, now)
            call_id = await make_call(tx, now=after(now, 5))
            await visits.reserve_place(tx, call_id, priority=3, now=now)
            await visits.keep(tx, call_id, [Stay(1, "sales", after(now, 5))], now=after(now, 5))

        first = await steer(tenant, after(now, 6))
        [asked] = await asks(tenant, "caller_priority")
        again = await steer(tenant, after(now, 7))

        assert (first.places, again.places) == (1, 0)
        assert (asked["leg"], asked["queue"], asked["priority"]) == (str(call_id), "sales", 1)

    async def test_says_again_what_the_exchange_did_not_take(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            first = await wait(tx, now)
            urgent = await make_call(tx, now=after(now, 5))
            await visits.reserve_place(tx, urgent, priority=3, now=now)
            await visits.keep(tx, urgent, [Stay(1, "sales", after(now, 5))], now=after(now, 5))
        await steer(tenant, after(now, 6))
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.exchange_ask set status = 'unanswered' where kind = 'caller_priority'")

        await steer(tenant, after(now, 7))
        again = await asks(tenant, "caller_priority")
        settled = await steer(tenant, after(now, 8))

        assert [(each["leg"], each["priority"]) for each in again] == [(str(urgent), 1), (str(first), 0)]
        assert settled.places == 0

    async def test_an_override_holds_until_its_end_and_reverts_by_itself(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            first, second = [await wait(tx, after(now, n)) for n in (0, 5)]
        until = after(now, 60)
        await db.run(
            tenant.sales_manager,
            lambda tx: actions.prioritise(tx, second, 9, reason="vip", until=until, now=after(now, 6)),
        )

        await steer(tenant, after(now, 7))
        [raised] = await asks(tenant, "caller_priority")
        ended = await steer(tenant, until)
        [back] = await asks(tenant, "caller_priority")

        assert (raised["leg"], back["leg"]) == (str(second), str(first))
        assert back["priority"] > raised["priority"]
        assert ended.ended == 1


class TestOverflow:
    async def test_sends_whoever_waited_too_long_once(self, tenant: Tenant, now: datetime) -> None:
        rule = {"after_s": 30, "way": {"to": "queue", "queue": "spare"}}
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, overflow=[rule])
            await make_queue(tx, "spare", since=now)
            call_id = await wait(tx, now)
            await wait(tx, after(now, 20))

        counts = [(await steer(tenant, after(now, seconds))).sent for seconds in (29, 30, 31)]

        [asked] = await asks(tenant, "redirect")
        assert counts == [0, 1, 0]
        assert (asked["leg"], asked["context"], asked["exten"]) == (str(call_id), "inbound", "spare")

    async def test_does_not_send_a_caller_back_and_forth(self, tenant: Tenant, now: datetime) -> None:
        def rule(to: str) -> list[dict[str, Any]]:
            return [{"after_s": 10, "way": {"to": "queue", "queue": to}}]

        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, overflow=rule("spare"))
            await make_queue(tx, "spare", since=now, overflow=rule("sales"))
            call_id = await wait(tx, now)
        await steer(tenant, after(now, 10))
        await asks(tenant)
        stays = [
            Stay(1, "sales", now, left_at=after(now, 10), outcome="abandoned"),
            Stay(2, "spare", after(now, 10)),
        ]
        await db.run(tenant.system, lambda tx: visits.keep(tx, call_id, stays, now=after(now, 11)))

        later = await steer(tenant, after(now, 60))

        assert later.sent == 0

    async def test_tries_again_what_the_exchange_refused(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, max_wait_s=30)
            call_id = await wait(tx, now)
        await steer(tenant, after(now, 30))
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.exchange_ask set status = 'refused'")

        counts = [(await steer(tenant, after(now, seconds))).sent for seconds in (31, 36)]

        assert counts == [0, 1]
        assert (await visit(tenant, call_id))["sent_why"] == "timeout"

    @pytest.mark.parametrize(("has_room", "to"), [(True, "spare"), (False, "all-busy")])
    async def test_looks_whether_the_other_queue_has_room(
        self, tenant: Tenant, now: datetime, has_room: bool, to: str
    ) -> None:
        rule = {"after_s": 10, "way": {"to": "queue", "queue": "spare"}}
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, overflow=[rule], max_wait_s=20)
            await make_queue(tx, "spare", since=now, max_length=2 if has_room else 1)
            await wait(tx, now)
            await wait(tx, after(now, 20), "spare")

        await steer(tenant, after(now, 20))

        assert [each["exten"] for each in await asks(tenant, "redirect")] == [to]

    async def test_watches_the_live_service_level(self, tenant: Tenant, now: datetime) -> None:
        rule = {"service_level_below": 0.5, "way": {"to": "queue", "queue": "spare"}}
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, overflow=[rule])
            await make_queue(tx, "spare", since=now)
            lost = await wait(tx, now)
            await visits.keep(
                tx, lost, [Stay(1, "sales", now, left_at=after(now, 60), outcome="abandoned")], now=after(now, 60)
            )
            await wait(tx, after(now, 61))

        sent = await steer(tenant, after(now, 62))

        assert sent.sent == 1

    async def test_tells_who_comes_at_night_that_it_is_closed(self, tenant: Tenant, now: datetime) -> None:
        night = now.replace(hour=22)
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, hours="calendar", when_closed={"to": "message", "prompt": "closed"})
            call_id = await wait(tx, night)

        await steer(tenant, after(night, 1))
        [asked] = await asks(tenant, "redirect")
        gone = Stay(1, "sales", night, left_at=after(night, 1), outcome="abandoned", ended_at=after(night, 1))
        await db.run(tenant.system, lambda tx: visits.keep(tx, call_id, [gone], now=after(night, 2)))

        assert (asked["context"], asked["exten"]) == ("announce", "closed")
        assert (await visit(tenant, call_id))["outcome"] == "system"


class TestBesideHearing:
    async def test_leaves_whoever_is_just_being_heard_of_for_the_next_second(
        self, tenant: Tenant, now: datetime
    ) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, max_wait_s=5)
            call_id = await wait(tx, now)

        async with db.transaction(tenant.system) as tx:
            await tx.execute("select from crm.queue_visit where call_id = $1::uuid for update", call_id)
            during = await steer(tenant, after(now, 6))
        afterwards = await steer(tenant, after(now, 7))

        assert (during.sent, afterwards.sent) == (0, 1)


class TestActions:
    async def test_a_paused_queue_pauses_its_agents_in_it_and_resumes_by_itself(
        self, tenant: Tenant, now: datetime
    ) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now)
        await sign_on(tenant, now)
        await steer(tenant, now)
        await hear(tenant, now)
        await asks(tenant)
        until = after(now, 600)
        await db.run(
            tenant.sales_manager,
            lambda tx: actions.pause(tx, queue_id, reason="fire.drill", until=until, now=after(now, 10)),
        )

        await steer(tenant, after(now, 10))
        [paused] = await asks(tenant, "queue_pause")
        await hear(tenant, after(now, 11), is_paused=True)
        await steer(tenant, until)
        [resumed] = await asks(tenant, "queue_pause")

        assert (paused["queue"], paused["is_paused"]) == ("sales", True)
        assert (resumed["queue"], resumed["is_paused"]) == ("sales", False)

    async def test_a_moved_caller_comes_back_when_nobody_answered_there(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            await make_queue(tx, "spare", since=now)
            call_id = await wait(tx, now)
        until = after(now, 60)
        await db.run(
            tenant.sales_manager,
            lambda tx: actions.move(tx, call_id, "spare", reason="language", until=until, now=after(now, 10)),
        )
        [there] = await asks(tenant, "redirect")
        stays = [
            Stay(1, "sales", now, left_at=after(now, 10), outcome="abandoned"), Stay(2, "spare", after(now, 10)),
        ]  # fmt: skip
        await db.run(tenant.system, lambda tx: visits.keep(tx, call_id, stays, now=after(now, 10)))

        await steer(tenant, after(now, 59))
        nothing = await asks(tenant, "redirect")
        await steer(tenant, until)

        [back] = await asks(tenant, "redirect")
        assert (there["exten"], nothing, back["exten"]) == ("spare", [], "sales")

    async def test_everybody_is_sent_on_until_the_end(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now)
            await make_queue(tx, "spare", since=now)
            await wait(tx, now)
        way, until = Way(to="queue", queue="spare"), after(now, 60)
        await db.run(
            tenant.sales_manager,
            lambda tx: actions.overflow(tx, queue_id, way, reason="rush", until=until, now=after(now, 1)),
        )

        first = await steer(tenant, after(now, 2))
        async with db.transaction(tenant.system) as tx:
            await wait(tx, after(now, 61))
        late = await steer(tenant, after(now, 62))

        assert (first.sent, late.sent) == (1, 0)

    async def test_is_refused_without_an_end_a_reason_or_a_caller(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now)

        async def pause(**changed: Any) -> UUID:
            how = {"reason": "drill", "until": after(now, 60), "now": now, **changed}
            return await db.run(tenant.sales_manager, lambda tx: actions.pause(tx, queue_id, **how))

        with pytest.raises(actions.BadTime):
            await pause(until=now)
        with pytest.raises(actions.BadTime):
            await pause(until=now + timedelta(days=2))
        with pytest.raises(actions.codes.NotACode):
            await pause(reason="Because I say so")
        await pause()
        with pytest.raises(actions.ActionOpen):
            await pause()
        with pytest.raises(actions.UnknownCaller):
            await db.run(
                tenant.sales_manager,
                lambda tx: actions.prioritise(tx, queue_id, 1, reason="vip", until=after(now, 60), now=now),
            )

    async def test_is_audited_at_its_beginning_and_its_end(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now)
        action_id = await db.run(
            tenant.sales_manager,
            lambda tx: actions.pause(tx, queue_id, reason="drill", until=after(now, 60), now=now),
        )

        await db.run(tenant.sales_manager, lambda tx: actions.end(tx, action_id, now=after(now, 5)))
        with pytest.raises(actions.UnknownAction):
            await db.run(tenant.sales_manager, lambda tx: actions.end(tx, action_id, now=after(now, 6)))

        async with db.transaction(tenant.system) as tx:
            audits = await tx.fetch("select action from crm.audit_log where target_id = $1::uuid order by id", queue_id)
            events = await tx.fetch(
                "select event_type from crm.event_log where aggregate_id = $1::uuid order by id", queue_id
            )
        assert [row["action"] for row in audits] == ["queue.pause", "queue.action_end"]
        assert [row["event_type"] for row in events] == ["queue.action_began", "queue.action_ended"]


async def test_settings_of_the_future_hold_from_their_instant(tenant: Tenant, now: datetime) -> None:
    async with db.transaction(tenant.system) as tx:
        queue_id = await make_queue(tx, since=now)
        await set_version(tx, queue_id, since=after(now, 60), max_wait_s=1)
        await wait(tx, now)

    counts = [(await steer(tenant, after(now, seconds))).sent for seconds in (59, 60)]

    assert counts == [0, 1]
