"""A supervisor hears a conversation over the bridge: no leg of the call, no figure of it, and gone with either end."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from crm import clock, db
from crm.calls import supervision, wishes
from crm.calls.supervision import Mode
from dialer.exchange.people import Answer, Party
from tests.conftest import Tenant
from tests.crm.agents.floor import telephone
from tests.dialer.floor import Floor, at_work

NUMBER = "+905321234567"


@pytest.fixture
async def floor(tenant: Tenant) -> AsyncIterator[Floor]:
    """The floor, with a manager who has a telephone."""
    await telephone(tenant, clock.utc_now(), actor=tenant.sales_manager, endpoint="PJSIP/agent-2")
    async with at_work(tenant) as floor:
        yield floor


async def begin(floor: Floor, call_id: UUID, mode: Mode) -> str:
    """Take part in a call as the manager, and return the leg of their telephone once it hears the agent."""
    await db.run(
        floor.tenant.sales_manager,
        lambda tx: supervision.begin(tx, call_id, mode, reason="coaching", now=clock.utc_now()),
    )
    [row] = await floor.rows("select ask_id from crm.call_supervision where ended_at is null")
    leg = str(row["ask_id"])
    await until(lambda: asyncio.sleep(0, _is_up(floor, leg)))
    return leg


def _is_up(floor: Floor, leg: str) -> bool:
    channel = floor.exchange.board.find(leg)
    return channel is not None and channel.answered is not None


async def until(question) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not await question():
            await asyncio.sleep(0.02)


async def is_over(floor: Floor) -> bool:
    return not await floor.rows("select from crm.call_supervision where ended_at is null")


class TestSupervision:
    @pytest.mark.parametrize("mode", list(Mode))
    async def test_is_no_part_of_the_call(self, floor: Floor, mode: Mode) -> None:
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")
        legs = await floor.rows("select leg_id from crm.call_leg order by leg_id")
        before = await floor.call(placed.call_id)

        leg = await begin(floor, placed.call_id, mode)
        during = await floor.call(placed.call_id)
        await db.run(
            floor.tenant.sales_manager, lambda tx: supervision.stop(tx, placed.call_id, now=clock.utc_now())
        )  # fmt: skip
        await until(lambda: asyncio.sleep(0, floor.exchange.board.find(leg) is None))
        await db.run(floor.tenant.sales_agent, lambda tx: wishes.hang_up(tx, placed.call_id, now=clock.utc_now()))
        after = await floor.until_status(placed.call_id, "wrap_up")

        assert (during["status"], during["steps"]) == ("connected", before["steps"])
        assert after["outcome"] == "answered"
        assert await floor.rows("select leg_id from crm.call_leg order by leg_id") == legs
        assert await floor.rows("select from crm.call where id <> $1::uuid", placed.call_id) == []

    async def test_ends_when_the_supervisor_puts_the_telephone_down(self, floor: Floor) -> None:
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")
        leg = await begin(floor, placed.call_id, Mode.listen)

        floor.exchange.board.hang_up(floor.exchange.board.find(leg), 16)

        await until(lambda: is_over(floor))
        assert (await floor.call(placed.call_id))["status"] == "connected"

    async def test_ends_with_the_call(self, floor: Floor) -> None:
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")
        leg = await begin(floor, placed.call_id, Mode.whisper)

        await db.run(floor.tenant.sales_agent, lambda tx: wishes.hang_up(tx, placed.call_id, now=clock.utc_now()))

        await floor.until_status(placed.call_id, "wrap_up")
        await until(lambda: is_over(floor))
        assert floor.exchange.board.find(leg) is None

    async def test_that_nobody_answers_leaves_the_call_as_it_is(self, floor: Floor) -> None:
        floor.people["PJSIP/agent-2"] = Party(Answer.busy)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")

        await db.run(
            floor.tenant.sales_manager,
            lambda tx: supervision.begin(tx, placed.call_id, Mode.barge, reason="coaching", now=clock.utc_now()),
        )

        await until(lambda: is_over(floor))
        row = await floor.call(placed.call_id)
        assert (row["status"], row["outcome"], row["failure"]) == ("connected", "answered", None)
