"""Virtual hold: who lets go of the telephone keeps the place in the queue."""

from datetime import datetime
from uuid import UUID

import pytest

from crm import db, ids
from crm.callbacks import holding
from crm.callbacks.holding import NotWaiting
from crm.callbacks.operations import NotCallable, Promised
from crm.calls.facts import LegEnded, QueueLeft
from crm.consent import dnc as lists
from crm.contacts import operations as contacts
from crm.contacts.operations import NewContact
from crm.phone import Phone
from crm.queues import visits
from tests.conftest import Tenant
from tests.crm.callbacks.floor import (
    HOUR,
    MINUTE,
    QUEUE,
    answer_asks,
    calls,
    calls_in,
    ends,
    on_duty,
    one,
    open_queue,
    people,
    promise,
    talks,
    tell,
    told,
    turn,
)


@pytest.fixture(autouse=True)
async def queue(tenant: Tenant, now: datetime) -> None:
    """The queue there is."""
    await open_queue(tenant, now - HOUR)


async def hold(tenant: Tenant, call_id: UUID, now: datetime) -> UUID:
    """Let a caller keep their place."""
    return await db.run(tenant.admin, lambda tx: holding.hold(tx, call_id, now=now))


async def lets_go(tenant: Tenant, call_id: UUID, now: datetime) -> None:
    """Have the exchange do what it was asked: tell the caller, and end the call."""
    await answer_asks(tenant, call_id)
    leg = {"call_id": str(call_id), "leg_id": str(call_id), "at": now}
    await tell(tenant, [QueueLeft(**leg, queue=QUEUE), LegEnded(**leg, cause=16, was_up=True)], now)
    await db.run(tenant.system, lambda tx: visits.settle(tx, now=now))


async def outcome(tenant: Tenant, call_id: UUID) -> str:
    """Return how a caller's stay went."""
    async with db.transaction(tenant.system) as tx:
        return str(await tx.fetchval("select outcome from crm.queue_visit where call_id = $1::uuid", call_id))


class TestHold:
    async def test_keeps_the_place_of_who_lets_go(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        call_id = await calls_in(tenant, person, now)

        made = [await hold(tenant, call_id, now + MINUTE) for _ in range(2)]
        before = await one(tenant, made[0])
        await lets_go(tenant, call_id, now + 2 * MINUTE)
        await turn(tenant, now + 3 * MINUTE)

        row = await one(tenant, made[0])
        assert (made[0], before["status"], row["status"]) == (made[1], "requested", "scheduled")
        assert (row["enqueued_at"], row["source_call_id"], row["queue"]) == (now, call_id, QUEUE)
        assert (row["promised_from"], row["promised_until"]) == (now + MINUTE, now + MINUTE + HOUR)
        assert await outcome(tenant, call_id) == "callback"

    async def test_is_called_before_those_who_came_later(self, tenant: Tenant, now: datetime) -> None:
        person, later = await people(tenant, 2, now)
        call_id = await calls_in(tenant, person, now)
        made = await hold(tenant, call_id, now)
        await lets_go(tenant, call_id, now)
        await calls_in(tenant, later, now + MINUTE)
        await on_duty(tenant, now)

        await turn(tenant, now + 2 * MINUTE)
        [call] = await calls(tenant, purpose="callback")
        async with db.transaction(tenant.system) as tx:
            place = await tx.fetchval("select waits_since from crm.queue_place where call_id = $1::uuid", call["id"])

        assert ((await one(tenant, made))["status"], place) == ("attempted", now)

    async def test_is_over_when_an_agent_was_quicker(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        call_id = await calls_in(tenant, person, now)
        made = await hold(tenant, call_id, now)

        await talks(tenant, call_id, now, until=now + MINUTE)
        await turn(tenant, now + MINUTE)

        row = await one(tenant, made)
        assert (row["status"], row["reason"], await outcome(tenant, call_id)) == ("completed", "called_in", "answered")

    async def test_is_for_those_who_wait_and_can_be_called(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        withheld = await calls_in(tenant, None, now)
        gone = await calls_in(tenant, person, now)
        await ends(tenant, gone, now, cause=16)

        for call_id in (withheld, gone, ids.new()):
            with pytest.raises(NotWaiting):
                await hold(tenant, call_id, now + MINUTE)

    async def test_does_not_promise_what_the_list_forbids_nor_twice(self, tenant: Tenant, now: datetime) -> None:
        listed, twice = await people(tenant, 2, now)
        await db.run(tenant.admin, lambda tx: lists.add_contact(tx, listed[0], ["phone"], reason="asked", now=now))
        await promise(tenant, twice, now)

        with pytest.raises(NotCallable):
            await hold(tenant, await calls_in(tenant, listed, now), now)
        with pytest.raises(Promised):
            await hold(tenant, await calls_in(tenant, twice, now), now)


class TestAdopt:
    async def test_promises_what_a_caller_chose_at_the_telephone(self, tenant: Tenant, now: datetime) -> None:
        contact_id = await db.run(
            tenant.system,
            lambda tx: contacts.create(tx, NewContact(phone=Phone("+905321112233"), source="inbound_call"), now=now),
        )
        call_id = await calls_in(tenant, None, now)
        await _chose(tenant, call_id, contact_id)

        for _ in range(2):
            await turn(tenant, now + MINUTE)

        async with db.transaction(tenant.system) as tx:
            [row] = await tx.fetch("select * from crm.callback")
            [wish] = await tx.fetch("select source, legal_basis, valid_until from crm.consent")
        assert (row["contact_id"], row["kind"], row["status"], row["enqueued_at"]) == (
            contact_id, "hold", "scheduled", now
        )  # fmt: skip
        assert await told(tenant, row["id"]) == ["requested", "scheduled"]
        assert tuple(wish) == ("callback", "request", row["expires_at"])

    async def test_keeps_the_promise_there_is(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)
        call_id = await calls_in(tenant, person, now + MINUTE)
        await _chose(tenant, call_id, person[0])

        await turn(tenant, now + 2 * MINUTE)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select id from crm.callback")
        assert [row["id"] for row in rows] == [made]

    async def test_says_why_somebody_is_not_called_back(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await db.run(tenant.admin, lambda tx: lists.add_contact(tx, person[0], ["phone"], reason="asked", now=now))
        call_id = await calls_in(tenant, person, now)
        await _chose(tenant, call_id, person[0])

        for _ in range(2):
            await turn(tenant, now + MINUTE)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select status, reason from crm.callback")
        assert [tuple(row) for row in rows] == [("failed", "consent.dnc")]

    async def test_leaves_history_alone(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        call_id = await calls_in(tenant, person, now)
        await _chose(tenant, call_id, person[0])
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.queue_visit set is_historical = true")

        await turn(tenant, now + MINUTE)

        assert await db.run(tenant.system, lambda tx: tx.fetchval("select count(*) from crm.callback")) == 0


async def _chose(tenant: Tenant, call_id: UUID, contact_id: UUID) -> None:
    """Let the queue's own rules have sent a caller the way of callbacks."""
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "update crm.call set contact_id = $2::uuid, ended_at = now() where id = $1::uuid", call_id, contact_id
        )
        await tx.execute(
            "update crm.queue_visit set outcome = 'callback', left_at = enqueued_at + interval '30 seconds'"
            " where call_id = $1::uuid",
            call_id,
        )
