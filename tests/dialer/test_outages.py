"""The bridge through kills and cuts: no call is lost, none is dialled twice, none stays up for nobody."""

import asyncio

import pytest

from crm import clock
from crm.calls import sending
from dialer.exchange.people import Answer, Party
from tests.conftest import Tenant
from tests.dialer.floor import Floor, at_work, bridged

NUMBER = "+905321234567"
CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.fixture
async def floor(tenant):
    async with at_work(tenant) as floor:
        yield floor


def originates(floor: Floor) -> list[str]:
    """Return the ids of all channels the exchange ever made for calls we asked for."""
    ended = [str(each["uniqueid"]) for each in floor.exchange.board.book]
    return [*ended, *floor.exchange.board.channels]


class TestConnectionCut:
    @pytest.mark.parametrize("phase", ["agent_ringing", "ringing", "connected"])
    async def test_a_call_that_goes_on_is_followed_again(self, floor: Floor, phase):
        floor.people["PJSIP/agent-1"] = Party(rings_s=20, stays_s=10_000)
        floor.people[CUSTOMER] = Party(rings_s=20, stays_s=60)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, phase)

        floor.exchange.cut()
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert row["outcome"] == "answered"
        assert originates(floor).count(str(placed.call_id)) == 1

    @pytest.mark.parametrize("phase", ["ringing", "connected"])
    async def test_a_call_that_ends_unheard_is_closed(self, floor: Floor, phase):
        floor.people[CUSTOMER] = Party(rings_s=20, stays_s=40)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, phase)

        async with floor.out_of_reach():
            floor.exchange.board.hang_up(floor.exchange.board.channels[str(placed.call_id)], 16)
            await asyncio.sleep(0.5)
        row = await floor.until(placed.call_id, lambda row: row["ended_at"])

        assert row["status"] == ("wrap_up" if phase == "connected" else "ended")
        assert row["outcome"] == ("answered" if phase == "connected" else "unknown")


class TestCallersUnheard:
    async def test_who_came_meanwhile_and_waits_is_known(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        await floor.serve("sales")
        floor.people["PJSIP/agent-1"] = Party(rings_s=9)
        floor.people[CUSTOMER] = Party(patience_s=200, stays_s=400)
        async with floor.out_of_reach():
            call_id = floor.arrives(NUMBER, "sales")
            await asyncio.sleep(0.3)

        row = await floor.until(call_id, lambda row: row.get("lead_id"))

        assert (row["lead_id"], row["direction"]) == (lead, "inbound")
        await floor.until_status(call_id, "connected", "queued", "agent_ringing")


class TestRecords:
    """Calls that ended unheard, and whose end the exchange wrote down."""

    @pytest.mark.parametrize(
        ("party", "outcome"),
        [(Party(rings_s=10, stays_s=10_000), "answered"), (Party(Answer.busy, rings_s=10), "busy")],
    )
    async def test_tell_how_a_call_ended(self, tenant: Tenant, tmp_path, party, outcome):
        async with at_work(tenant, records=tmp_path / "Master.csv") as floor:
            await floor.serve("sales")
            floor.people[CUSTOMER] = party
            dialled = await floor.dial(await floor.lead(NUMBER), queue="sales")
            await floor.until_status(dialled.call_id, "ringing")

            async with floor.out_of_reach():
                await asyncio.sleep(1.5)
                if channel := floor.exchange.board.channels.get(str(dialled.call_id)):
                    floor.exchange.board.hang_up(channel, 16)
                await asyncio.sleep(0.3)
            row = await floor.until(dialled.call_id, lambda row: row["outcome"] == outcome)

            assert row["ended_at"] is not None
            assert (row["answered_at"] is not None) == (outcome == "answered")


class TestQueueLog:
    """Callers who were served, or gave up, while nobody listened."""

    @pytest.mark.parametrize(("is_served", "outcome"), [(True, "answered"), (False, "abandoned")])
    async def test_tells_what_became_of_a_caller(self, tenant: Tenant, tmp_path, is_served, outcome):
        async with at_work(tenant, queue_log=tmp_path / "queue_log") as floor:
            await floor.serve("sales")
            floor.people["PJSIP/agent-1"] = Party(rings_s=10 if is_served else 10_000, stays_s=10_000)
            floor.people[CUSTOMER] = Party(patience_s=40, stays_s=60)
            call_id = floor.arrives(NUMBER, "sales")
            await floor.until_status(call_id, "queued", "agent_ringing")

            async with floor.out_of_reach():
                async with asyncio.timeout(60):
                    while floor.exchange.board.channels:
                        await asyncio.sleep(0.1)
            row = await floor.until(call_id, lambda row: row["ended_at"])

            [stay] = await floor.rows("select * from crm.queue_visit where call_id = $1::uuid", call_id)
            assert (row["outcome"], stay["outcome"]) == (outcome, outcome)
            assert (stay["agent_user_id"] == tenant.sales_agent.user_id) is is_served
            assert ((stay["talk_s"] or 0) > 1) is is_served


class TestExchangeKilled:
    @pytest.mark.parametrize("phase", ["agent_ringing", "ringing", "connected"])
    async def test_its_calls_are_gone_and_its_agents_free(self, floor: Floor, phase):
        floor.people["PJSIP/agent-1"] = Party(rings_s=20, stays_s=10_000)
        floor.people[CUSTOMER] = Party(rings_s=20, stays_s=10_000)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, phase)

        await floor.restart_exchange()
        row = await floor.until(placed.call_id, lambda row: row["ended_at"])

        assert row["outcome"] == ("answered" if phase == "connected" else "unknown")
        await floor.until_agent("wrap_up" if phase == "connected" else "available")


class TestBridgeKilled:
    @pytest.mark.parametrize("phase", ["agent_ringing", "ringing", "connected"])
    async def test_the_next_one_goes_on(self, tenant: Tenant, phase):
        async with at_work(tenant) as floor:
            floor.people["PJSIP/agent-1"] = Party(rings_s=20, stays_s=10_000)
            floor.people[CUSTOMER] = Party(rings_s=20, stays_s=60)
            placed = await floor.click(await floor.lead(NUMBER))
            await floor.until_status(placed.call_id, phase)
            await floor.kill_bridge()

            async with bridged(tenant, floor.exchange):
                row = await floor.until_status(placed.call_id, "wrap_up")

            assert row["outcome"] == "answered"
            assert originates(floor).count(str(placed.call_id)) == 1

    async def test_what_was_taken_and_not_sent_is_never_sent(self, tenant: Tenant):
        async with at_work(tenant) as floor:
            await floor.kill_bridge()
            placed = await floor.click(await floor.lead(NUMBER))
            taken = await floor.as_system(lambda tx: sending.claim(tx, now=clock.utc_now()))
            await floor.rows(
                "update crm.call set updated_at = updated_at - interval '1 minute' where id = $1::uuid returning id",
                placed.call_id,
            )

            async with bridged(tenant, floor.exchange):
                row = await floor.until_status(placed.call_id, "ended")

            assert [each.call["id"] for each in taken if each.call] == [placed.call_id]
            assert row["outcome"] == "unknown"
            assert originates(floor) == []
            assert await floor.agent_state() == "available"


class TestDatabaseGone:
    async def test_what_was_heard_meanwhile_is_not_lost(self, floor: Floor):
        floor.people[CUSTOMER] = Party(rings_s=20, stays_s=30)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "ringing")

        async with floor.without_database():
            await asyncio.sleep(3)
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert row["steps"][-3:] == ["connected", "ended", "wrap_up"]
        assert 29 < row["talk_s"] < 32


class TestOrphans:
    async def test_a_channel_of_a_call_given_up_is_hung_up(self, floor: Floor):
        floor.people["PJSIP/agent-1"] = Party(rings_s=10_000)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "agent_ringing")
        await floor.rows("update crm.call set ended_at = now(), status = 'ended' where id = $1::uuid returning id",
                         placed.call_id)  # fmt: skip

        floor.exchange.cut()
        async with asyncio.timeout(60):
            while floor.exchange.board.channels:
                await asyncio.sleep(0.02)
