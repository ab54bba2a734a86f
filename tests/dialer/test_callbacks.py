"""Callers who let go of the telephone and are called back, over the bridge and a loopback exchange."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from crm import clock, db
from crm.agents import operations as agents
from crm.callbacks import holding
from crm.callbacks import operations as callbacks
from crm.callbacks.chore import Callbacks
from crm.callbacks.operations import Request
from crm.callbacks.rules import Kind
from crm.chores import follow
from dialer.exchange.people import Answer, Party
from tests.conftest import Tenant
from tests.dialer.floor import Floor, at_work
from tests.dialer.test_queues import ENDPOINT, members, outcomes, queue, until, until_outcomes

NUMBER, OTHER = "+905321111111", "+905322222222"


@pytest.fixture
async def floor(tenant: Tenant) -> AsyncIterator[Floor]:
    """The floor, its callbacks looked after as in the worker."""
    async with at_work(tenant, speed=1.0) as floor:
        stop, chore = asyncio.Event(), Callbacks(clock.utc_now)
        chore.every = 0.5
        tasks = [asyncio.create_task(follow([chore], stop)), asyncio.create_task(chore.run(stop))]
        yield floor
        stop.set()
        await asyncio.gather(*tasks)


async def callback(floor: Floor, *statuses: str) -> dict[str, Any]:
    """Wait until there is a callback that stands so; return it."""
    async with asyncio.timeout(60):
        while True:
            rows = await floor.rows("select * from crm.callback order by id desc limit 1")
            if rows and rows[0]["status"] in statuses:
                return rows[0]
            await asyncio.sleep(0.05)


async def serves(floor: Floor, **settings: Any) -> None:
    """Have the queue, and the firm's agent in it."""
    await queue(floor, **settings)
    await until(lambda: members(floor) == {ENDPOINT: False})


class TestVirtualHold:
    async def test_keeps_the_place_before_those_who_came_later(self, floor: Floor, tenant: Tenant) -> None:
        await serves(floor)
        floor.people["PJSIP/905320000000@carrier"] = Party(rings_s=1, stays_s=8)
        occupying = floor.arrives("+905320000000", "sales")
        await floor.until_status(occupying, "connected")
        first = floor.arrives(NUMBER, "sales")
        await until_outcomes(floor, first, ("sales", "waiting"))

        made = await db.run(tenant.admin, lambda tx: holding.hold(tx, first, now=clock.utc_now()))
        await until_outcomes(floor, first, ("sales", "callback"))
        later = floor.arrives(OTHER, "sales")
        await until_outcomes(floor, later, ("sales", "waiting"))
        row = await callback(floor, "attempted")
        await floor.until_status(row["call_id"], "queued")
        await floor.until_agent("wrap_up")
        await _resume(tenant)
        back = await floor.until_status(row["call_id"], "connected")

        assert (row["id"], back["callback_id"], back["purpose"]) == (made, made, "callback")
        assert await outcomes(floor, later) == [("sales", "waiting")]

    async def test_promises_what_the_queues_own_rule_offers_a_stranger(self, floor: Floor, tenant: Tenant) -> None:
        await serves(floor, overflow=[{"after_s": 1, "way": {"to": "callback"}}])
        await _pause(floor, tenant)

        call_id = floor.arrives(NUMBER, "sales")
        await until_outcomes(floor, call_id, ("sales", "callback"))
        row = await callback(floor, "scheduled")
        await _resume(tenant)
        row = await callback(floor, "attempted")
        back = await floor.until_status(row["call_id"], "connected")

        [wish] = await floor.rows("select source, purpose, status from crm.consent")
        assert (row["source_call_id"], row["kind"], back["contact_id"]) == (call_id, "hold", row["contact_id"])
        assert tuple(wish.values()) == ("callback", "enquiry", "granted")


class TestKey:
    async def test_keeps_the_place_of_a_caller_who_presses_it(self, floor: Floor, tenant: Tenant) -> None:
        await serves(floor)
        await _pause(floor, tenant)
        floor.people["PJSIP/905321111111@carrier"] = Party(rings_s=1, presses_after_s=2)

        call_id = floor.arrives(NUMBER, "sales")
        await until_outcomes(floor, call_id, ("sales", "callback"))
        row = await callback(floor, "scheduled")
        floor.people["PJSIP/905321111111@carrier"] = Party(rings_s=1)
        await _resume(tenant)
        row = await callback(floor, "attempted")
        back = await floor.until_status(row["call_id"], "connected")

        [visit] = await floor.rows("select enqueued_at from crm.queue_visit where call_id = $1::uuid", call_id)
        assert (row["source_call_id"], row["enqueued_at"]) == (call_id, visit["enqueued_at"])
        assert (back["callback_id"], back["contact_id"]) == (row["id"], row["contact_id"])


class TestRetries:
    async def test_tries_again_later_when_the_line_is_busy(self, floor: Floor) -> None:
        await serves(floor)
        floor.people["PJSIP/905321111111@carrier"] = Party(answer=Answer.busy, rings_s=1)
        lead_id = await floor.lead(NUMBER)

        made = await _promise(floor, lead_id)
        await callback(floor, "attempted")
        row = await callback(floor, "scheduled")

        assert (row["id"], row["attempts"], row["last_outcome"]) == (made, 1, "busy")
        assert row["due_at"] > row["last_attempt_at"]

    async def test_completes_when_the_talk_is_over(self, floor: Floor, tenant: Tenant) -> None:
        await serves(floor)
        floor.people["PJSIP/905321111111@carrier"] = Party(rings_s=1, stays_s=3)
        lead_id = await floor.lead(NUMBER)

        made = await _promise(floor, lead_id, queue=None, agent_user_id=tenant.sales_agent.user_id, kind=Kind.agent)
        row = await callback(floor, "completed")

        call = await floor.call(row["call_id"])
        assert (row["id"], row["reason"], row["reached_at"]) == (made, "reached", call["connected_at"])
        assert (call["direction"], call["agent_user_id"]) == ("agent_first", tenant.sales_agent.user_id)


async def _promise(floor: Floor, lead_id: UUID, **more: Any) -> UUID:
    [lead] = await floor.rows("select contact_id from crm.lead where id = $1::uuid", lead_id)
    wanted = {"kind": Kind.web, "contact_id": lead["contact_id"], "lead_id": lead_id, "queue": "sales", **more}
    return await db.run(
        floor.tenant.admin, lambda tx: callbacks.request(tx, Request(**wanted), now=clock.utc_now())
    )  # fmt: skip


async def _pause(floor: Floor, tenant: Tenant) -> None:
    await db.run(tenant.sales_agent, lambda tx: agents.pause(tx, "break", now=clock.utc_now()))
    await until(lambda: members(floor) == {ENDPOINT: True})


async def _resume(tenant: Tenant) -> None:
    await db.run(tenant.sales_agent, lambda tx: agents.make_ready(tx, now=clock.utc_now()))
