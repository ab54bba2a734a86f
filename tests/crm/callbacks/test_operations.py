"""Promising callbacks: to whom, when, by whom, and what the law says to it."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crm import consent, db, ids
from crm.actor import Actor, Forbidden
from crm.callbacks import operations as callbacks
from crm.callbacks.operations import NoPromise, NotCallable, Promised, TakenBefore
from crm.callbacks.rows import CallbackNotFound, Closed, InProgress
from crm.callbacks.rules import Kind
from crm.consent import Channel, Purpose, Statement
from crm.consent import dnc as lists
from crm.contacts.queries import ContactNotFound
from tests.conftest import Tenant
from tests.crm.callbacks.floor import (
    HOUR,
    MINUTE,
    QUEUE,
    attempts,
    calls,
    calls_in,
    on_duty,
    one,
    open_queue,
    people,
    promise,
    talks,
    told,
    turn,
)

NIGHT = datetime.fromisoformat("2026-03-03T21:30+00:00")
"""Half past midnight in Istanbul."""


@pytest.fixture(autouse=True)
async def queue(tenant: Tenant, now: datetime) -> None:
    """The queue there is."""
    await open_queue(tenant, now - HOUR)


async def say(tenant: Tenant, contact_id: UUID, status: consent.Status, now: datetime) -> None:
    """Write down what a person said about calls."""
    statement = Statement(Channel.call, Purpose.enquiry, status, "phone", {"said": "so"})
    await db.run(tenant.admin, lambda tx: consent.record(tx, contact_id, statement, now=now))


class TestRequest:
    async def test_promises_within_the_firms_window(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)

        row = await one(tenant, await promise(tenant, person, now))

        assert (row["status"], row["due_at"], row["enqueued_at"]) == ("scheduled", now, now)
        assert (row["promised_from"], row["promised_until"]) == (now, now + HOUR)
        assert row["expires_at"] == now + 5 * HOUR
        assert await told(tenant, row["id"]) == ["requested", "scheduled"]

    async def test_promises_nobody_the_same_twice_however_many_ask_at_once(
        self, tenant: Tenant, now: datetime
    ) -> None:  # fmt: skip
        [person] = await people(tenant, 1, now)

        made = await asyncio.gather(*(promise(tenant, person, now) for _ in range(6)), return_exceptions=True)

        [first] = [each for each in made if isinstance(each, UUID)]
        refused = [each for each in made if isinstance(each, Promised)]
        assert len(refused) == 5
        assert {each.fields["callback_id"] for each in refused} == {str(first)}

    async def test_may_promise_one_from_each_queue(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        agent = await on_duty(tenant, now)
        await promise(tenant, person, now)

        other = await promise(tenant, person, now, queue=None, agent_user_id=agent.user_id)

        assert (await one(tenant, other))["queue"] is None
        with pytest.raises(Promised):
            await promise(tenant, person, now, queue=None, agent_user_id=agent.user_id)

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"queue": None}, "queue"),
            ({"queue": "nowhere"}, "queue"),
            ({"agent_user_id": UUID(int=5)}, "agent_user_id"),
            ({"lead_id": UUID(int=5)}, "lead_id"),
            ({"promised_from": timedelta(hours=-1)}, "promised_from"),
            ({"promised_from": timedelta(days=91)}, "promised_from"),
            ({"promised_until": timedelta(0)}, "promised_until"),
            ({"promised_until": timedelta(days=8)}, "promised_until"),
        ],
    )
    async def test_names_what_cannot_be_promised(
        self, tenant: Tenant, now: datetime, wrong: dict[str, Any], field: str
    ) -> None:  # fmt: skip
        [person] = await people(tenant, 1, now)
        more = {name: now + value if isinstance(value, timedelta) else value for name, value in wrong.items()}

        with pytest.raises(NoPromise) as caught:
            await promise(tenant, person, now, **more)

        assert list(caught.value.fields) == [field]

    async def test_takes_a_persons_own_wish_for_their_word_as_long_as_it_is_good(
        self, tenant: Tenant, now: datetime
    ) -> None:  # fmt: skip
        [person] = await people(tenant, 1, now)
        await say(tenant, person[0], consent.Status.denied, now - MINUTE)

        with pytest.raises(NotCallable) as caught:
            await promise(tenant, person, now, kind=Kind.agent)
        await promise(tenant, person, now, kind=Kind.web, evidence={"form": "call-me"})

        async with db.transaction(tenant.system) as tx:
            fact = await tx.fetchrow(
                "select status, legal_basis, source, evidence, valid_until from crm.consent order by id desc limit 1"
            )
            later = await consent.may_contact(tx, person[0], Channel.call, Purpose.enquiry, at=now + 5 * HOUR)
        assert caught.value.fields == {"reason": "opted_out"}
        assert fact is not None
        assert (fact["status"], fact["legal_basis"], fact["source"]) == ("granted", "request", "callback")
        assert (fact["evidence"]["asked_by"], fact["evidence"]["form"]) == ("web", "call-me")
        assert fact["valid_until"] == now + 5 * HOUR
        assert later.reason is consent.Reason.opted_out

    async def test_never_lifts_the_do_not_contact_list(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await db.run(tenant.admin, lambda tx: lists.add_contact(tx, person[0], ["phone"], reason="asked", now=now))

        with pytest.raises(NotCallable) as caught:
            await promise(tenant, person, now)

        assert caught.value.fields == {"reason": "dnc"}

    async def test_promises_no_time_at_which_people_are_not_called(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)

        with pytest.raises(NotCallable) as caught:
            await promise(tenant, person, now, promised_from=NIGHT)
        made = await promise(tenant, person, now, promised_from=NIGHT, promised_until=NIGHT + 12 * HOUR)

        row = await one(tenant, made)
        assert caught.value.fields["reason"] == "outside_hours"
        assert row["due_at"].isoformat() == caught.value.fields["not_before"] > NIGHT.isoformat()

    async def test_is_for_those_who_see_the_person(
        self, tenant: Tenant, other_tenant: Tenant, now: datetime
    ) -> None:  # fmt: skip
        [person] = await people(tenant, 1, now)

        for actor in (tenant.sales_agent, other_tenant.admin):
            with pytest.raises(ContactNotFound):
                await promise(tenant, person, now, actor=actor)
        with pytest.raises(Forbidden):
            await promise(tenant, person, now, actor=tenant.compliance_auditor)

    async def test_is_for_the_agent_who_has_just_spoken_with_them(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        agent = await on_duty(tenant, now)
        call_id = await calls_in(tenant, person, now)
        await talks(tenant, call_id, now, until=now + MINUTE)
        wanted = {"actor": agent, "kind": Kind.agent, "queue": None, "agent_user_id": agent.user_id}

        made = await promise(tenant, person, now + HOUR, **wanted)

        assert (await one(tenant, made))["agent_user_id"] == agent.user_id
        with pytest.raises(ContactNotFound):
            await promise(tenant, person, now + 25 * HOUR, **wanted)


class TestReschedule:
    async def test_agrees_on_another_time(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        for _ in range(2):
            await db.run(tenant.admin, lambda tx: callbacks.reschedule(tx, made, now + 2 * HOUR, now=now))

        row = await one(tenant, made)
        assert (row["promised_from"], row["promised_until"], row["due_at"]) == (
            now + 2 * HOUR, now + 3 * HOUR, now + 2 * HOUR
        )  # fmt: skip
        assert await told(tenant, made) == ["requested", "scheduled", "rescheduled"]

    async def test_refuses_the_past_and_what_has_ended(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        with pytest.raises(NoPromise):
            await db.run(tenant.admin, lambda tx: callbacks.reschedule(tx, made, now - HOUR, now=now))
        await db.run(tenant.admin, lambda tx: callbacks.cancel(tx, made, reason="customer", now=now))
        with pytest.raises(Closed):
            await db.run(tenant.admin, lambda tx: callbacks.reschedule(tx, made, now + HOUR, now=now))


class TestCancel:
    async def test_ends_it_once(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        for _ in range(2):
            await db.run(tenant.admin, lambda tx: callbacks.cancel(tx, made, reason="customer", now=now))

        row = await one(tenant, made)
        assert (row["status"], row["reason"], row["ended_at"]) == ("cancelled", "customer", now)
        assert await told(tenant, made) == ["requested", "scheduled", "cancelled"]
        assert isinstance(await promise(tenant, person, now), UUID)

    async def test_does_not_cancel_what_rings(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        await on_duty(tenant, now)
        made = await promise(tenant, person, now)
        await turn(tenant, now)

        with pytest.raises(InProgress):
            await db.run(tenant.admin, lambda tx: callbacks.cancel(tx, made, reason="customer", now=now))

    async def test_knows_only_ones_own(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        for actor, which in ((tenant.sales_agent, made), (other_tenant.admin, made), (tenant.admin, ids.new())):
            with pytest.raises(CallbackNotFound):
                await db.run(
                    actor, lambda tx, which=which: callbacks.cancel(tx, which, reason="customer", now=now)
                )  # fmt: skip


class TestTake:
    async def test_makes_it_with_ones_own_telephone_at_once(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        agent = await on_duty(tenant, now)
        made = await promise(tenant, person, now, promised_from=now + HOUR)

        await db.run(agent, lambda tx: callbacks.take(tx, made, now=now))
        await turn(tenant, now)

        [call] = await calls(tenant)
        assert (call["direction"], call["agent_user_id"], call["callback_id"]) == ("agent_first", agent.user_id, made)
        assert await attempts(tenant, made) == [(1, "open")]

    async def test_gives_it_to_the_first_of_two_who_grab_it(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        first = await on_duty(tenant, now)
        second = await on_duty(tenant, now, actor=tenant.sales_manager, endpoint="PJSIP/agent-2")
        made = await promise(tenant, person, now + MINUTE, promised_from=now + HOUR)
        grabs = [
            db.run(each, lambda tx: callbacks.take(tx, made, now=now)) for each in (first, _without_rights(second))
        ]

        done = await asyncio.gather(*grabs, return_exceptions=True)

        assert [type(each) for each in done if each is not None] in ([TakenBefore], [CallbackNotFound])
        assert (await one(tenant, made))["agent_user_id"] in (first.user_id, second.user_id)

    async def test_needs_a_telephone(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        with pytest.raises(NoPromise):
            await db.run(tenant.admin, lambda tx: callbacks.take(tx, made, now=now))

    async def test_is_of_an_open_queues_agents(self, tenant: Tenant, now: datetime) -> None:
        [person] = await people(tenant, 1, now)
        made = await promise(tenant, person, now)

        with pytest.raises(CallbackNotFound):
            await db.run(tenant.sales_agent, lambda tx: callbacks.take(tx, made, now=now))
        agent = await on_duty(tenant, now)
        await db.run(agent, lambda tx: callbacks.take(tx, made, now=now))

        assert (await one(tenant, made))["queue"] == QUEUE


def _without_rights(actor: Actor) -> Actor:
    return replace(actor, permissions=actor.permissions - {"callback.manage"})
