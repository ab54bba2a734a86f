"""Possible duplicates are found as contacts come, asked about once, and decided by a person."""

import asyncio
from datetime import timedelta

import pytest

from crm import db, ids
from crm.contacts import operations as contacts
from crm.contacts.operations import NewContact
from crm.duplicates import candidates, finding, operations
from crm.duplicates.candidates import Pair
from crm.duplicates.chore import Gatherer
from crm.leads import intake
from crm.leads.intake import Consent, NewLead
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

        await enquiry(tenant, now, name="Ayşe Yılmaz", email="a@b.com")
        await enquiry(tenant, now, name="Fatma Kaya", email="f@b.com")
        await settled()
        await finding.find(now)

        (pair,) = await found(tenant)
        assert one in (pair["first_id"], pair["second_id"])
        assert pair["reasons"] == ["complementary", "same_name"]

    async def test_pairs_of_one_firm_only(self, tenant, other_tenant, now):
        await enquiry(tenant, now, name="Ayşe Yılmaz", phone="0532 123 45 67")
        await enquiry(other_tenant, now, name="Ayşe Yılmaz", email="a@b.com")

        await settled()
        await finding.find(now)

        assert await found(tenant) == await found(other_tenant) == []


class TestPropose:
    async def make(self, tenant, now):
        one = await do(tenant.admin, contacts.create, NewContact("Ayşe"), now=now)
        other = await do(tenant.admin, contacts.create, NewContact("Ayşe"), now=now)
        return one, other

    async def propose(self, tenant, pair, now, *, source="rules"):
        return await do(tenant.system, candidates.propose, [pair], source=source, now=now)

    async def test_asks_once(self, tenant, now):
        pair = Pair.of(*await self.make(tenant, now), 0.7, ["same_name"])

        assert await self.propose(tenant, pair, now) == 1
        assert await self.propose(tenant, pair, now) == 0

    async def test_a_models_score_is_kept_where_it_is_higher(self, tenant, now):
        one, other = await self.make(tenant, now)
        await self.propose(tenant, Pair.of(one, other, 0.7, ["same_name"]), now)

        await self.propose(tenant, Pair.of(other, one, 0.97, ["splink"]), now, source="splink")

        (kept,) = await found(tenant)
        assert (kept["source"], round(kept["score"], 2), kept["reasons"]) == ("splink", 0.97, ["same_name", "splink"])

    async def test_what_was_dismissed_comes_back_with_a_new_sign_only(self, tenant, now):
        one, other = await self.make(tenant, now)
        await self.propose(tenant, Pair.of(one, other, 0.7, ["same_name"]), now)
        (kept,) = await found(tenant)
        await do(tenant.admin, candidates.dismiss, kept["id"], "different_people", now=now)

        assert await self.propose(tenant, Pair.of(one, other, 0.9, ["same_name"]), now) == 0
        assert (await found(tenant))[0]["status"] == "dismissed"
        assert await self.propose(tenant, Pair.of(one, other, 0.7, ["conflicting_keys"]), now) == 1
        assert (await found(tenant))[0]["status"] == "open"

    async def test_of_two_deciding_at_once_one_wins(self, tenant, now):
        await self.propose(tenant, Pair.of(*await self.make(tenant, now), 0.7, ["same_name"]), now)
        (kept,) = await found(tenant)

        ended = await asyncio.gather(
            *(do(tenant.admin, candidates.dismiss, kept["id"], "different_people", now=now) for _ in range(2)),
            return_exceptions=True,
        )

        assert sorted(str(type(each).__name__) for each in ended) == ["AlreadyDecided", "NoneType"]

    async def test_a_merge_settles_it_and_undoing_says_no(self, tenant, now):
        one, other = await self.make(tenant, now)
        await self.propose(tenant, Pair.of(one, other, 0.7, ["same_name"]), now)

        merge = await do(tenant.admin, operations.merge, one, other, now=now)
        assert [(row["status"], row["merge_id"]) for row in await found(tenant)] == [("merged", merge)]
        await do(tenant.admin, operations.undo, merge, now=now)

        assert [(row["status"], row["dismissal_reason"]) for row in await found(tenant)] == [("dismissed", "unmerged")]

    async def test_what_one_does_not_see_one_does_not_decide(self, tenant, other_tenant, now):
        await self.propose(tenant, Pair.of(*await self.make(tenant, now), 0.7, ["same_name"]), now)
        (kept,) = await found(tenant)

        for actor, which in (
            (tenant.sales_manager, kept["id"]),
            (other_tenant.admin, kept["id"]),
            (tenant.admin, ids.new()),
        ):
            with pytest.raises(candidates.CandidateNotFound):
                await do(actor, candidates.dismiss, which, "different_people", now=now)


class TestGatherer:
    async def test_nothing_is_lost_of_what_comes_while_merging(self, tenant, now):
        one = await enquiry(tenant, now, name="Ayşe", phone="0532 123 45 67")
        other = await enquiry(tenant, now, name="Ayşe Yılmaz", email="ayse@example.com")
        coming = [
            enquiry(
                tenant, now + timedelta(seconds=n), email="ayse@example.com", external_id=str(n),
                consents=[Consent("email", "denied")] if n == 7 else [],
            )
            for n in range(20)
        ]  # fmt: skip

        merging = do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        ended = await asyncio.gather(*coming[:10], merging, *coming[10:])
        await Gatherer(lambda: now).work(tenant.id)

        whose = await rows(tenant, "select contact_id, count(*) as leads from crm.lead group by 1")
        assert [tuple(each) for each in whose] == [(one.contact_id, 22)]
        assert {each["contact_id"] for each in await rows(tenant, "select contact_id from crm.activity")} == {
            one.contact_id
        }
        facts = await rows(tenant, "select contact_id from crm.consent where status = 'denied'")
        assert {each["contact_id"] for each in facts} == {one.contact_id}
        merge = ended[10]
        await do(tenant.admin, operations.undo, merge, now=now)
        assert sum(row["leads"] for row in await rows(tenant, "select count(*) as leads from crm.lead")) == 22

    async def test_moves_what_was_left_and_lets_it_go_back(self, tenant, now):
        one = await enquiry(tenant, now, name="Ayşe", phone="0532 123 45 67")
        other = await enquiry(tenant, now, name="Ayşe Yılmaz", email="ayse@example.com")
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        late = await enquiry(tenant, now, email="late@example.com", consents=[Consent("sms", "denied")])
        async with db.transaction(tenant.system) as tx:  # as the statement does that found the person before the merge
            for table in ("lead", "activity", "contact_point", "consent"):
                await tx.execute(
                    f"update crm.{table} set contact_id = $1::uuid where contact_id = $2::uuid",
                    other.contact_id, late.contact_id,
                )  # fmt: skip

        await Gatherer(lambda: now).work(tenant.id)
        await Gatherer(lambda: now).work(tenant.id)

        whose = dict(await rows(tenant, "select id, contact_id from crm.lead"))
        assert whose[late.lead_id] == one.contact_id
        (winner,) = await rows(tenant, "select opted_out from crm.contact where id = $1::uuid", one.contact_id)
        assert winner["opted_out"] == ["sms"]
        assert len(await rows(tenant, "select from crm.event_log where event_type = 'contact.gathered'")) == 1
        await do(tenant.admin, operations.undo, merge, now=now)
        assert dict(await rows(tenant, "select id, contact_id from crm.lead"))[late.lead_id] == other.contact_id
