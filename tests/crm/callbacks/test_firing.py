"""Callbacks are made when their turn comes, asked for consent at the last moment, and nobody is called twice."""

import asyncio
from datetime import datetime

import pytest

from crm import consent, db
from crm.callbacks import firing
from crm.callbacks.rules import Kind
from crm.calls import operations as click
from crm.calls import sending
from crm.duplicates import operations as duplicates
from tests.conftest import Tenant
from tests.crm.callbacks.floor import (
    BUSY,
    HOUR,
    MINUTE,
    QUEUE,
    UNASSIGNED,
    attempts,
    calls,
    calls_in,
    ends,
    finish_wrap,
    on_duty,
    one,
    open_queue,
    people,
    promise,
    talks,
    told,
    turn,
    waits,
)
from tests.crm.callbacks.test_operations import say

NIGHT = datetime.fromisoformat("2026-03-03T21:30+00:00")
"""Half past midnight in Istanbul."""


@pytest.fixture(autouse=True)
async def queue(tenant: Tenant, now: datetime) -> None:
    """The queue there is."""
    await open_queue(tenant, now - HOUR)


class TestFire:
    async def test_calls_the_customer_into_the_queue_in_their_place(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now)

        await turn(tenant, now + MINUTE)

        [call] = await calls(tenant)
        row = await one(tenant, made)
        async with db.transaction(tenant.system) as tx:
            place = await tx.fetchrow("select call_id, waits_since from crm.queue_place")
            [ask] = await tx.fetch("select kind, args from crm.exchange_ask where call_id is not null")
        assert (call["direction"], call["purpose"], call["queue"]) == ("customer_first", "callback", QUEUE)
        assert (row["status"], row["call_id"], row["attempts"], row["first_attempt_at"]) == (
            "attempted", call["id"], 1, now + MINUTE
        )  # fmt: skip
        assert place is not None
        assert tuple(place) == (call["id"], now)
        assert ask["kind"] == "originate"
        assert await told(tenant, made) == ["requested", "scheduled", "attempted"]

    async def test_waits_until_somebody_could_answer(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        await turn(tenant, now)
        assert (await one(tenant, made))["status"] == "scheduled"
        await on_duty(tenant, now)
        await turn(tenant, now)

        assert (await one(tenant, made))["status"] == "attempted"

    async def test_waits_for_its_time(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now, promised_from=now + HOUR)

        await turn(tenant, now + HOUR - MINUTE)
        early = await calls(tenant)
        await turn(tenant, now + HOUR)

        assert early == []
        assert (await one(tenant, made))["status"] == "attempted"

    async def test_calls_no_more_customers_than_agents_are_free(self, tenant: Tenant, now: datetime) -> None:
        made = [await promise(tenant, person, now) for person in await people(tenant, 4, now)]
        await on_duty(tenant, now)
        await on_duty(tenant, now, tenant.sales_manager, "PJSIP/agent-2")

        for _ in range(3):
            await turn(tenant, now)

        assert [(await one(tenant, each))["status"] for each in made] == ["attempted"] * 2 + ["scheduled"] * 2

    async def test_makes_each_call_once_however_many_workers_there_are(self, tenant: Tenant, now: datetime) -> None:
        made = [await promise(tenant, person, now) for person in await people(tenant, 3, now)]
        for n, actor in enumerate((tenant.sales_agent, tenant.sales_manager, tenant.admin)):
            await on_duty(tenant, now, actor, f"PJSIP/agent-{n}")

        await asyncio.gather(*(turn(tenant, now) for _ in range(6)))
        await turn(tenant, now)

        assert sorted(call["callback_id"] for call in await calls(tenant)) == sorted(made)

    async def test_asks_for_consent_at_the_last_moment(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now, promised_from=now + HOUR)
        await say(tenant, person[0], consent.Status.withdrawn, now + MINUTE)

        await turn(tenant, now + HOUR)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], await calls(tenant)) == ("failed", "consent.opted_out", [])

    async def test_waits_out_the_night(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now, promised_until=now + 20 * HOUR)

        await on_duty(tenant, NIGHT)
        await turn(tenant, NIGHT)

        row = await one(tenant, made)
        assert (row["status"], row["reason"]) == ("scheduled", "consent.outside_hours")
        assert NIGHT < row["due_at"] < NIGHT + 12 * HOUR
        await turn(tenant, NIGHT + HOUR)
        assert (await told(tenant, made)).count("put_off") == 1
        await turn(tenant, row["due_at"])
        assert (await one(tenant, made))["status"] == "attempted"

    async def test_leaves_a_customer_alone_who_is_on_the_telephone(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        agent = await on_duty(tenant, now)
        made = await promise(tenant, person, now)
        inbound = await calls_in(tenant, person, now)

        await turn(tenant, now)
        await talks(tenant, inbound, now, until=now + MINUTE)
        await finish_wrap(tenant, agent, now + MINUTE)
        await turn(tenant, now + MINUTE)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], len(await calls(tenant))) == ("completed", "called_in", 1)


class TestOfAnAgent:
    async def test_rings_the_agent_first(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        agent = await on_duty(tenant, now)
        made = await promise(tenant, person, now, kind=Kind.agent, queue=None, agent_user_id=agent.user_id)

        await turn(tenant, now)

        [call] = await calls(tenant)
        assert (call["direction"], call["agent_user_id"], call["callback_id"]) == ("agent_first", agent.user_id, made)

    async def test_waits_for_the_agent_then_gives_it_to_the_queue(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        owner = await on_duty(tenant, now)
        await on_duty(tenant, now, tenant.sales_manager, "PJSIP/agent-2")
        await promise(tenant, person, now, kind=Kind.agent, agent_user_id=owner.user_id)
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.agent_state set state = 'paused' where user_id = $1::uuid", owner.user_id
            )  # fmt: skip

        await turn(tenant, now + 9 * MINUTE)
        early = await calls(tenant)
        await turn(tenant, now + 10 * MINUTE)

        assert early == []
        assert [(each["direction"], each["queue"]) for each in await calls(tenant)] == [("customer_first", QUEUE)]

    async def test_loses_no_turn_when_the_agent_is_quicker_elsewhere(self, tenant: Tenant, now: datetime) -> None:
        first, second = await people(tenant, 2, now)
        agent = await on_duty(tenant, now)
        made = [
            await promise(tenant, each, now, kind=Kind.agent, queue=None, agent_user_id=agent.user_id)
            for each in (first, second)
        ]

        await turn(tenant, now)

        assert [(await one(tenant, each))["status"] for each in made] == ["attempted", "scheduled"]


class TestLine:
    async def test_keeps_the_place_of_whoever_came_first(self, tenant: Tenant, now: datetime) -> None:
        before, later, back = await people(tenant, 3, now)
        waiting = await calls_in(tenant, before, now - 5 * MINUTE)
        made = await promise(tenant, back, now)
        await calls_in(tenant, later, now + MINUTE)
        agent = await on_duty(tenant, now)

        await turn(tenant, now + MINUTE)
        first = (await one(tenant, made))["status"]
        await talks(tenant, waiting, now - 5 * MINUTE, until=now + 2 * MINUTE)
        await turn(tenant, now + 2 * MINUTE)

        assert first == "scheduled"
        assert (await one(tenant, made))["status"] == "attempted", "before the one who came later, agent free or not"
        assert agent.user_id is not None

    async def test_counts_whom_it_sees(self, tenant: Tenant, now: datetime) -> None:
        persons = await people(tenant, 3, now)
        await calls_in(tenant, persons[0], now - MINUTE)
        await calls_in(tenant, persons[1], now + MINUTE)
        await on_duty(tenant, now)

        async with db.transaction(tenant.system) as tx:
            seen = await firing.line(tx, QUEUE, now)

        assert seen == firing.Line(ahead=1, waiting=2, on_the_way=0, free=1, signed_on=1)

    async def test_counts_a_callback_on_the_way_until_it_waits_in_the_queue(
        self, tenant: Tenant, now: datetime
    ) -> None:  # fmt: skip
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        await promise(tenant, person, now)
        await turn(tenant, now)
        [call] = await calls(tenant)

        seen = []
        for _ in range(2):
            async with db.transaction(tenant.system) as tx:
                line = await firing.line(tx, QUEUE, now + HOUR)
            seen.append((line.on_the_way, line.waiting, line.ahead))
            await waits(tenant, call["id"], now + MINUTE)

        assert seen == [(1, 0, 0), (0, 1, 1)]


class TestSettle:
    async def test_completes_a_callback_whose_customer_was_reached(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now)
        await turn(tenant, now)
        [call] = await calls(tenant)

        await talks(tenant, call["id"], now + MINUTE, until=now + 3 * MINUTE)
        for _ in range(2):
            await turn(tenant, now + 3 * MINUTE)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], row["last_outcome"]) == ("completed", "reached", "answered")
        assert now + MINUTE < row["reached_at"] < row["promised_until"]
        assert await told(tenant, made) == ["requested", "scheduled", "attempted", "completed"]
        assert await attempts(tenant, made) == [(1, "answered")]

    async def test_tries_again_after_a_pause_and_gives_up_in_the_end(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made, at = await promise(tenant, person, now), now

        for _ in range(3):
            await turn(tenant, at)
            await turn(tenant, at + MINUTE)
            await ends(tenant, (await calls(tenant))[-1]["id"], at + MINUTE, cause=BUSY)
            at += 7 * MINUTE
        await turn(tenant, at)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], row["attempts"]) == ("failed", "busy", 3)
        assert await attempts(tenant, made) == [(1, "busy"), (2, "busy"), (3, "busy")]
        assert len(await calls(tenant)) == 3

    async def test_counts_no_call_that_the_exchange_never_heard_of(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now)
        await turn(tenant, now)

        await db.run(tenant.system, lambda tx: sending.claim(tx, only_late=True, now=now + MINUTE))
        await turn(tenant, now + MINUTE)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], row["attempts"]) == ("scheduled", "untried", 0)
        assert await attempts(tenant, made) == [(1, "untried")]

    async def test_gives_up_a_number_that_is_none_at_once(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now)
        await turn(tenant, now)
        [call] = await calls(tenant)

        await ends(tenant, call["id"], now, cause=UNASSIGNED)
        await turn(tenant, now + MINUTE)

        assert ((await one(tenant, made))["status"], (await one(tenant, made))["reason"]) == ("failed", "invalid")


class TestCompleteReached:
    async def test_completes_what_an_agents_own_call_has_done_already(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now, tenant.admin)
        made = await promise(tenant, person, now, promised_from=now + HOUR)
        placed = await db.run(tenant.admin, lambda tx: click.request(tx, person[1], now=now + MINUTE))

        await talks(tenant, placed.call_id, now + 2 * MINUTE, until=now + 3 * MINUTE)
        async with db.transaction(tenant.system) as tx:  # as the exchange tells it of an agent's own call
            await tx.execute(
                "update crm.call set connected_at = $1::timestamptz, ended_at = $2::timestamptz", now + 2 * MINUTE,
                now + 3 * MINUTE,
            )  # fmt: skip
        await turn(tenant, now + 4 * MINUTE)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], row["attempts"]) == ("completed", "called_otherwise", 0)

    async def test_leaves_one_alone_whose_customer_hung_up_in_the_queue(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)
        inbound = await calls_in(tenant, person, now + MINUTE)
        await ends(tenant, inbound, now + 2 * MINUTE, cause=16)

        await turn(tenant, now + 3 * MINUTE)

        assert (await one(tenant, made))["status"] == "scheduled"


class TestExpire:
    async def test_ends_what_nobody_could_make(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        await turn(tenant, now + 5 * HOUR - MINUTE)
        before = (await one(tenant, made))["status"]
        await turn(tenant, now + 5 * HOUR)

        row = await one(tenant, made)
        assert (before, row["status"], row["reason"]) == ("scheduled", "expired", "too_late")


async def test_a_merge_takes_callbacks_along(tenant: Tenant, now: datetime) -> None:
    first, second = await people(tenant, 2, now)
    await on_duty(tenant, now)
    made = [await promise(tenant, each, now) for each in (first, second)]
    await db.run(tenant.admin, lambda tx: duplicates.merge(tx, first[0], second[0], now=now))

    await turn(tenant, now)
    [call] = await calls(tenant)
    await talks(tenant, call["id"], now + MINUTE, until=now + 2 * MINUTE)
    await turn(tenant, now + 3 * MINUTE)

    assert [(await one(tenant, each))["contact_id"] for each in made] == [first[0]] * 2
    assert sorted([(await one(tenant, each))["reason"] for each in made]) == ["called_otherwise", "reached"]
    assert len(await calls(tenant)) == 1
