"""May I contact? On facts as intake, people and other operations really store them."""

import json
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from crm import consent, ids, tenant_settings
from crm.consent import Channel, Purpose, Reason, Status, dnc, own_hours, queries
from crm.consent.hours import WEEK, Window
from crm.contacts import operations as contacts
from crm.contacts.queries import ContactNotFound
from tests.conftest import Tenant
from tests.crm.consent.conftest import MakePerson, attempt, do, may, rows, said

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class TestMayContact:
    async def test_says_yes_with_the_fact_that_intake_stored(self, tenant: Tenant, make_person: MakePerson, now):
        person = await make_person(consents=[("call", "granted")])

        found = await may(tenant, person, now)

        facts = await rows(tenant, "select id from crm.consent where contact_id = $1::uuid", person)
        assert found.is_allowed
        assert (found.evidence.kind, found.evidence.id) == ("consent", facts[0]["id"])

    async def test_answers_an_enquiry_on_its_own_evidence_until_it_is_old(self, tenant, make_person, now):
        person = await make_person()

        soon = await may(tenant, person, now, purpose=Purpose.enquiry)
        late = await may(tenant, person, now + 365 * DAY, purpose=Purpose.enquiry)
        offer = await may(tenant, person, now)

        leads = await rows(tenant, "select id from crm.lead where contact_id = $1::uuid", person)
        assert (soon.evidence.kind, soon.evidence.id) == ("lead", leads[0]["id"])
        assert late.reason is Reason.no_consent
        assert offer.reason is Reason.no_consent

    async def test_asks_each_channel_for_itself(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted"), ("email", "denied")])

        answers = {each: (await may(tenant, person, now, channel=each)).reason for each in Channel}

        assert answers == {
            Channel.call: None, Channel.email: Reason.opted_out,
            Channel.sms: Reason.no_consent, Channel.whatsapp: Reason.no_consent,
        }  # fmt: skip

    async def test_a_refused_offer_stops_enquiries_and_not_appointments(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "denied")])

        assert (await may(tenant, person, now, purpose=Purpose.enquiry)).reason is Reason.opted_out
        assert (await may(tenant, person, now, purpose=Purpose.service)).is_allowed

    async def test_of_two_words_of_one_instant_the_no_holds(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted"), ("call", "denied")])

        assert (await may(tenant, person, now)).reason is Reason.opted_out

    async def test_counts_a_word_from_when_it_was_said(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "denied")])

        await do(tenant.admin, consent.record, person, said(valid_from=now - DAY), now=now + HOUR)
        old_paper = await may(tenant, person, now + HOUR)
        await do(tenant.admin, consent.record, person, said(valid_until=now + DAY), now=now + HOUR)
        spoken = await may(tenant, person, now + HOUR)

        assert old_paper.reason is Reason.opted_out
        assert spoken.is_allowed
        lapsed = now + DAY + HOUR
        assert (await may(tenant, person, lapsed)).reason is Reason.opted_out  # the no before it stands again
        assert (await may(tenant, person, lapsed, purpose=Purpose.enquiry)).reason is Reason.opted_out

    async def test_a_yes_lapses_at_its_instant(self, tenant, make_person, now):
        person = await make_person()
        await do(tenant.admin, consent.record, person, said(valid_until=now + HOUR), now=now)

        assert (await may(tenant, person, now + HOUR - timedelta(microseconds=1))).is_allowed
        assert (await may(tenant, person, now + HOUR)).reason is Reason.no_consent

    async def test_needs_an_address_for_the_channel(self, tenant, make_person, now):
        person = await make_person(phone="", consents=[("call", "granted"), ("email", "granted")])

        assert (await may(tenant, person, now)).reason is Reason.no_address
        assert (await may(tenant, person, now, channel=Channel.email)).is_allowed

    async def test_leaves_the_archived_and_the_erased_alone(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])

        await do(tenant.admin, contacts.archive, person, now=now)
        archived = await may(tenant, person, now)
        await rows(tenant, "update crm.contact set erased_at = $2::timestamptz where id = $1::uuid", person, now)
        erased = await may(tenant, person, now)

        assert archived.reason is Reason.archived
        assert erased.reason is Reason.erased

    async def test_keeps_to_the_hours_where_the_person_is(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted"), ("email", "granted")])
        night = now + 11 * HOUR  # half past eleven at night in Istanbul

        call = await may(tenant, person, night)

        assert (call.reason, call.not_before) == (Reason.outside_hours, now + 20.5 * HOUR)
        assert (await may(tenant, person, night, channel=Channel.email)).is_allowed

    async def test_calls_abroad_by_the_clock_there_and_narrows_it_by_the_number(self, tenant, make_person, now):
        person = await make_person(phone="+1 212 555 12 34", consents=[("call", "granted")])
        morning_in_new_york = now.replace(hour=13, minute=30)

        anywhere = await may(tenant, person, morning_in_new_york)
        there = await may(tenant, person, morning_in_new_york, number="+12125551234")

        assert anywhere.reason is Reason.outside_hours
        assert there.is_allowed

    async def test_keeps_to_the_firms_own_hours_from_their_day_on(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        tomorrow = (now + DAY).date()
        evenings = [Window(frozenset(WEEK), 17 * 60, 19 * 60)]

        await do(tenant.admin, own_hours.change, "TR", evenings, holidays=True, valid_from=tomorrow, now=now)

        assert (await may(tenant, person, now)).is_allowed
        later = await may(tenant, person, now + DAY)
        assert (later.reason, later.not_before) == (Reason.outside_hours, (now + DAY).replace(hour=14, minute=0))

    async def test_takes_hours_from_today_on_wherever_it_still_is_today(self, tenant, now):
        midnight = now.replace(hour=3)  # the third of March in Istanbul, still the second in most of America
        windows = [Window(frozenset(WEEK), 600, 660)]

        async def begin(country: str, day: int) -> None:
            begins = midnight.date().replace(day=day)
            await do(tenant.admin, own_hours.change, country, windows, holidays=True, valid_from=begins, now=midnight)

        await begin("US", 2)
        with pytest.raises(own_hours.BadHours):
            await begin("TR", 2)
        with pytest.raises(own_hours.BadHours):
            await begin("US", 1)

    async def test_never_calls_whose_number_is_listed_even_before_we_knew_them(self, tenant, make_person, now):
        await do(tenant.admin, dnc.add, "+90 532 123 45 67", reason="asked", now=now)

        person = await make_person(consents=[("call", "granted"), ("email", "granted")])

        assert (await may(tenant, person, now)).reason is Reason.dnc
        assert (await may(tenant, person, now, channel=Channel.sms)).reason is Reason.dnc
        assert (await may(tenant, person, now, channel=Channel.email)).is_allowed

    async def test_rests_after_an_outcome_for_the_hours_set(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted"), ("email", "granted")])
        await do(tenant.admin, tenant_settings.change, "consent.cooling_off_hours", {"angry": 48}, now=now)

        await attempt(tenant, person, now, outcome="angry")
        await attempt(tenant, person, now + HOUR, outcome="busy")

        call = await may(tenant, person, now + 2 * HOUR)
        email = await may(tenant, person, now + 2 * HOUR, channel=Channel.email)
        assert (call.reason, call.not_before) == (Reason.cooling_off, now + 48 * HOUR)
        assert email.reason is Reason.cooling_off
        assert (await may(tenant, person, now + 48 * HOUR)).is_allowed

    async def test_counts_what_we_sent_on_the_channel_and_nothing_else(self, tenant, make_person, now):
        person = await make_person(consents=[("sms", "granted")])
        caps = {"sms": {"per_day": 2, "per_week": 3}}
        await do(tenant.admin, tenant_settings.change, "consent.frequency_caps", caps, now=now)

        await attempt(tenant, person, now, channel="sms")
        await attempt(tenant, person, now + HOUR, channel="whatsapp")
        await attempt(tenant, person, now + HOUR, channel="sms", direction="inbound")
        once = await may(tenant, person, now + 2 * HOUR, channel=Channel.sms)
        await attempt(tenant, person, now + 2 * HOUR, channel="sms")
        twice = await may(tenant, person, now + 3 * HOUR, channel=Channel.sms)
        await attempt(tenant, person, now + DAY, channel="sms")
        week = await may(tenant, person, now + DAY + 3 * HOUR, channel=Channel.sms)

        assert once.is_allowed
        assert (twice.reason, twice.not_before) == (Reason.frequency_cap, now + DAY)
        assert (week.reason, week.not_before) == (Reason.frequency_cap, now + 7 * DAY)

    async def test_a_rule_set_later_says_nothing_of_before(self, tenant, make_person, now):
        person = await make_person(consents=[("sms", "granted")])
        await attempt(tenant, person, now, channel="sms")
        strict = {"sms": {"per_day": 1}}

        await do(
            tenant.admin, tenant_settings.change, "consent.frequency_caps", strict, now=now, valid_from=now + 2 * HOUR
        )

        assert (await may(tenant, person, now + HOUR, channel=Channel.sms)).is_allowed
        assert (await may(tenant, person, now + 2 * HOUR, channel=Channel.sms)).reason is Reason.frequency_cap

    async def test_knows_nobody_of_another_firm(self, tenant, other_tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])

        with pytest.raises(ContactNotFound):
            await may(other_tenant, person, now)


class TestMayContactMany:
    async def test_answers_each_as_if_asked_alone(self, tenant, make_person, now):
        people: list[UUID] = [
            await make_person(phone="0532 123 45 67", consents=[("call", "granted")]),
            await make_person(phone="+49 1511 2345678", consents=[("call", "denied")]),
            await make_person(phone="+1 212 555 12 34", consents=[("call", "granted")]),
        ]

        found = await do(
            tenant.system, consent.may_contact_many, [*people, ids.new()], Channel.call, Purpose.marketing, at=now
        )

        assert found == {person: await may(tenant, person, now) for person in people}
        assert len({answer.reason for answer in found.values()}) == 3


class TestLedger:
    async def test_shows_every_word_the_latest_first(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        await do(tenant.admin, consent.record, person, said(Status.withdrawn), now=now + HOUR)

        facts = [json.loads(each) for each in await do(tenant.admin, queries.ledger, person)]

        assert [fact["status"] for fact in facts] == ["withdrawn", "granted"]
        assert facts[0]["withdraws"] == facts[1]["id"]
        assert facts[0]["recorded_by"]["id"] == str(tenant.admin.user_id)
        assert facts[1]["recorded_by"] is None
        assert datetime.fromisoformat(facts[1]["valid_from"]) == now
