"""The one door to what is hidden: who may, how often, and what is written down."""

from datetime import timedelta

import pytest

from crm import db, ids, vault
from crm.actor import Forbidden
from crm.contacts import operations, queries, revealing
from crm.leads import intake
from crm.leads import operations as leads
from crm.leads.intake import NewLead
from crm.leads.rules import Channel
from tests.crm.contacts.test_operations import AYSE, do, rows


class TestReveal:
    async def test_shows_and_writes_down_who_when_and_why(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        seen = await do(tenant.admin, revealing.reveal, contact, "he lost it: 0532 123 45 67", now=now)

        assert (seen.phone, seen.email) == ("+905321234567", "ayse@example.com")
        (audit,) = await rows(tenant, "select * from crm.audit_log where action = 'contact.reveal'")
        assert (audit["actor_user_id"], audit["target_id"], audit["created_at"]) == (tenant.admin.user_id, contact, now)
        assert audit["metadata_json"]["reason"] == "he lost it: •••"
        (event,) = await rows(tenant, "select * from crm.event_log where event_type = 'contact.revealed'")
        assert event["payload_json"] == {"what": "addresses"}

    async def test_shows_first_what_the_mask_shows_and_then_the_others(self, tenant, now):
        leads = [NewLead("file", email="a@b.com", phone=number) for number in ("0532 123 45 67", "0533 765 43 21")]
        stored = await db.run(tenant.system, lambda tx: intake.create_many(tx, leads, now=now))

        seen = await do(tenant.admin, revealing.reveal, stored[0].contact_id, "both", now=now)

        (contact,) = await rows(tenant, "select phone_masked from crm.contact")
        assert contact["phone_masked"][-2:] == seen.phone[-2:]
        assert {seen.phone, *seen.others} == {"+905321234567", "+905337654321"}

    async def test_only_who_may(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        for role in ("sales_manager", "sales_agent", "compliance_auditor", "analyst"):
            with pytest.raises(Forbidden):
                await do(tenant.actors[role], revealing.reveal, contact, "curious", now=now)

    async def test_an_hour_allows_so_many(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)
        for _ in range(revealing.REVEALS_PER_HOUR):
            await do(tenant.admin, revealing.reveal, contact, "work", now=now)

        with pytest.raises(revealing.TooManyReveals):
            await do(tenant.admin, revealing.reveal, contact, "work", now=now)
        await do(tenant.admin, revealing.reveal, contact, "work", now=now + timedelta(hours=1))

    async def test_a_destroyed_key_is_the_end(self, tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)
        points = await rows(tenant, "select key_id from crm.contact_point")
        await vault.destroy(tenant.id, [point["key_id"] for point in points], now=now)

        with pytest.raises(vault.Unreadable):
            await do(tenant.admin, revealing.reveal, contact, "too late", now=now)

    async def test_another_tenants_contact_is_not_there(self, tenant, other_tenant, now):
        contact = await do(tenant.admin, operations.create, AYSE, now=now)

        with pytest.raises(queries.ContactNotFound):
            await do(other_tenant.admin, revealing.reveal, contact, "mine?", now=now)


class TestRevealNote:
    async def test_shows_what_was_written(self, tenant, now):
        stored = await db.run(tenant.system, lambda tx: intake.create(tx, NewLead("api", email="a@b.com"), now=now))
        note = "spouse: 0532 123 45 67"
        activity = await do(
            tenant.admin, leads.record_activity, stored.lead_id, Channel.note, None, None, note=note, now=now
        )

        seen = await do(tenant.admin, revealing.reveal_note, stored.contact_id, activity, "call spouse", now=now)

        assert seen == note
        with pytest.raises(revealing.NothingToReveal):
            await do(tenant.admin, revealing.reveal_note, stored.contact_id, ids.new(), "none", now=now)
