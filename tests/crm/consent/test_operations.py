"""What people said, written down; and the check before a contact, kept whatever its answer."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from crm import consent, db, errors, ids, tenant_settings
from crm.actor import Forbidden
from crm.consent import Channel, Purpose, Reason, Status, dnc
from crm.consent.operations import BadValidity, EvidenceMissing, UnknownLead
from crm.contacts.queries import ContactNotFound
from tests.crm.consent.conftest import attempt, do, may, rows, said

HOUR = timedelta(hours=1)


async def hints(tenant, person):
    found = await rows(tenant, "select consented, opted_out from crm.contact where id = $1::uuid", person)
    return found[0]["consented"], found[0]["opted_out"]


class TestRecord:
    async def test_writes_the_fact_its_traces_and_what_lists_show(self, tenant, make_person, now):
        person = await make_person()

        fact = await do(tenant.admin, consent.record, person, said(), now=now)

        stored = (await rows(tenant, "select * from crm.consent where id = $1::uuid", fact))[0]
        assert (stored["status"], stored["purpose"], stored["legal_basis"]) == ("granted", "marketing", "consent")
        assert stored["recorded_by"] == tenant.admin.user_id
        assert await hints(tenant, person) == (["call"], [])
        event = (await rows(tenant, "select * from crm.event_log order by id desc limit 1"))[0]
        assert (event["event_type"], event["aggregate_id"]) == ("contact.consent_granted", person)
        assert event["payload_json"]["consent_id"] == str(fact)
        shown = (await rows(tenant, "select * from crm.activity order by id desc limit 1"))[0]
        assert (shown["kind"], shown["channel"], shown["contact_id"]) == ("contact.consent_granted", "call", person)
        assert (await rows(tenant, "select * from crm.audit_log order by id desc limit 1"))[0]["action"] == (
            "consent.record"
        )

    async def test_a_no_names_the_yes_it_takes_back(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted"), ("sms", "granted")])
        yes = await rows(tenant, "select id from crm.consent where contact_id = $1::uuid and channel = 'call'", person)

        no = await do(tenant.admin, consent.record, person, said(Status.withdrawn), now=now + HOUR)

        stored = (await rows(tenant, "select * from crm.consent where id = $1::uuid", no))[0]
        assert stored["withdraws"] == yes[0]["id"]
        assert await hints(tenant, person) == (["sms"], ["call"])

    async def test_a_yes_after_a_no_holds_again(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "denied")])

        await do(tenant.admin, consent.record, person, said(), now=now + HOUR)

        assert await hints(tenant, person) == (["call"], [])
        assert (await may(tenant, person, now + HOUR)).is_allowed

    async def test_a_yes_shows_nothing_of_a_number_that_is_listed(self, tenant, make_person, now):
        person = await make_person()
        await do(tenant.admin, dnc.add, "0532 123 45 67", reason="asked", now=now)

        await do(tenant.admin, consent.record, person, said(), now=now + HOUR)

        assert await hints(tenant, person) == ([], ["call", "sms", "whatsapp"])

    async def test_hides_numbers_in_the_evidence(self, tenant, make_person, now):
        person = await make_person()
        heard = {"said": "call me at +90 532 123 45 67"}

        fact = await do(tenant.admin, consent.record, person, said(evidence=heard), now=now)

        stored = await rows(tenant, "select evidence from crm.consent where id = $1::uuid", fact)
        assert stored[0]["evidence"] == {"said": "call me at •••"}

    async def test_wants_evidence_and_a_validity_that_can_be(self, tenant, make_person, now):
        person = await make_person()

        with pytest.raises(EvidenceMissing):
            await do(tenant.admin, consent.record, person, said(evidence={}), now=now)
        with pytest.raises(BadValidity):
            await do(tenant.admin, consent.record, person, said(valid_from=now + HOUR), now=now)
        with pytest.raises(BadValidity):
            await do(tenant.admin, consent.record, person, said(valid_until=now), now=now)
        with pytest.raises(BadValidity):
            await do(tenant.admin, consent.record, person, said(Status.denied, valid_until=now + HOUR), now=now)
        with pytest.raises(UnknownLead):
            await do(tenant.admin, consent.record, person, said(lead_id=ids.new()), now=now)
        assert await rows(tenant, "select 1 from crm.consent") == []

    async def test_is_for_those_who_see_the_person(self, tenant, make_person, now):
        person = await make_person()

        with pytest.raises(ContactNotFound):
            await do(tenant.sales_agent, consent.record, person, said(), now=now)
        with pytest.raises(Forbidden):
            await do(tenant.compliance_auditor, consent.record, person, said(), now=now)

    async def test_changes_no_fact_ever(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])

        for change in ("update crm.consent set status = 'denied'", "delete from crm.consent"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await rows(tenant, change)
        assert (await may(tenant, person, now)).is_allowed


class TestCheck:
    async def test_keeps_a_no_and_shows_it_on_the_timeline(self, tenant, make_person, now):
        person = await make_person()

        check, found = await do(tenant.admin, consent.check, person, Channel.call, Purpose.marketing, now=now)

        assert found.reason is Reason.no_consent
        kept = (await rows(tenant, "select * from crm.consent_check"))[0]
        assert (kept["id"], kept["is_allowed"], kept["reason"], kept["evidence_id"]) == (
            check, False, "no_consent", None,
        )  # fmt: skip
        shown = (await rows(tenant, "select * from crm.activity order by id desc limit 1"))[0]
        assert (shown["kind"], shown["outcome"]) == ("contact.contact_denied", "no_consent")
        event = (await rows(tenant, "select * from crm.event_log order by id desc limit 1"))[0]
        assert (event["event_type"], event["payload_json"]["reason"]) == ("contact.contact_denied", "no_consent")

    async def test_keeps_a_yes_with_its_evidence_and_shows_nothing(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        before = len(await rows(tenant, "select 1 from crm.activity"))

        _, found = await do(tenant.admin, consent.check, person, Channel.call, Purpose.marketing, now=now)

        kept = (await rows(tenant, "select * from crm.consent_check"))[0]
        assert (kept["is_allowed"], kept["evidence_kind"], kept["evidence_id"]) == (True, "consent", found.evidence.id)
        assert len(await rows(tenant, "select 1 from crm.activity")) == before

    async def test_a_denied_attempt_is_no_attempt(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        for hour in range(4):
            await attempt(tenant, person, now + hour * HOUR)

        for _ in range(10):
            await do(tenant.admin, consent.check, person, Channel.call, Purpose.marketing, now=now + 4 * HOUR)
        found = await may(tenant, person, now + 4 * HOUR)

        assert (found.reason, found.not_before) == (Reason.frequency_cap, now + 24 * HOUR)

    async def test_two_at_once_are_not_both_the_last_one_allowed(self, tenant, make_person, now):
        person = await make_person(consents=[("sms", "granted")])
        caps = {"sms": {"per_day": 2}}
        await do(tenant.admin, tenant_settings.change, "consent.frequency_caps", caps, now=now)

        asked = await asyncio.gather(
            *(do(tenant.admin, consent.check, person, Channel.sms, Purpose.marketing, now=now) for _ in range(8))
        )

        assert sorted(str(found.reason) for _, found in asked) == ["None"] * 2 + ["frequency_cap"] * 6

    async def test_one_that_was_made_frees_no_other_that_was_allowed(self, tenant, make_person, now):
        person = await make_person(consents=[("sms", "granted")])
        caps = {"sms": {"per_day": 2}}
        await do(tenant.admin, tenant_settings.change, "consent.frequency_caps", caps, now=now)

        for _ in range(2):
            await do(tenant.admin, consent.check, person, Channel.sms, Purpose.marketing, now=now)
        await attempt(tenant, person, now + timedelta(minutes=1), channel="sms")
        third = await may(tenant, person, now + timedelta(minutes=2), channel=Channel.sms)

        assert third.reason is Reason.frequency_cap

    async def test_what_was_allowed_counts_once_as_attempt_and_not_at_all_when_none_came(
        self, tenant, make_person, now
    ):
        person = await make_person(consents=[("sms", "granted")])
        caps = {"sms": {"per_day": 2}}
        await do(tenant.admin, tenant_settings.change, "consent.frequency_caps", caps, now=now)
        sms = {"channel": Channel.sms}

        await do(tenant.admin, consent.check, person, Channel.sms, Purpose.marketing, now=now)
        await attempt(tenant, person, now + timedelta(minutes=1), channel="sms")
        after_one = await may(tenant, person, now + timedelta(minutes=2), **sms)
        await do(tenant.admin, consent.check, person, Channel.sms, Purpose.marketing, now=now + timedelta(minutes=2))
        pending = await may(tenant, person, now + timedelta(minutes=3), **sms)
        given_up = await may(tenant, person, now + timedelta(minutes=18), **sms)

        assert after_one.is_allowed
        assert pending.reason is Reason.frequency_cap
        assert given_up.is_allowed

    async def test_is_undone_with_the_transaction_that_asked(self, tenant, make_person, now):
        person = await make_person()

        async def ask_and_fail(tx):
            await consent.check(tx, person, Channel.call, Purpose.marketing, now=now)
            raise errors.Conflict("something else went wrong")

        with pytest.raises(errors.Conflict):
            await db.run(tenant.admin, ask_and_fail)

        assert await rows(tenant, "select 1 from crm.consent_check") == []

    @pytest.mark.parametrize(
        ("number", "is_called"),
        [("+905321234567", True), ("+908500123456", True), ("+909001234567", False), ("+4918012345", False)],
    )
    async def test_numbers_that_cost_are_not_called_whoever_sent_them(
        self, tenant, make_person, now, number, is_called
    ):
        person = await make_person(phone=number)

        _, answer = await do(tenant.admin, consent.check, person, Channel.call, Purpose.enquiry, now=now)

        assert (answer.reason is Reason.number_not_allowed) is not is_called

    async def test_a_firm_says_which_kinds_and_countries_it_calls(self, tenant, make_person, now):
        abroad = await make_person(phone="+441212345678")
        await do(tenant.admin, tenant_settings.change, "consent.number_countries", ["TR"], now=now)
        here = await make_person(phone="+905321234567")

        answers = [
            (await do(tenant.admin, consent.check, each, Channel.call, Purpose.enquiry, now=now))[1]
            for each in (abroad, here)
        ]
        by_mail = await may(tenant, abroad, now, channel=Channel.email, purpose=Purpose.enquiry)

        assert [answer.reason is Reason.number_not_allowed for answer in answers] == [True, False]
        assert by_mail.is_allowed
