"""Calling a lead over HTTP: what is asked, what is answered, what is refused; and no number anywhere."""

import asyncio

import pytest

from api.schemas.calls import CallMade, CallRead
from crm import clock
from dialer.exchange.people import Answer, Party
from tests.crm.agents.floor import telephone
from tests.dialer.floor import Floor, at_work, may_call_always

NUMBER = "+905321234567"
CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.fixture
async def floor(tenant):
    async with at_work(tenant) as floor:
        yield floor


async def until(client, call_id, *statuses):
    """Poll a call until it is in one of some statuses."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.get(f"/pbx/calls/{call_id}")
            call = CallRead.model_validate_json(answer.text)
            if call.status in statuses:
                return call
            await asyncio.sleep(0.03)


class TestCallLead:
    async def test_answers_at_once_and_is_followed_by_polling(self, agent, floor: Floor):
        lead = await floor.lead(NUMBER)
        floor.people[CUSTOMER] = Party(rings_s=2, stays_s=30)

        answer = await agent.post(f"/leads/{lead}/call", json={})
        made = CallMade.model_validate_json(answer.text)
        call = await until(agent, made.call_id, "wrap_up")

        assert answer.status_code == 201
        assert set(answer.json()) >= {"callId", "status", "expiresAt"}
        assert "dialUrl" not in answer.json()
        assert (call.lead_id, call.outcome, call.asks[0].status) == (lead, "answered", "done")

    async def test_shows_no_number_anywhere(self, agent, floor: Floor):
        lead = await floor.lead(NUMBER)

        made = await agent.post(f"/leads/{lead}/call", json={})
        await until(agent, made.json()["callId"], "connected")
        read = await agent.get(f"/pbx/calls/{made.json()['callId']}")
        polled = await agent.get("/realtime/poll")

        told = await floor.rows("select payload_json::text as text from crm.event_log")
        asked = await floor.rows("select args::text as text, answer from crm.exchange_ask")
        noted = await floor.rows("select metadata_json::text as text from crm.audit_log")
        facts = await floor.rows("select body::text as text from crm.call_fact")
        everything = made.text + read.text + polled.text + str([told, asked, noted, facts])
        assert "5321234567" not in everything.replace(" ", "")

    async def test_is_refused_with_the_reason_in_ones_language(self, agent, floor: Floor):
        lead = await floor.lead(NUMBER)
        await floor.list_number(NUMBER)

        answer = await agent.post(f"/leads/{lead}/call", json={}, headers={"Accept-Language": "tr"})

        made = CallMade.model_validate_json(answer.text)
        assert (made.status, made.reason, made.message) == ("denied", "consent.dnc", "Arama yasağı listesinde")

    async def test_sent_twice_under_a_key_it_is_one_call(self, agent, floor: Floor):
        lead = await floor.lead(NUMBER)

        first = await agent.post(f"/leads/{lead}/call", json={}, headers={"Idempotency-Key": "one"})
        again = await agent.post(f"/leads/{lead}/call", json={}, headers={"Idempotency-Key": "one"})

        assert first.json()["callId"] == again.json()["callId"]
        assert len(await floor.rows("select id from crm.call")) == 1

    async def test_needs_a_telephone_and_to_be_signed_on(self, agent, tenant):
        now = clock.utc_now()
        await may_call_always(tenant, now)
        floor = Floor(tenant, None, None, None)  # type: ignore[arg-type]
        lead = await floor.lead(NUMBER)

        without = await agent.post(f"/leads/{lead}/call", json={})
        await telephone(tenant, now)
        signed_off = await agent.post("/pbx/dial", json={"lead_id": str(lead)})

        assert (without.status_code, without.json()["code"]) == (409, "agent.not_signed_on")
        assert (signed_off.status_code, signed_off.json()["code"]) == (409, "agent.not_signed_on")

    async def test_of_another_is_not_found(self, agent, tenant, floor: Floor):
        lead = await floor.lead(NUMBER, owner=tenant.sales_manager)

        answer = await agent.post(f"/leads/{lead}/call", json={})

        assert answer.status_code == 404


class TestSteering:
    async def test_goes_through_a_whole_conversation(self, agent, floor: Floor):
        lead = await floor.lead(NUMBER)
        made = (await agent.post("/pbx/dial", json={"lead_id": str(lead)})).json()["callId"]
        await until(agent, made, "connected")

        held = await agent.post(f"/pbx/calls/{made}/hold")
        await until(agent, made, "held")
        await agent.post(f"/pbx/calls/{made}/resume")
        await until(agent, made, "connected")
        muted = await agent.post(f"/pbx/calls/{made}/mute", json={"is_muted": True})
        tones = await agent.post(f"/pbx/calls/{made}/tones", json={"digits": "1#"})
        ended = await agent.post(f"/pbx/calls/{made}/hang-up")
        call = await until(agent, made, "wrap_up")

        assert [each.status_code for each in (held, muted, tones, ended)] == [200] * 4
        assert {each.kind for each in call.asks} == {"originate", "hold", "resume", "mute", "play_dtmf", "hang_up"}

    async def test_refuses_what_cannot_be(self, agent, floor: Floor):
        lead = await floor.lead(NUMBER)
        floor.people[CUSTOMER] = Party(Answer.answers, rings_s=300)
        made = (await agent.post("/pbx/dial", json={"lead_id": str(lead)})).json()["callId"]
        await until(agent, made, "ringing")

        held = await agent.post(f"/pbx/calls/{made}/hold")
        tones = await agent.post(f"/pbx/calls/{made}/tones", json={"digits": "call me"})
        nowhere = await agent.post(f"/pbx/calls/{made}/transfer", json={"queue": "nowhere"})

        assert (held.status_code, held.json()["code"]) == (409, "call.not_going_on")
        assert (tones.status_code, tones.json()["code"]) == (422, "call.not_tones")
        assert nowhere.status_code == 409
