"""Storing leads: the person behind, the idempotent answer, the trace it leaves."""

import asyncio

import pytest

from crm import db, phone
from crm.actor import Forbidden
from crm.idempotency import Idempotency, KeyReused
from crm.leads import intake
from crm.leads.intake import Consent, NewLead

AYSE = NewLead(source="api", name="Ayşe Yılmaz", phone="0532 123 45 67", email="Ayse@Example.com")


async def create(actor, lead, now, **more):
    return await db.run(actor, lambda tx: intake.create(tx, lead, now=now, **more))


class TestCreate:
    async def test_seals_what_it_stores_and_shows_masks(self, tenant, now):
        stored = await create(tenant.admin, AYSE, now)

        async with db.transaction(tenant.system) as tx:
            contact = await tx.fetchrow("select * from crm.contact where id = $1::uuid", stored.contact_id)
            points = await tx.fetch("select * from crm.contact_point where contact_id = $1::uuid", stored.contact_id)
        assert (contact["phone_masked"], contact["email_masked"]) == ("+90 ••• ••• •• 67", "a•••@example.com")
        assert contact["name_search"] == "ayse yilmaz"
        assert len(points) == 2
        assert all(b"5321234567" not in point["sealed"] and b"ayse@" not in point["sealed"] for point in points)

    async def test_the_same_phone_is_the_same_person(self, tenant, now):
        first = await create(tenant.admin, AYSE, now)

        again = await create(tenant.admin, NewLead(source="api", phone="+90 532 1234567"), now)

        assert again.outcome == "merged"
        assert again.contact_id == first.contact_id
        assert again.lead_id != first.lead_id

    async def test_the_same_outside_id_changes_nothing(self, tenant, now):
        lead = NewLead(source="meta", external_id="1", phone="0532 123 45 67")
        first = await create(tenant.system, lead, now)

        again = await create(tenant.system, lead, now)

        assert (again.outcome, again.lead_id) == ("unchanged", first.lead_id)
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.event_log") == 1

    async def test_racing_duplicates_become_one_person(self, tenant, now):
        leads = [NewLead(source="meta", external_id=str(n), phone="0532 123 45 67") for n in range(8)]

        stored = await asyncio.gather(*(create(tenant.system, lead, now) for lead in leads))

        assert len({one.contact_id for one in stored}) == 1
        assert sorted(one.outcome for one in stored) == ["created"] + ["merged"] * 7

    async def test_a_batch_joins_people_by_any_key(self, tenant, now):
        batch = [
            NewLead(source="file", phone="0532 123 45 67"),
            NewLead(source="file", phone="0532 123 45 67", email="a@example.com"),
            NewLead(source="file", email="a@example.com"),
            NewLead(source="file", email="b@example.com"),
        ]

        stored = await db.run(tenant.system, lambda tx: intake.create_many(tx, batch, now=now))

        assert [one.outcome for one in stored] == ["created", "merged", "merged", "created"]
        assert len({one.contact_id for one in stored}) == 2

    async def test_a_person_new_in_a_batch_is_all_that_its_rows_say(self, tenant, now):
        batch = [
            NewLead(source="file", phone="0532 123 45 67", consents=[Consent("email", "granted")]),
            NewLead(source="file", phone="0532 123 45 67", email="a@example.com", name="Ayşe", tags=["x"]),
            NewLead(
                source="file", email="a@example.com", consents=[Consent("email", "denied"), Consent("call", "denied")]
            ),
        ]

        await db.run(tenant.system, lambda tx: intake.create_many(tx, batch, now=now))

        async with db.transaction(tenant.system) as tx:
            person = await tx.fetchrow("select * from crm.contact")
        assert (person["name"], person["name_search"], person["email_masked"]) == ("Ayşe", "ayse", "a•••@example.com")
        assert (person["consented"], person["opted_out"]) == ([], ["call", "email"])

    async def test_what_any_row_of_a_batch_says_reaches_a_known_person(self, tenant, now):
        await create(tenant.admin, AYSE, now)
        batch = [
            NewLead(source="file", phone="0532 123 45 67"),
            NewLead(source="file", email="ayse@example.com", consents=[Consent("call", "denied")]),
        ]

        await db.run(tenant.system, lambda tx: intake.create_many(tx, batch, now=now))

        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select opted_out from crm.contact") == ["call"]

    async def test_refuses_what_is_no_phone_without_repeating_it(self, tenant, now):
        with pytest.raises(phone.NotAPhone) as refusal:
            await create(tenant.admin, NewLead(source="api", phone="12345"), now)

        assert "12345" not in str(refusal.value)

    async def test_refuses_who_may_not(self, tenant, now):
        with pytest.raises(Forbidden):
            await create(tenant.analyst, AYSE, now)

    async def test_keeps_consent_facts_and_flags(self, tenant, now):
        lead = NewLead(source="api", email="a@example.com", consents=[Consent("email", "denied", {"form": "f"})])

        stored = await create(tenant.admin, lead, now)

        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select opted_out from crm.contact") == ["email"]
            fact = await tx.fetchrow("select * from crm.consent")
        assert (fact["contact_id"], fact["status"], fact["evidence"]) == (stored.contact_id, "denied", {"form": "f"})


class TestIdempotency:
    async def test_a_replay_gets_the_first_answer(self, tenant, now):
        key = Idempotency("k", "POST /leads", b"1" * 32)
        first = await create(tenant.admin, AYSE, now, idempotency=key)

        replay = await create(tenant.admin, AYSE, now, idempotency=key)

        assert replay.outcome == "replayed"
        assert replay.response == first.response

    async def test_the_same_key_for_another_body_is_refused(self, tenant, now):
        await create(tenant.admin, AYSE, now, idempotency=Idempotency("k", "POST /leads", b"1" * 32))

        with pytest.raises(KeyReused):
            await create(tenant.admin, AYSE, now, idempotency=Idempotency("k", "POST /leads", b"2" * 32))

    async def test_racing_twins_are_done_once(self, tenant, now):
        key = Idempotency("k", "POST /leads", b"1" * 32)

        answers = await asyncio.gather(*(create(tenant.admin, AYSE, now, idempotency=key) for _ in range(5)))

        assert len({answer.response for answer in answers}) == 1
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.lead") == 1


class TestTenancy:
    async def test_another_tenant_sees_nothing(self, tenant, other_tenant, now):
        await create(tenant.admin, AYSE, now)

        async with db.transaction(other_tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.lead") == 0

    async def test_the_same_phone_has_another_index_elsewhere(self, tenant, other_tenant, now):
        await create(tenant.admin, AYSE, now)

        stored = await create(other_tenant.admin, AYSE, now)

        assert stored.outcome == "created"
