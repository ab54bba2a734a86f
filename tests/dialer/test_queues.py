"""Queues as they are steered, on a loopback exchange over the bridge."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from crm import clock, db
from crm.agents import operations as agents
from crm.queues import actions
from crm.users import teams
from dialer.exchange.queues import Member, Queue
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.queues.factory import make_queue
from tests.dialer.floor import Floor, at_work, bridged

ENDPOINT = "PJSIP/agent-1"


@pytest.fixture
async def floor(tenant: Tenant):
    async with at_work(tenant, speed=1.0) as floor:
        yield floor


async def queue(floor: Floor, code: str = "sales", **settings: Any) -> UUID:
    """Have a queue since yesterday."""
    async with db.transaction(floor.tenant.system) as tx:
        return await make_queue(tx, code, since=clock.utc_now() - timedelta(days=1), **settings)


async def until(question: Callable[[], object], *, within: float = 60) -> None:
    async with asyncio.timeout(within):
        while not question():
            await asyncio.sleep(0.05)


def members(floor: Floor, code: str = "sales") -> dict[str, bool]:
    """Who is a member on the exchange, and paused there."""
    there = floor.exchange.board.queues.get(code)
    return {name: member.is_paused for name, member in there.members.items()} if there else {}


def waiting(floor: Floor, code: str = "sales") -> list[str]:
    """Who waits on the exchange, in its order, by the numbers they called from."""
    there = floor.exchange.board.queues.get(code)
    return [entry.channel.dialled.removeprefix("PJSIP/").partition("@")[0] for entry in there.waiting] if there else []


async def outcomes(floor: Floor, call_id: UUID) -> list[tuple[str, str]]:
    return [(code, outcome) for code, outcome, _ in await floor.visits(call_id)]


async def until_outcomes(floor: Floor, call_id: UUID, *wanted: tuple[str, str]) -> None:
    async with asyncio.timeout(60):
        while (found := await outcomes(floor, call_id)) != list(wanted):
            await asyncio.sleep(0.05)
            assert len(found) <= len(wanted), found


async def busy(floor: Floor) -> None:
    """Keep the firm's agent on the telephone, with a caller of the queue."""
    call_id = floor.arrives("+905320000000", "sales")
    await floor.until_status(call_id, "connected")


class TestMembers:
    async def test_follow_who_is_signed_on(self, floor: Floor, tenant: Tenant):
        await queue(floor)

        await until(lambda: members(floor) == {ENDPOINT: False})
        await db.run(tenant.sales_agent, lambda tx: agents.pause(tx, "break", now=clock.utc_now()))
        await until(lambda: members(floor) == {ENDPOINT: True})
        await db.run(tenant.sales_agent, lambda tx: agents.sign_off(tx, now=clock.utc_now()))
        await until(lambda: members(floor) == {})

    async def test_are_there_again_after_the_exchange_began_anew(self, floor: Floor):
        await queue(floor)
        await until(lambda: members(floor) == {ENDPOINT: False})

        await floor.restart_exchange()
        floor.exchange.board.queues.clear()

        await until(lambda: members(floor) == {ENDPOINT: False})

    async def test_answer_while_no_bridge_is_there(self, floor: Floor):
        await queue(floor)
        await until(lambda: members(floor) == {ENDPOINT: False})
        await floor.kill_bridge()

        floor.arrives("+905321111111", "sales")

        await until(lambda: floor.exchange.board.queues["sales"].members[ENDPOINT].is_in_call)


class TestOrder:
    async def test_a_caller_put_first_is_answered_first(self, floor: Floor, tenant: Tenant):
        await queue(floor)
        await until(lambda: members(floor) == {ENDPOINT: False})
        await busy(floor)
        calls = [floor.arrives(f"+90532111111{n}", "sales") for n in range(3)]
        for call_id in calls:
            await until_outcomes(floor, call_id, ("sales", "waiting"))
        until_then = clock.utc_now() + timedelta(minutes=5)

        await db.run(
            tenant.sales_manager,
            lambda tx: actions.prioritise(tx, calls[2], 9, reason="vip", until=until_then, now=clock.utc_now()),
        )

        await until(lambda: [number[-1] for number in waiting(floor)] == ["2", "0", "1"])


class TestOverflow:
    async def test_goes_to_the_other_queue_and_is_answered_there(self, floor: Floor, tenant: Tenant):
        rule = {"after_s": 2, "way": {"to": "queue", "queue": "spare"}}
        nobody = [{"needs": [{"skill": "rare", "level": 5}]}]
        await queue(floor, "spare")
        await queue(floor, overflow=[rule], rings=nobody)
        desk = Member("PJSIP/desk", "PJSIP/desk", is_paused=True)
        floor.exchange.board.queues["sales"] = Queue("sales", members={desk.interface: desk})
        await until(lambda: members(floor, "spare") == {ENDPOINT: False})

        call_id = floor.arrives("+905321111111", "sales")
        await floor.until_status(call_id, "connected")

        assert await outcomes(floor, call_id) == [("sales", "overflow"), ("spare", "answered")]

    async def test_tells_and_lets_go_who_waited_as_long_as_one_may(self, floor: Floor):
        await queue(floor, max_wait_s=1)
        await until(lambda: members(floor) == {ENDPOINT: False})
        await busy(floor)

        call_id = floor.arrives("+905321111111", "sales")
        await floor.until(call_id, lambda row: row.get("ended_at"))

        await until_outcomes(floor, call_id, ("sales", "timeout"))


class TestActions:
    async def test_a_paused_queue_rings_nobody_until_it_resumes_by_itself(self, floor: Floor, tenant: Tenant):
        queue_id = await queue(floor)
        await until(lambda: members(floor) == {ENDPOINT: False})
        ends = clock.utc_now() + timedelta(seconds=6)
        await db.run(
            tenant.sales_manager,
            lambda tx: actions.pause(tx, queue_id, reason="drill", until=ends, now=clock.utc_now()),
        )
        await until(lambda: members(floor) == {ENDPOINT: True})

        call_id = floor.arrives("+905321111111", "sales")
        await until_outcomes(floor, call_id, ("sales", "waiting"))
        row = await floor.until_status(call_id, "connected")

        assert row["connected_at"] > ends
        assert await floor.agent_state() == "on_call"

    async def test_an_end_that_passed_while_no_bridge_was_there_is_made_up_for(self, floor: Floor, tenant: Tenant):
        queue_id = await queue(floor)
        await until(lambda: members(floor) == {ENDPOINT: False})
        ends = clock.utc_now() + timedelta(seconds=3)
        await db.run(
            tenant.sales_manager,
            lambda tx: actions.pause(tx, queue_id, reason="drill", until=ends, now=clock.utc_now()),
        )
        await until(lambda: members(floor) == {ENDPOINT: True})

        await floor.kill_bridge()
        await asyncio.sleep(max(0.0, (ends - clock.utc_now()).total_seconds()))
        async with bridged(tenant, floor.exchange):
            await until(lambda: members(floor) == {ENDPOINT: False})

        assert await floor.rows("select end_reason from crm.queue_action") == [{"end_reason": "expired"}]

    async def test_a_moved_caller_is_answered_where_they_were_moved_to(self, floor: Floor, tenant: Tenant):
        team = await db.run(tenant.admin, lambda tx: teams.create(tx, name="Support", now=clock.utc_now()))
        [other] = await hire(tenant, 1, clock.utc_now(), team_id=team)
        await signed_on(tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
        await queue(floor, rings=[{"teams": [str(tenant.team_id)]}])
        await queue(floor, "spare", rings=[{"teams": [str(team)]}])
        await until(lambda: (list(members(floor)), list(members(floor, "spare"))) == ([ENDPOINT], ["PJSIP/agent-2"]))
        await busy(floor)
        call_id = floor.arrives("+905321111111", "sales")
        await until_outcomes(floor, call_id, ("sales", "waiting"))
        ends = clock.utc_now() + timedelta(minutes=5)

        await db.run(
            tenant.sales_manager,
            lambda tx: actions.move(tx, call_id, "spare", reason="language", until=ends, now=clock.utc_now()),
        )
        await floor.until_status(call_id, "connected")

        assert await outcomes(floor, call_id) == [("sales", "overflow"), ("spare", "answered")]
