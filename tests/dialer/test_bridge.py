"""Calls over the bridge, from the wish to the end, on a loopback exchange."""

import pytest

from crm import clock, db, errors
from crm.calls import operations as calls
from crm.calls import wishes
from crm.consent.rules import Purpose
from dialer.exchange.people import Answer, Party
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.dialer.floor import Floor, at_work

NUMBER = "+905321234567"
CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.fixture
async def floor(tenant):
    async with at_work(tenant) as floor:
        yield floor


class TestClickToCall:
    async def test_goes_from_the_wish_to_the_write_up(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        floor.people[CUSTOMER] = Party(rings_s=2, stays_s=8)

        placed = await floor.click(lead)
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert row["steps"] == [
            "requested", "checked", "originating", "agent_ringing", "ringing", "answered", "connected", "ended",
            "wrap_up",
        ]  # fmt: skip
        assert (row["outcome"], row["cause"], row["failure"]) == ("answered", 16, None)
        assert 7.5 < row["talk_s"] < 10

    @pytest.mark.parametrize(
        ("answer", "outcome", "failure"),
        [
            (Answer.busy, "busy", "customer.busy"),
            (Answer.silent, "no_answer", "customer.no_answer"),
            (Answer.congestion, "congestion", "network.congestion"),
            (Answer.unallocated, "invalid", "number.invalid"),
            (Answer.absent, "invalid", "number.invalid"),
        ],
    )
    async def test_tells_why_nobody_answered_and_frees_the_agent(self, floor: Floor, answer, outcome, failure):
        lead = await floor.lead(NUMBER)
        floor.people[CUSTOMER] = Party(answer)

        placed = await floor.click(lead)
        row = await floor.until_status(placed.call_id, "ended")

        assert (row["outcome"], row["failure"]) == (outcome, failure)
        assert await floor.agent_state() == "available"
        activity = await floor.rows(
            "select kind, direction, outcome from crm.activity where id = $1", row["activity_id"]
        )
        assert activity == [{"kind": "call", "direction": "outbound", "outcome": outcome}]

    async def test_counts_an_agent_who_does_not_answer_as_having_missed_it(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        floor.people["PJSIP/agent-1"] = Party(Answer.silent)

        placed = await floor.click(lead)
        row = await floor.until_status(placed.call_id, "ended")

        assert (row["outcome"], row["failure"], row["activity_id"]) == ("agent_no_answer", "agent.no_answer", None)
        assert await floor.rows("select missed from crm.agent_session") == [{"missed": 1}]

    async def test_is_the_leads_first_attempt(self, floor: Floor):
        lead = await floor.lead(NUMBER)

        placed = await floor.click(lead)
        await floor.until_status(placed.call_id, "connected")

        [row] = await floor.rows("select first_attempt_at from crm.lead where id = $1::uuid", lead)
        assert row["first_attempt_at"] is not None

    async def test_is_denied_to_who_may_not_be_called_and_rings_nowhere(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        await floor.list_number(NUMBER)

        placed = await floor.click(lead)

        row = await floor.call(placed.call_id)
        assert (placed.status, row["failure"], row["steps"]) == ("denied", "consent.dnc", ["requested", "denied"])
        assert await floor.rows("select * from crm.exchange_ask where kind = 'originate'") == []
        assert await floor.agent_state() == "available"

    async def test_stops_at_the_last_moment_for_who_withdrew_meanwhile(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        async with floor.out_of_reach():
            placed = await floor.click(lead)
            await floor.list_number(NUMBER)

        row = await floor.until_status(placed.call_id, "denied")

        assert row["failure"] == "consent.dnc"
        assert floor.exchange.board.book == []
        assert await floor.agent_state() == "available"

    async def test_is_let_go_when_the_exchange_comes_back_too_late(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        async with floor.out_of_reach():
            placed = await floor.click(lead)
            await floor.rows(
                "update crm.exchange_ask set expires_at = now() where call_id = $1::uuid returning id", placed.call_id
            )

            row = await floor.until_status(placed.call_id, "ended")

        assert (row["outcome"], row["failure"]) == ("failed", "exchange.too_late")
        assert await floor.agent_state() == "available"

    async def test_two_cannot_call_one_person_at_once(self, floor: Floor, tenant: Tenant):
        lead = await floor.lead(NUMBER)
        await floor.click(lead)

        with pytest.raises(errors.Conflict) as refused:
            await floor.click(lead)

        assert refused.value.code in ("agent.busy", "call.contact_busy")

    async def test_is_throttled(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        floor.people[CUSTOMER] = Party(Answer.busy)
        for _ in range(6):
            placed = await floor.click(lead)
            await floor.until_status(placed.call_id, "ended", "denied")

        with pytest.raises(calls.TooManyCalls):
            await floor.click(lead)


class TestWishes:
    async def talking(self, floor: Floor):
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")
        return placed.call_id

    async def wish(self, floor: Floor, wish, *args, **named):
        now = clock.utc_now()
        await db.run(floor.tenant.sales_agent, lambda tx: wish(tx, *args, **named, now=now))

    async def test_hold_and_resume(self, floor: Floor):
        call_id = await self.talking(floor)

        await self.wish(floor, wishes.hold, call_id)
        await floor.until_status(call_id, "held")
        await self.wish(floor, wishes.resume, call_id)
        await floor.until_status(call_id, "connected")
        await self.wish(floor, wishes.hang_up, call_id)
        row = await floor.until_status(call_id, "wrap_up")

        assert row["steps"][-5:] == ["connected", "held", "connected", "ended", "wrap_up"]
        assert row["held_s"] > 0
        told = await floor.rows(
            "select event_type from crm.event_log where aggregate_id = $1::uuid order by id", call_id
        )
        assert "call.resumed" in [each["event_type"] for each in told]

    async def test_hang_up_before_it_was_begun(self, floor: Floor):
        async with floor.out_of_reach():
            placed = await floor.click(await floor.lead(NUMBER))
            await self.wish(floor, wishes.hang_up, placed.call_id)
        [ask] = await floor.until_asks(placed.call_id, 1)

        row = await floor.call(placed.call_id)
        assert (row["status"], row["outcome"], row["failure"]) == ("ended", "cancelled", "call.cancelled")
        assert (ask["status"], floor.exchange.board.book) == ("refused", [])
        assert await floor.agent_state() == "available"

    async def test_hang_up_while_it_rings(self, floor: Floor):
        floor.people[CUSTOMER] = Party(rings_s=300)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "ringing")

        await self.wish(floor, wishes.hang_up, placed.call_id)
        row = await floor.until_status(placed.call_id, "ended")

        assert row["outcome"] == "cancelled"
        assert await floor.agent_state() == "available"

    async def test_mute_and_tones_are_done_and_the_tones_forgotten(self, floor: Floor):
        call_id = await self.talking(floor)

        await self.wish(floor, wishes.mute, call_id, is_muted=True)
        await self.wish(floor, wishes.play_dtmf, call_id, "12#")
        asks = await floor.until_asks(call_id, 3)

        assert [(each["kind"], each["status"]) for each in asks[1:]] == [("mute", "done"), ("play_dtmf", "done")]
        assert "digits" not in asks[2]["args"]

    async def test_another_agents_call_is_none_of_ones_own(self, floor: Floor, tenant: Tenant, now):
        call_id = await self.talking(floor)
        [other] = await hire(tenant, 1, now)

        with pytest.raises(errors.NotFound):
            await db.run(other, lambda tx: wishes.hold(tx, call_id, now=clock.utc_now()))

    async def test_nothing_is_held_before_anybody_speaks(self, floor: Floor):
        floor.people[CUSTOMER] = Party(rings_s=300)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "ringing")

        with pytest.raises(wishes.NotGoingOn):
            await self.wish(floor, wishes.hold, placed.call_id)

    async def test_a_dead_extension_is_refused_before_the_customer_is_sent_there(self, floor: Floor):
        call_id = await self.talking(floor)

        with pytest.raises(wishes.UnknownTarget):
            await self.wish(floor, wishes.transfer, call_id, wishes.Target(queue="nowhere"), is_attended=False)

        assert (await floor.call(call_id))["status"] == "connected"

    async def test_redial(self, floor: Floor):
        floor.people[CUSTOMER] = Party(Answer.busy)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "ended")
        floor.people[CUSTOMER] = Party()

        again = await db.run(
            floor.tenant.sales_agent,
            lambda tx: calls.redial(tx, placed.call_id, purpose=Purpose.marketing, now=clock.utc_now()),
        )
        row = await floor.call(again.call_id)

        [check] = await floor.rows("select purpose from crm.consent_check where id = $1", row["consent_check_id"])
        assert (row["redials_call_id"], check["purpose"]) == (placed.call_id, "marketing")


class TestQueues:
    async def test_a_caller_is_known_by_their_number_and_served(self, floor: Floor, tenant: Tenant):
        lead = await floor.lead(NUMBER)
        await floor.serve("sales")
        floor.people[CUSTOMER] = Party(stays_s=20)

        call_id = floor.arrives(NUMBER, "sales")
        row = await floor.until_status(call_id, "wrap_up")

        assert (row["lead_id"], row["agent_user_id"], row["queue"]) == (lead, tenant.sales_agent.user_id, "sales")
        assert row["steps"] == ["ringing", "queued", "agent_ringing", "connected", "ended", "wrap_up"]
        [visit] = await floor.rows(
            "select outcome, agent_user_id from crm.queue_visit where call_id = $1::uuid", call_id
        )
        assert visit == {"outcome": "answered", "agent_user_id": tenant.sales_agent.user_id}

    async def test_a_stranger_becomes_a_contact_who_can_be_called_back(self, floor: Floor):
        await floor.serve("sales")
        floor.people[CUSTOMER] = Party(stays_s=20)

        call_id = floor.arrives(NUMBER, "sales")
        row = await floor.until_status(call_id, "wrap_up")

        [contact] = await floor.rows(
            "select name, phone_masked from crm.contact where id = $1::uuid", row["contact_id"]
        )
        assert contact == {"name": "", "phone_masked": "+90 ••• ••• •• 67"}

    async def test_who_hides_their_number_is_served_all_the_same(self, floor: Floor):
        await floor.serve("sales")
        floor.people["PJSIP/anonymous@carrier"] = Party(stays_s=20)

        call_id = floor.arrives("anonymous", "sales")
        row = await floor.until_status(call_id, "wrap_up")

        assert (row["contact_id"], row["outcome"]) == (None, "answered")

    async def test_who_gives_up_has_abandoned(self, floor: Floor):
        await floor.serve("sales")
        floor.people["PJSIP/agent-1"] = Party(rings_s=9)
        floor.people[CUSTOMER] = Party(patience_s=4, stays_s=60)

        call_id = floor.arrives(NUMBER, "sales")
        row = await floor.until_status(call_id, "ended")

        assert (row["outcome"], row["failure"]) == ("abandoned", "customer.abandoned")
        await floor.until_agent("available")

    async def test_a_campaigns_call_comes_to_whoever_is_free(self, floor: Floor, tenant: Tenant):
        lead = await floor.lead(NUMBER)
        await floor.serve("sales")
        floor.people[CUSTOMER] = Party(rings_s=3, stays_s=30)

        dialled = await floor.dial(lead, queue="sales")
        row = await floor.until_status(dialled.call_id, "wrap_up")

        assert row["steps"] == [
            "requested", "checked", "originating", "ringing", "answered", "queued", "agent_ringing", "connected",
            "ended", "wrap_up",
        ]  # fmt: skip
        assert row["agent_user_id"] == tenant.sales_agent.user_id

    async def test_a_machine_is_told_from_a_person(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        await floor.serve("sales")
        floor.people[CUSTOMER] = Party(Answer.machine, rings_s=3)

        dialled = await floor.dial(lead, queue="sales", detects_machines=True)
        row = await floor.until_status(dialled.call_id, "ended")

        assert (row["outcome"], row["verdict"]) == ("machine", "machine")

    async def test_a_blind_transfer_takes_the_caller_to_another_queue_and_frees_the_agent(self, floor: Floor, now):
        await floor.serve("sales")
        [other] = await hire(floor.tenant, 1, now)
        await signed_on(floor.tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
        await floor.serve("care", endpoint="PJSIP/agent-2")
        call_id = floor.arrives(NUMBER, "sales")
        await floor.until_heard(call_id)

        await db.run(
            floor.tenant.sales_agent,
            lambda tx: wishes.transfer(tx, call_id, wishes.Target("care"), is_attended=False, now=clock.utc_now()),
        )
        await floor.until_agent("on_call", who=other)
        await floor.until_heard(call_id)
        await floor.until(call_id, lambda row: row["agent_user_id"] == other.user_id)
        await db.run(other, lambda tx: wishes.hang_up(tx, call_id, now=clock.utc_now()))
        row = await floor.until_status(call_id, "wrap_up")

        visits = await floor.rows(
            "select queue, outcome, agent_user_id from crm.queue_visit where call_id = $1::uuid order by visit_no",
            call_id,
        )
        assert visits == [
            {"queue": "sales", "outcome": "answered", "agent_user_id": floor.tenant.sales_agent.user_id},
            {"queue": "care", "outcome": "answered", "agent_user_id": other.user_id},
        ]
        assert row["agent_user_id"] == other.user_id
        assert await floor.agent_state() == "wrap_up"

    async def test_an_attended_transfer_leaves_the_customer_with_the_other_agent(self, floor: Floor, now):
        await floor.serve("sales")
        [other] = await hire(floor.tenant, 1, now)
        await signed_on(floor.tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
        call_id = floor.arrives(NUMBER, "sales")
        await floor.until_heard(call_id)

        target = wishes.Target(agent_user_id=other.user_id)
        await db.run(
            floor.tenant.sales_agent,
            lambda tx: wishes.transfer(tx, call_id, target, is_attended=True, now=clock.utc_now()),
        )
        await floor.until_agent("on_call", who=other)
        await db.run(floor.tenant.sales_agent, lambda tx: wishes.hang_up(tx, call_id, now=clock.utc_now()))
        await floor.until_agent("wrap_up")
        await floor.until(call_id, lambda row: row["agent_user_id"] == other.user_id)
        await db.run(other, lambda tx: wishes.hang_up(tx, call_id, now=clock.utc_now()))
        row = await floor.until_status(call_id, "wrap_up", "ended")

        assert (row["outcome"], row["agent_user_id"]) == ("answered", other.user_id)
        await floor.until_agent("wrap_up", who=other)
        assert await floor.agent_state() == "wrap_up"

    async def test_a_caller_is_given_to_an_agent_at_once(self, floor: Floor, now):
        [other] = await hire(floor.tenant, 1, now)
        await signed_on(floor.tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")

        target = wishes.Target(agent_user_id=other.user_id)
        await db.run(
            floor.tenant.sales_agent,
            lambda tx: wishes.transfer(tx, placed.call_id, target, is_attended=False, now=clock.utc_now()),
        )
        await floor.until_agent("on_call", who=other)
        await floor.until(placed.call_id, lambda row: row["agent_user_id"] == other.user_id)
        await db.run(other, lambda tx: wishes.hang_up(tx, placed.call_id, now=clock.utc_now()))
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert (row["outcome"], row["agent_user_id"]) == ("answered", other.user_id)

    async def test_a_second_agent_joins_the_conversation_and_is_busy_meanwhile(self, floor: Floor, now):
        [other] = await hire(floor.tenant, 1, now)
        await signed_on(floor.tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")

        await db.run(
            floor.tenant.sales_agent,
            lambda tx: wishes.invite(tx, placed.call_id, other.user_id, now=clock.utc_now()),
        )
        await floor.until_agent("on_call", who=other)
        [customer] = [each for each in floor.exchange.board.channels.values() if "carrier" in each.dialled]
        floor.exchange.board.hang_up(customer, 16)
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert row["outcome"] == "answered"
        assert row["agent_user_id"] == floor.tenant.sales_agent.user_id
        legs = await floor.rows("select agent_user_id from crm.call_leg where party = 'agent'")
        assert {each["agent_user_id"] for each in legs} == {floor.tenant.sales_agent.user_id, other.user_id}
