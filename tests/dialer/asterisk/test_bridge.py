"""The bridge as it is, on a real Asterisk with our templates: the calls of `tests/dialer/test_bridge.py` and more."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from crm import clock, db
from crm.calls import wishes
from crm.calls.wishes import Target
from dialer.ami.connection import Address, Connection
from dialer.bridge import Bridge
from dialer.exchange.people import Answer, Party
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.queues.factory import make_queue
from tests.dialer.asterisk.lab import SECRET, Lab
from tests.dialer.floor import LIMITS, Floor, may_call_always

NUMBER = "+905321234567"
STAYS = Party(rings_s=0.5, stays_s=120)


class LiveFloor(Floor):
    """A floor whose exchange is the laboratory's."""

    def behave(self, lab: Lab, customer: Party = STAYS, **phones: Party) -> None:
        """Say who is behind the customer's number and the agents' telephones."""
        agents = {f"agent-{n}": phones.get(f"agent_{n}", STAYS) for n in (1, 2, 3)}
        lab.people({NUMBER.removeprefix("+"): customer, **agents})


@pytest.fixture
async def floor(tenant: Tenant, lab: Lab) -> AsyncIterator[LiveFloor]:
    """A firm at work on it, its agent at `PJSIP/agent-1`."""
    now = clock.utc_now()
    await may_call_always(tenant, now)
    bridge = Bridge(Connection(Address("127.0.0.1", lab.ami, "santral", SECRET), limits=LIMITS), tenant.id)
    stop = asyncio.Event()
    work = asyncio.create_task(bridge.run(stop))
    await signed_on(tenant, now, endpoint="PJSIP/agent-1")
    floor = LiveFloor(tenant, None, bridge, work)  # type: ignore[arg-type]
    floor.behave(lab)
    try:
        yield floor
    finally:
        lab.run("channel request hangup all")
        await asyncio.sleep(0.5)
        stop.set()
        await work


async def wish(floor: Floor, what, *args, **named):
    now = clock.utc_now()
    return await db.run(floor.tenant.sales_agent, lambda tx: what(tx, *args, **named, now=now))


async def talking(floor: Floor):
    placed = await floor.click(await floor.lead(NUMBER))
    await floor.until_status(placed.call_id, "connected")
    return placed.call_id


async def test_a_click_to_call_is_held_muted_taken_up_and_ended(floor: LiveFloor, lab: Lab):
    call_id = await talking(floor)

    await wish(floor, wishes.hold, call_id)
    await floor.until_status(call_id, "held")
    await wish(floor, wishes.resume, call_id)
    await floor.until_status(call_id, "connected")
    await wish(floor, wishes.mute, call_id, is_muted=True)
    await wish(floor, wishes.play_dtmf, call_id, "1#")
    await floor.until_asks(call_id, 5)
    await wish(floor, wishes.hang_up, call_id)
    row = await floor.until_status(call_id, "wrap_up")

    assert row["steps"] == [
        "requested", "checked", "originating", "agent_ringing", "ringing", "answered", "connected", "held", "connected",
        "ended", "wrap_up",
    ]  # fmt: skip
    assert (row["outcome"], row["failure"]) == ("answered", None)
    assert {each["failure"] for each in await floor.until_asks(call_id, 6)} == {None}
    assert (lab.recordings / f"{call_id}.wav").stat().st_size > 1_000


@pytest.mark.parametrize(
    ("customer", "outcome"),
    [
        (Party(Answer.busy), "busy"),
        (Party(Answer.rejects), "rejected"),
        (Party(Answer.congestion), "congestion"),
        (Party(Answer.unallocated), "invalid"),
    ],
)
async def test_tells_why_nobody_answered(floor: LiveFloor, lab: Lab, customer: Party, outcome: str):
    floor.behave(lab, customer)

    placed = await floor.click(await floor.lead(NUMBER))
    row = await floor.until_status(placed.call_id, "ended")

    assert row["outcome"] == outcome
    assert await floor.agent_state() == "available"


async def test_a_call_is_given_to_a_queue(floor: LiveFloor, lab: Lab):
    await db.run(floor.tenant.system, lambda tx: make_queue(tx, since=clock.utc_now()))
    call_id = await talking(floor)

    await wish(floor, wishes.transfer, call_id, Target(queue="sales"), is_attended=False)
    await floor.until_asks(call_id, 2)
    rows = await until_rows(floor, "select * from crm.queue_visit where call_id = $1::uuid", call_id)

    assert rows[0]["queue"] == "sales"


async def test_a_call_is_given_to_a_colleague_after_asking(floor: LiveFloor, tenant: Tenant, lab: Lab):
    [colleague] = await hire(tenant, 1, clock.utc_now())
    await signed_on(tenant, clock.utc_now(), actor=colleague, endpoint="PJSIP/agent-2")
    call_id = await talking(floor)

    await wish(floor, wishes.transfer, call_id, Target(agent_user_id=colleague.user_id), is_attended=True)
    await asyncio.sleep(4)
    agents_leg = (await floor.rows(
        "select leg_id from crm.call_leg where call_id = $1::uuid and party = 'agent' order by started_at", call_id
    ))[0]["leg_id"]  # fmt: skip
    lab.run(f"channel request hangup {floor.bridge.ear.name_of(agents_leg)}")
    await asyncio.sleep(2)
    row = await floor.call(call_id)

    assert row["ended_at"] is None
    assert "agent-2" in lab.run("core show channels concise")


async def test_a_colleague_joins(floor: LiveFloor, tenant: Tenant, lab: Lab):
    [colleague] = await hire(tenant, 1, clock.utc_now())
    await signed_on(tenant, clock.utc_now(), actor=colleague, endpoint="PJSIP/agent-2")
    call_id = await talking(floor)

    await wish(floor, wishes.invite, call_id, colleague.user_id)
    await floor.until_asks(call_id, 2)
    await asyncio.sleep(2)

    assert "agent-2" in lab.run(f"confbridge list {call_id}")
    assert (await floor.call(call_id))["status"] == "connected"


async def test_a_call_that_comes_in_finds_an_agent(floor: LiveFloor, lab: Lab):
    await db.run(floor.tenant.system, lambda tx: make_queue(tx, since=clock.utc_now()))
    lab.run("queue add member PJSIP/agent-1 to sales")

    await asyncio.to_thread(lab.call_in, 5)
    [call] = await until_rows(floor, "select id from crm.call where direction = 'inbound'")
    connected = await floor.until_status(call["id"], "connected")
    ended = await floor.until_status(call["id"], "wrap_up", "ended")

    assert connected["agent_user_id"] == floor.tenant.sales_agent.user_id
    assert (ended["outcome"], ended["queue"]) == ("answered", "sales")
    assert ended["talk_s"] == pytest.approx(4, abs=1.5)


async def until_rows(floor: Floor, sql: str, *args):
    async with asyncio.timeout(10):
        while not (rows := await floor.rows(sql, *args)):
            await asyncio.sleep(0.05)
    return rows
