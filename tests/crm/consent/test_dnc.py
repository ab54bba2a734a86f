"""The do-not-contact list: found again unread, kept when taken off, the same for everyone."""

import asyncio
import json
from datetime import timedelta

import pytest

from crm import codes, consent
from crm.actor import Forbidden
from crm.consent import Channel, Reason, dnc
from tests.crm.consent.conftest import do, may, rows, said

NUMBER = "0532 123 45 67"
LATER = timedelta(hours=1)


class TestAdd:
    async def test_keeps_no_address_in_clear(self, tenant, now):
        entry = await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now)

        stored = (await rows(tenant, "select * from crm.dnc_entry"))[0]
        assert (stored["id"], stored["kind"], stored["masked"]) == (entry, "phone", "+90 ••• ••• •• 67")
        everything = repr([await rows(tenant, f"select * from crm.{table}") for table in ("event_log", "audit_log")])
        assert "5321234567" not in everything + repr(stored)

    async def test_is_the_same_entry_however_it_is_written(self, tenant, now):
        first = await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now)
        again = await do(tenant.admin, dnc.add, "+905321234567", reason="other", now=now)
        mail = await do(tenant.admin, dnc.add, "Ada@Example.com", reason="asked", now=now)

        assert first == again
        assert mail == await do(tenant.admin, dnc.find, "ada@example.com")
        assert len(await rows(tenant, "select 1 from crm.event_log where event_type = 'dnc.added'")) == 2

    async def test_two_at_once_make_one_entry(self, tenant, now):
        made = await asyncio.gather(*(do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now) for _ in range(5)))

        assert len(set(made)) == 1
        assert len(await rows(tenant, "select 1 from crm.dnc_entry")) == 1

    async def test_shows_at_once_in_lists_and_on_the_timeline_of_who_has_it(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted"), ("email", "granted")])

        await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now + LATER)

        contact = (await rows(tenant, "select * from crm.contact where id = $1::uuid", person))[0]
        assert (contact["consented"], contact["opted_out"]) == (["email"], ["call", "sms", "whatsapp"])
        shown = (await rows(tenant, "select * from crm.activity order by id desc limit 1"))[0]
        assert (shown["kind"], shown["contact_id"]) == ("contact.dnc_added", person)

    @pytest.mark.parametrize("text", ["", "hello", "12", "@", "a@b", "a b@example.com", "a\x00@b.example", "+90 532"])
    async def test_refuses_what_is_no_address_and_never_repeats_it(self, tenant, now, text):
        with pytest.raises(dnc.NotAnAddress) as refusal:
            await do(tenant.admin, dnc.add, text, reason="asked", now=now)

        assert not text or text not in str(refusal.value)

    async def test_takes_codes_for_reasons_and_no_words_about_people(self, tenant, now):
        with pytest.raises(codes.NotACode):
            await do(tenant.admin, dnc.add, NUMBER, reason="Ayşe was angry", now=now)

    async def test_is_a_list_of_one_firm(self, tenant, other_tenant, now):
        await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now)

        assert await do(other_tenant.admin, dnc.find, NUMBER) is None


class TestAddContact:
    async def test_lists_every_address_of_the_kinds_asked(self, tenant, make_person, now):
        person = await make_person(email="ada@example.com")

        entries = await do(tenant.admin, dnc.add_contact, person, ["phone", "email"], reason="asked", now=now)

        assert set(entries) == {
            await do(tenant.admin, dnc.find, NUMBER), await do(tenant.admin, dnc.find, "ada@example.com"),
        }  # fmt: skip
        assert await do(tenant.admin, dnc.add_contact, person, ["phone"], reason="asked", now=now) == []

    async def test_needs_an_address(self, tenant, make_person, now):
        person = await make_person(phone="")

        with pytest.raises(dnc.NothingToList):
            await do(tenant.admin, dnc.add_contact, person, ["phone"], reason="asked", now=now)


class TestRemove:
    async def test_lifts_the_ban_and_keeps_that_there_was_one(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        entry = await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now)
        assert (await may(tenant, person, now)).reason is Reason.dnc

        for _ in range(2):
            await do(tenant.admin, dnc.remove, entry, reason="changed_mind", now=now + LATER)

        assert (await may(tenant, person, now + LATER)).is_allowed
        stored = (await rows(tenant, "select * from crm.dnc_entry"))[0]
        assert (stored["removed_at"], stored["removal_reason"]) == (now + LATER, "changed_mind")
        assert len(await rows(tenant, "select 1 from crm.event_log where event_type = 'dnc.removed'")) == 1
        contact = (await rows(tenant, "select * from crm.contact where id = $1::uuid", person))[0]
        assert (contact["consented"], contact["opted_out"]) == (["call"], [])

    async def test_does_not_lift_what_the_person_said(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        entry = await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now)
        await do(tenant.admin, consent.record, person, said(consent.Status.withdrawn), now=now)

        await do(tenant.admin, dnc.remove, entry, reason="mistake", now=now + LATER)

        assert (await may(tenant, person, now + LATER)).reason is Reason.opted_out

    async def test_can_be_listed_anew(self, tenant, now):
        entry = await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now)
        await do(tenant.admin, dnc.remove, entry, reason="mistake", now=now)

        again = await do(tenant.admin, dnc.add, NUMBER, reason="asked", now=now + LATER)

        assert again != entry
        assert await do(tenant.admin, dnc.find, NUMBER) == again

    async def test_is_for_administrators(self, tenant, now):
        entry = await do(tenant.sales_agent, dnc.add, NUMBER, reason="asked", now=now)

        for person in (tenant.sales_agent, tenant.sales_manager):
            with pytest.raises(Forbidden):
                await do(person, dnc.remove, entry, reason="mistake", now=now)


class TestImportList:
    async def test_takes_what_is_good_and_says_which_lines_are_not(self, tenant, make_person, now):
        person = await make_person(consents=[("call", "granted")])
        await do(tenant.admin, dnc.add, "ada@example.com", reason="asked", now=now)
        lines = [NUMBER, "nonsense", "ADA@example.com", "+90 532 123 45 67", "", "bob@example.com"]

        done = await do(tenant.admin, dnc.import_list, lines, reason="registry", source="dnc_file", now=now)

        assert done == dnc.Imported(added=2, known=2, rejected=[2, 5])
        assert (await may(tenant, person, now)).reason is Reason.dnc
        assert (await may(tenant, person, now, channel=Channel.email)).reason is Reason.no_consent
        again = await do(tenant.admin, dnc.import_list, lines, reason="registry", source="dnc_file", now=now)
        assert again == dnc.Imported(added=0, known=4, rejected=[2, 5])


class TestPage:
    async def test_goes_through_the_list_without_repeating(self, tenant, now):
        lines = [f"person{n}@example.com" for n in range(25)]
        await do(tenant.admin, dnc.import_list, lines, reason="registry", source="dnc_file", now=now)

        seen, cursor = [], None
        while True:
            page = await do(tenant.compliance_auditor, dnc.page, {"is_removed": False}, limit=10, cursor=cursor)
            seen += [json.loads(item) for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert len({entry["id"] for entry in seen}) == 25
        assert all(entry["masked"] == "p•••@example.com" for entry in seen)
