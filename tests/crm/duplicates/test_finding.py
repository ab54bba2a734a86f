"""Possible duplicates are found as contacts come, asked about once, and decided by a person."""

from crm import db
from crm.contacts import operations as contacts
from crm.contacts.operations import NewContact
from crm.duplicates import finding
from crm.leads import intake
from crm.leads.intake import NewLead
from tests.conftest import settled


async def do(actor, operation, *args, **kwargs):
    """Run one operation in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


async def enquiry(tenant, now, **fields):
    return await do(tenant.system, intake.create, NewLead(**({"source": "api"} | fields)), now=now)


async def found(tenant):
    return await rows(tenant, "select * from crm.duplicate_candidate order by found_at, id")


class TestFind:
    async def test_names_that_are_alike_with_another_sign(self, tenant, now):
        one = await enquiry(tenant, now, name="Ayşe Yılmaz", phone="0532 123 45 67", campaign="spring")
        other = await enquiry(tenant, now, name="YILMAZ Ayse", email="ayse@example.com", campaign="spring")
        await enquiry(tenant, now, name="Mehmet Kaya", phone="0533 123 45 67", campaign="spring")

        await settled()
        await finding.find(now)

        (pair,) = await found(tenant)
        assert {pair["first_id"], pair["second_id"]} == {one.contact_id, other.contact_id}
        assert pair["reasons"] == ["complementary", "same_campaign_day", "same_name"]
        assert (pair["status"], pair["source"]) == ("open", "rules")
        (event,) = await rows(tenant, "select * from crm.event_log where event_type = 'duplicate.found'")
        assert event["payload_json"]["reasons"] == pair["reasons"]

    async def test_one_enquiry_with_the_phone_of_one_and_the_address_of_another(self, tenant, now):
        one = await enquiry(tenant, now, name="Ayşe", phone="0532 123 45 67")
        other = await enquiry(tenant, now, name="Fatma Kaya", email="f@example.com")
        await settled()
        await finding.find(now)
        assert await found(tenant) == []

        await enquiry(tenant, now, phone="0532 123 45 67", email="f@example.com")
        await settled()
        await finding.find(now)

        (pair,) = await found(tenant)
        assert {pair["first_id"], pair["second_id"]} == {one.contact_id, other.contact_id}
        assert pair["reasons"] == ["conflicting_keys"]

    async def test_a_name_alone_is_not_enough(self, tenant, now):
        for number in range(5):
            await enquiry(tenant, now, name="Mehmet Yılmaz", phone=f"0532 123 45 {10 + number}", campaign=str(number))

        await settled()
        await finding.find(now)

        assert await found(tenant) == []

    async def test_looks_at_what_is_new_only(self, tenant, now):
        await enquiry(tenant, now, name="Ayşe Yılmaz", phone="0532 123 45 67", campaign="spring")
        await settled()
        await finding.find(now)
        position = "select tx_id::text, id from crm.event_position('duplicates')"
        before = await db.ask(position)

        await settled()
        await finding.find(now)

        assert await db.ask(position) == before

    async def test_a_renamed_contact_is_looked_for_under_its_new_name_alone(self, tenant, now):
        one = await do(tenant.admin, contacts.create, NewContact("Ayşe Yılmaz", phone="0532 123 45 67"), now=now)
        await do(tenant.admin, contacts.update, one, {"name": "Fatma Kaya"}, now=now)
        await settled()
        await finding.find(now)

        await enquiry(tenant, now, name="Ayşe Yılmaz", phone="0533 765 43 67")
        await enquiry(tenant, now, name="Fatma Kaya", phone="0544 222 33 67")
        await settled()
        await finding.find(now)

        (pair,) = await found(tenant)
        assert one in (pair["first_id"], pair["second_id"])
        assert pair["reasons"] == ["phone_hint", "same_country", "same_name"]

    async def test_a_name_that_many_bear_says_little(self, tenant, now):
        for number in range(6):
            campaign = "spring" if number < 2 else str(number)
            await enquiry(tenant, now, name="Mehmet Yılmaz", phone=f"0532 123 45 {10 + number}", campaign=campaign)
        await enquiry(tenant, now, name="Nehir Baysal", phone="0532 123 45 30", campaign="spring")
        await enquiry(tenant, now, name="Dr. NEHİR BAYSAL", phone="0532 123 45 31", campaign="spring")

        await settled()
        await finding.find(now)

        (pair,) = await found(tenant)
        assert pair["reasons"] == ["same_campaign_day", "same_country", "same_name"]
        names = await rows(
            tenant, "select name from crm.contact where id in ($1::uuid, $2::uuid)", pair["first_id"], pair["second_id"]
        )
        assert {row["name"] for row in names} == {"Nehir Baysal", "Dr. NEHİR BAYSAL"}

    async def test_pairs_of_one_firm_only(self, tenant, other_tenant, now):
        await enquiry(tenant, now, name="Ayşe Yılmaz", phone="0532 123 45 67")
        await enquiry(other_tenant, now, name="Ayşe Yılmaz", phone="0533 765 43 67")

        await settled()
        await finding.find(now)

        assert await found(tenant) == await found(other_tenant) == []
