"""Contacts: sealed addresses, conflicts, archiving, and the one audited look at a number in clear."""

import asyncio

import pytest

from crm import db, phone, vault
from crm.actor import Actor
from crm.contacts import operations, queries, revealing
from crm.contacts.operations import NewContact
from crm.leads import intake
from crm.leads.intake import NewLead

AYSE = NewContact(name="Ayşe Yılmaz", phone="0532 123 45 67", email="Ayse@Example.com")


async def do(actor, operation, *args, **kwargs):
    """Run one operation in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


class TestCreate:
    async def test_seals_addresses_and_shows_masks(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        (stored,) = await rows(tenant, "select * from crm.contact where id = $1::uuid", contact)
        assert (stored["phone_masked"], stored["email_masked"]) == ("+90 ••• ••• •• 67", "a•••@example.com")
        assert (stored["name_search"], stored["country"]) == ("ayse yilmaz", "TR")
        assert stored["created_by"] == tenant.admin.user_id
        (event,) = await rows(tenant, "select * from crm.event_log")
        assert (event["event_type"], event["aggregate_id"]) == ("contact.created", contact)
        assert len(await rows(tenant, "select from crm.audit_log where target_id = $1::uuid", contact)) == 1

    async def test_an_enquiry_under_the_same_number_is_the_same_person(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        lead = NewLead(source="api", phone="+90 532 123 45 67")
        stored = await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=now))

        assert stored.contact_id == contact

    async def test_refuses_an_address_somebody_has(self, tenant, now):
        await do(tenant.admin, operations.create, AYSE, now=now)

        with pytest.raises(operations.AddressTaken):
            await do(tenant.admin, operations.create, NewContact(email="ayse@example.com"), now=now)

    async def test_racing_twins_become_one(self, tenant, now):
        results = await asyncio.gather(
            *(do(tenant.admin, operations.create, AYSE, now=now) for _ in range(4)), return_exceptions=True
        )

        assert sorted(type(each).__name__ for each in results) == ["AddressTaken"] * 3 + ["UUID"]


class TestUpdate:
    async def test_a_new_number_takes_the_place_of_the_old(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        await do(tenant.admin, operations.update, contact, {"phone": "0533 765 43 21", "name": "Ayşe Ak"}, now=now)

        seen = await do(tenant.admin, revealing.reveal, contact, "asked to", now=now)
        assert (seen.phone, seen.email, seen.others) == ("+905337654321", "ayse@example.com", [])
        (stored,) = await rows(tenant, "select * from crm.contact")
        assert (stored["phone_masked"], stored["name_search"]) == ("+90 ••• ••• •• 21", "ayse ak")
        old = vault.blind_index(tenant.id, "phone", "+905321234567")
        assert not await rows(tenant, "select from crm.contact_point where blind_index = $1::bytea", old)
        (event,) = await rows(tenant, "select payload_json from crm.event_log where event_type = 'contact.updated'")
        assert event["payload_json"] == {"fields": ["name", "phone"]}

    async def test_none_takes_a_value_away(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        await do(tenant.admin, operations.update, contact, {"email": None, "country": None}, now=now)

        (stored,) = await rows(tenant, "select * from crm.contact")
        assert (stored["email_masked"], stored["country"]) == (None, None)
        assert len(await rows(tenant, "select from crm.contact_point")) == 1

    async def test_the_same_again_changes_nothing(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        await do(tenant.admin, operations.update, contact, {"phone": "+905321234567", "name": AYSE.name}, now=now)

        assert len(await rows(tenant, "select from crm.event_log")) == 1

    async def test_refuses_anothers_number(self, tenant, now):
        await do(tenant.admin, operations.create, AYSE, now=now)
        other = await do(tenant.admin, operations.create, NewContact(name="Can"), now=now)

        with pytest.raises(operations.AddressTaken):
            await do(tenant.admin, operations.update, other, {"phone": "0532 123 45 67"}, now=now)


class TestArchive:
    async def test_hides_until_the_person_asks_again(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        await do(tenant.admin, operations.archive, contact, now=now)
        await do(tenant.admin, operations.archive, contact, now=now)

        (stored,) = await rows(tenant, "select archived_at from crm.contact")
        assert stored["archived_at"] == now
        assert len(await rows(tenant, "select from crm.event_log where event_type = 'contact.archived'")) == 1
        await db.run(tenant.system, lambda tx: intake.create(tx, NewLead("api", email="ayse@example.com"), now=now))
        (stored,) = await rows(tenant, "select archived_at from crm.contact")
        assert stored["archived_at"] is None


class TestPhone:
    def test_masks_say_at_most_two_digits(self):
        assert phone.mask(phone.parse("+1 202 555 0147")) == "+1 ••• ••• •• 47"


class TestVisibility:
    async def test_one_sees_ones_own_and_what_one_entered(self, tenant, now):
        hidden = await do(tenant.admin, operations.create, AYSE, now=now)
        mine = await do(tenant.sales_agent, operations.create, NewContact(name="Can"), now=now)

        page = await do(tenant.sales_agent, queries.page, queries.Wanted())

        assert len(page.items) == 1
        assert str(mine) in page.items[0]
        with pytest.raises(queries.ContactNotFound):
            await do(tenant.sales_agent, queries.read, hidden)

    async def test_whoever_may_look_at_all_sees_all(self, tenant, now):
        await do(tenant.sales_agent, operations.create, AYSE, now=now)

        auditor: Actor = tenant.compliance_auditor
        assert len((await do(auditor, queries.page, queries.Wanted())).items) == 1
