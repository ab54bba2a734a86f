"""An exchange, or a line, that says things twice, late, in part, or of other calls: nothing is lost, nothing breaks."""

import asyncio

import pytest

from crm import clock
from dialer.exchange.lies import Lies
from dialer.exchange.people import Answer, Party
from dialer.exchange.server import Exchange
from tests.conftest import Tenant
from tests.crm.agents.floor import signed_on
from tests.dialer.floor import PATIENT, SECRET, Floor, bridged, may_call_always

CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.mark.parametrize(
    "lies",
    [Lies(seed=1, twice=0.5), Lies(seed=2, late=0.5, late_s=0.3), Lies(seed=3, foreign=0.5)],
    ids=["twice", "late", "foreign"],
)
async def test_calls_end_as_they_did(tenant: Tenant, lies: Lies):
    await may_call_always(tenant, clock.utc_now())
    people: dict[str, Party] = {}
    async with (
        Exchange(
            username="bridge", secret=SECRET, people=lambda who: people.get(who, PATIENT), speed=20, lies=lies
        ) as exchange,
        bridged(tenant, exchange) as (bridge, work),
    ):
        floor = Floor(tenant, exchange, bridge, work, people)
        await signed_on(tenant, clock.utc_now(), endpoint="PJSIP/agent-1")
        lead = await floor.lead("+905321234567")
        for party, outcome in ((Party(Answer.busy), "busy"), (Party(stays_s=20), "answered")):
            people[CUSTOMER] = party
            placed = await floor.click(lead)
            row = await floor.until(placed.call_id, lambda row: row["ended_at"])

            assert row["outcome"] == outcome
            await floor.until_agent("available", "wrap_up")
        assert not work.done()
        assert (bridge.foreign > 0) or not lies.foreign


async def test_torn_messages_end_no_bridge_and_no_call_stays_up(tenant: Tenant):
    await may_call_always(tenant, clock.utc_now())
    people = {CUSTOMER: Party(stays_s=20)}
    async with (
        Exchange(
            username="bridge", secret=SECRET, people=lambda who: people.get(who, PATIENT), speed=20,
            lies=Lies(seed=4, torn=0.3),
        ) as exchange,
        bridged(tenant, exchange) as (bridge, work),
    ):  # fmt: skip
        floor = Floor(tenant, exchange, bridge, work, people)
        await signed_on(tenant, clock.utc_now(), endpoint="PJSIP/agent-1")
        placed = await floor.click(await floor.lead("+905321234567"))
        await asyncio.sleep(3)
        exchange.liar = None
        exchange.cut()

        row = await floor.until(placed.call_id, lambda row: row["ended_at"])

        assert row["outcome"] in ("answered", "unknown")
        assert exchange.board.channels == {}
