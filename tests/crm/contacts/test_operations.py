"""Contacts: sealed addresses, conflicts, archiving, and the one audited look at a number in clear."""

import asyncio
from datetime import timedelta

import pytest

from crm import db, ids, phone, vault
from crm.actor import Actor, Forbidden
from crm.contacts import operations, queries
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

        seen = await do(tenant.admin, operations.reveal, contact, "asked to", now=now)
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


class TestReveal:
    async def test_shows_and_writes_down_who_when_and_why(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        seen = await do(tenant.admin, operations.reveal, contact, "he lost it: 0532 123 45 67", now=now)

        assert (seen.phone, seen.email) == ("+905321234567", "ayse@example.com")
        (audit,) = await rows(tenant, "select * from crm.audit_log where action = 'contact.reveal'")
        assert (audit["actor_user_id"], audit["target_id"], audit["created_at"]) == (tenant.admin.user_id, contact, now)
        assert audit["metadata_json"]["reason"] == "he lost it: •••"
        (event,) = await rows(tenant, "select * from crm.event_log where event_type = 'contact.revealed'")
        assert event["payload_json"] == {"what": "addresses"}

    async def test_shows_first_what_the_mask_shows_and_then_the_others(self, tenant, now):
        leads = [NewLead("file", email="a@b.com", phone=number) for number in ("0532 123 45 67", "0533 765 43 21")]
        stored = await db.run(tenant.system, lambda tx: intake.create_many(tx, leads, now=now))

        seen = await do(tenant.admin, operations.reveal, stored[0].contact_id, "both", now=now)

        (contact,) = await rows(tenant, "select phone_masked from crm.contact")
        assert contact["phone_masked"][-2:] == seen.phone[-2:]
        assert {seen.phone, *seen.others} == {"+905321234567", "+905337654321"}

    async def test_only_who_may(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        for role in ("sales_manager", "sales_agent", "compliance_auditor", "analyst"):
            with pytest.raises(Forbidden):
                await do(tenant.actors[role], operations.reveal, contact, "curious", now=now)

    async def test_an_hour_allows_so_many(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)
        for _ in range(operations.REVEALS_PER_HOUR):
            await do(tenant.admin, operations.reveal, contact, "work", now=now)

        with pytest.raises(operations.TooManyReveals):
            await do(tenant.admin, operations.reveal, contact, "work", now=now)
        await do(tenant.admin, operations.reveal, contact, "work", now=now + timedelta(hours=1))

    async def test_a_destroyed_key_is_the_end(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)
        points = await rows(tenant, "select key_id from crm.contact_point")
        await vault.destroy(tenant.id, [point["key_id"] for point in points], now=now)

        with pytest.raises(vault.Unreadable):
            await do(tenant.admin, operations.reveal, contact, "too late", now=now)

    async def test_another_tenants_contact_is_not_there(self, tenant, other_tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        with pytest.raises(queries.ContactNotFound):
            await do(other_tenant.admin, operations.reveal, contact, "mine?", now=now)


class TestRevealNote:
    async def test_shows_what_was_written(self, tenant, now):
        from crm.leads import operations as leads
        from crm.leads.rules import Channel

        stored = await db.run(tenant.system, lambda tx: intake.create(tx, NewLead("api", email="a@b.com"), now=now))
        note = "spouse: 0532 123 45 67"
        activity = await do(
            tenant.admin, leads.record_activity, stored.lead_id, Channel.note, None, None, note=note, now=now
        )

        seen = await do(tenant.admin, operations.reveal_note, stored.contact_id, activity, "call spouse", now=now)

        assert seen == note
        with pytest.raises(operations.NothingToReveal):
            await do(tenant.admin, operations.reveal_note, stored.contact_id, ids.new(), "none", now=now)


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
