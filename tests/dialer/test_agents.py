"""Agents and the members of the exchange's queues, in step over the bridge in both directions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from crm import clock, db
from crm.agents import operations
from dialer.exchange.people import Answer, Party
from dialer.exchange.queues import Member
from tests.conftest import Tenant
from tests.dialer.floor import Floor, at_work

AGENT = "PJSIP/agent-1"
NUMBERS = [f"+9053212345{n:02}" for n in range(5)]


@pytest.fixture
async def floor(tenant: Tenant) -> AsyncIterator[Floor]:
    """The floor with the firm's agent in a queue."""
    async with at_work(tenant) as floor:
        await floor.serve("sales")
        yield floor


def member(floor: Floor) -> Member:
    """Return the agent's place in the exchange's queue."""
    return floor.exchange.board.queues["sales"].members[AGENT]


async def until(question: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not (found if isinstance(found := question(), bool) else await found):
            await asyncio.sleep(0.02)


async def pauses_elsewhere(floor: Floor, is_paused: bool, reason: str) -> None:
    """Pause the agent by somebody else's hand."""
    fields = {"Interface": AGENT, "Paused": "true" if is_paused else "false", "Reason": reason}
    await floor.bridge.connection.say("QueuePause", fields)


async def pauses_asked(floor: Floor) -> int:
    """Return how often the exchange was asked to pause or unpause somebody."""
    [row] = await floor.rows("select count(*)::int as n from crm.exchange_ask where kind = 'queue_pause'")
    return int(row["n"])


async def is_answered(floor: Floor) -> bool:
    """Whether the exchange has answered all it was asked: a pause still under way would come after what follows."""
    return not await floor.rows("select 1 from crm.exchange_ask where answered_at is null limit 1")


class TestMirror:
    async def test_follows_an_agents_pause_to_the_exchange(self, floor: Floor) -> None:
        agent = floor.tenant.sales_agent

        await db.run(agent, lambda tx: operations.pause(tx, "lunch", now=clock.utc_now()))
        await until(lambda: member(floor).is_paused)
        reason = member(floor).reason
        await db.run(agent, lambda tx: operations.make_ready(tx, now=clock.utc_now()))
        await until(lambda: not member(floor).is_paused)

        assert reason == "santral.paused.lunch"
        assert await floor.agent_state() == "available"

    async def test_follows_a_pause_made_at_the_telephone_and_comes_to_rest(self, floor: Floor) -> None:
        await pauses_elsewhere(floor, True, "coffee")
        await floor.until_agent("paused")
        await asyncio.sleep(1)
        await until(lambda: is_answered(floor))
        asked = await pauses_asked(floor)
        await asyncio.sleep(1)

        assert await pauses_asked(floor) == asked <= 4
        assert member(floor).is_paused
        await pauses_elsewhere(floor, False, "")
        await floor.until_agent("available")

    async def test_pauses_who_does_not_answer_and_lets_the_caller_wait_for_others(self, floor: Floor) -> None:
        floor.people[AGENT] = Party(Answer.silent)

        floor.arrives(NUMBERS[0], "sales")
        await floor.until_agent("paused")
        await until(lambda: member(floor).is_paused)

        stood = await floor.rows("select state, reason from crm.agent_state order by started_at")
        states = [each["state"] for each in stood]
        paused = states.index("paused")
        # Who is rung again at once is not available in between; and it may ring once more before a pause is heard of.
        assert states[0] == "available"
        assert sorted(states[1:paused]) in (["available"] * n + ["ringing"] * 3 for n in range(3))
        assert stood[paused]["reason"] == "missed_calls"
        assert "available" not in states[paused:]

    async def test_keeps_the_next_caller_away_while_a_call_is_written_up(self, floor: Floor) -> None:
        floor.people[f"PJSIP/{NUMBERS[0].removeprefix('+')}@carrier"] = Party(rings_s=1, stays_s=40)
        first = floor.arrives(NUMBERS[0], "sales")
        await floor.until_status(first, "connected", "wrap_up")
        second = floor.arrives(NUMBERS[1], "sales")
        await floor.until_status(first, "wrap_up")
        await asyncio.sleep(0.5)
        during = (await floor.call(second))["status"]

        await db.run(floor.tenant.sales_agent, lambda tx: operations.make_ready(tx, now=clock.utc_now()))
        await floor.until_status(second, "connected")

        assert during == "queued"
        assert await floor.agent_state() == "on_call"
