"""Merging two contacts and taking it back: nothing is lost, and undone it is as if it had never been."""

import asyncio
import io
import json
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import consent, db, ids
from crm.actor import Forbidden
from crm.consent import dnc
from crm.contacts import operations as contacts
from crm.contacts import queries, revealing
from crm.contacts.operations import NewContact
from crm.duplicates import operations
from crm.duplicates.tables import MOVED, STAY
from crm.files import operations as files
from crm.files.operations import Where
from crm.files.rules import Class
from crm.leads import intake
from crm.leads import operations as leads
from crm.leads.intake import Consent, NewLead
from crm.leads.rules import Channel, Direction
from tests.conftest import make_tenant
from tests.crm.files.conftest import PDF

PHONES = ("0532 123 45 67", "0533 765 43 21", "0541 222 33 44", "0542 987 65 43")


async def do(actor, operation, *args, **kwargs):
    """Run one operation in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


async def contact(tenant, contact_id):
    (found,) = await rows(tenant, "select * from crm.contact where id = $1::uuid", contact_id)
    return found


async def enquiry(tenant, now, **fields):
    """Store a lead; return what became of it."""
    return await do(tenant.system, intake.create, NewLead(**({"source": "api"} | fields)), now=now)


async def ayse_twice(tenant, now):
    """Two enquiries of one woman, under her phone and under her e-mail address."""
    by_phone = await enquiry(tenant, now, name="Ayşe", phone=PHONES[0], consents=[Consent("sms", "granted")])
    by_email = await enquiry(
        tenant, now, name="Ayşe Yılmaz", email="ayse@example.com", language="tr",
        consents=[Consent("sms", "denied"), Consent("email", "granted")],
    )  # fmt: skip
    return by_phone, by_email


TRACES = ("event_log", "audit_log", "contact_merge", "duplicate_candidate", "request_log")
"""What merging and undoing leave behind by duty; beside the timeline entries and repeated refusals left out below."""
LEFT_OUT = {
    "activity": "kind not in ('contact.merged', 'contact.unmerged')",
    "consent": "source not in ('merge', 'unmerge')",
}


async def dump(database, tenant):
    """Return every row of a firm in every table of schema crm but the traces, as text."""
    owner = await asyncpg.connect(database)
    tables = await owner.fetch(
        "select table_name as name from information_schema.columns join information_schema.tables"
        " using (table_schema, table_name)"
        " where table_schema = 'crm' and column_name = 'tenant_id' and table_type = 'BASE TABLE'"
    )
    found = {}
    for (name,) in tables:
        if name not in TRACES:
            where = LEFT_OUT.get(name, "true")
            lines = await owner.fetch(
                f"select t::text from crm.{name} t where tenant_id = $1 and {where} order by 1", tenant.id
            )
            found[name] = [line[0] for line in lines]
    await owner.close()
    return found


class TestTables:
    async def test_every_table_with_a_contact_is_known(self, database):
        owner = await asyncpg.connect(database)

        there = await owner.fetch(
            "select c.table_name from information_schema.columns c join information_schema.tables t"
            " using (table_schema, table_name)"
            " where c.table_schema = 'crm' and c.column_name = 'contact_id' and t.table_type = 'BASE TABLE'"
        )

        await owner.close()
        assert {row[0] for row in there} == {table.name for table in MOVED} | set(STAY), "say what a merge does with it"

    async def test_rows_of_leads_are_said_to_be(self, database):
        owner = await asyncpg.connect(database)

        there = await owner.fetch(
            "select table_name from information_schema.columns where table_schema = 'crm' and column_name = 'lead_id'"
        )

        await owner.close()
        with_leads = {row[0] for row in there}
        assert [table.name for table in MOVED if table.of_leads != (table.name in with_leads)] == []


class TestMerge:
    async def test_moves_everything_and_keeps_every_entry(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        await do(
            tenant.admin, leads.record_activity, other.lead_id, Channel.call, Direction.outbound, "reached", now=now
        )
        before = await rows(tenant, "select id from crm.activity order by id")

        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        for table in ("lead", "contact_point", "activity", "consent"):
            whose = await rows(tenant, f"select distinct contact_id from crm.{table}")
            assert [each["contact_id"] for each in whose] == [one.contact_id], table
        after = await rows(tenant, "select id, kind, detail from crm.activity order by id")
        assert {each["id"] for each in before} < {each["id"] for each in after}
        (told,) = [each["detail"] for each in after if each["kind"] == "contact.merged"]
        assert told["merge_id"] == str(merge)
        (event,) = await rows(tenant, "select * from crm.event_log where event_type = 'contact.merged'")
        assert event["payload_json"]["rows"] == {"lead": 1, "contact_point": 1, "activity": 2, "consent": 2}
        (audited,) = await rows(tenant, "select * from crm.audit_log where action = 'contact.merge'")
        assert audited["actor_user_id"] == tenant.admin.user_id

    async def test_values_survive_by_the_rule(self, tenant, now):
        one, other = await ayse_twice(tenant, now)

        await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        winner = await contact(tenant, one.contact_id)
        assert (winner["name"], winner["name_search"], winner["language"]) == ("Ayşe Yılmaz", "ayse yilmaz", "tr")
        assert (winner["phone_masked"], winner["email_masked"]) == ("+90 ••• ••• •• 67", "a•••@example.com")
        assert (winner["consented"], winner["opted_out"]) == (["email"], ["sms"])

    async def test_a_refusal_is_not_lifted_by_the_others_later_yes(self, tenant, now):
        one = await enquiry(tenant, now, phone=PHONES[0], consents=[Consent("sms", "denied")])
        later = now + timedelta(hours=1)
        other = await enquiry(tenant, later, email="a@b.com", consents=[Consent("sms", "granted")])

        at = later + timedelta(hours=1)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=at)

        last = "select status, evidence from crm.consent where contact_id = $1::uuid order by recorded_at desc limit 1"
        (word,) = await rows(tenant, last, one.contact_id)
        assert (word["status"], word["evidence"]["merge_id"]) == ("denied", str(merge))
        await do(tenant.admin, operations.undo, merge, now=at)
        (word,) = await rows(tenant, last, other.contact_id)
        assert word["status"] == "granted"

    async def test_addresses_lead_to_the_winner_and_can_still_be_read(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        again = await enquiry(tenant, now, email="ayse@example.com")
        seen = await do(tenant.admin, revealing.reveal, one.contact_id, "call back", now=now)

        assert again.contact_id == one.contact_id
        assert (seen.phone, seen.email) == ("+905321234567", "ayse@example.com")

    async def test_what_was_merged_says_where_it_went(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        gone = json.loads(await do(tenant.admin, queries.read, other.contact_id))
        page = await do(tenant.admin, queries.page, queries.Wanted())

        assert (gone["merged_into"], gone["can_email"]) == (str(one.contact_id), False)
        assert [json.loads(item)["id"] for item in page.items] == [str(one.contact_id)]
        with pytest.raises(queries.ContactMerged) as refused:
            await do(tenant.admin, contacts.update, other.contact_id, {"name": "Ay"}, now=now)
        assert refused.value.fields == {"merged_into": str(one.contact_id)}

    async def test_asked_twice_it_is_done_once(self, tenant, now):
        one, other = await ayse_twice(tenant, now)

        first = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        second = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        assert first == second
        assert len(await rows(tenant, "select from crm.event_log where event_type = 'contact.merged'")) == 1

    async def test_refuses_what_makes_no_sense(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        third = await do(tenant.admin, contacts.create, NewContact(name="Can"), now=now)
        await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        with pytest.raises(operations.SameContact):
            await do(tenant.admin, operations.merge, third, third, now=now)
        with pytest.raises(queries.ContactMerged):
            await do(tenant.admin, operations.merge, third, other.contact_id, now=now)
        with pytest.raises(queries.ContactNotFound):
            await do(tenant.admin, operations.merge, third, ids.new(), now=now)

    async def test_only_of_contacts_one_sees(self, tenant, other_tenant, now):
        one, other = await ayse_twice(tenant, now)

        for stranger in (tenant.sales_manager, other_tenant.admin):  # the leads have no team yet
            with pytest.raises(queries.ContactNotFound):
                await do(stranger, operations.merge, one.contact_id, other.contact_id, now=now)
        for role in ("sales_agent", "compliance_auditor", "analyst"):
            with pytest.raises(Forbidden):
                await do(tenant.actors[role], operations.merge, one.contact_id, other.contact_id, now=now)

    async def test_two_crossing_merges_end_in_one(self, tenant, now):
        one, other = await ayse_twice(tenant, now)

        ended = await asyncio.gather(
            do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now),
            do(tenant.admin, operations.merge, other.contact_id, one.contact_id, now=now),
            return_exceptions=True,
        )

        assert sorted(type(each).__name__ for each in ended) == ["ContactMerged", "UUID"]


class TestUndo:
    async def test_gives_everything_back(self, tenant, database, now):
        one, other = await ayse_twice(tenant, now)
        before = await dump(database, tenant)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        assert await dump(database, tenant) != before

        await do(tenant.admin, operations.undo, merge, now=now + timedelta(days=1))
        await do(tenant.admin, operations.undo, merge, now=now + timedelta(days=2))

        assert await dump(database, tenant) == before

    async def test_later_merges_are_undone_first(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        third = await do(tenant.admin, contacts.create, NewContact(name="Ayşe"), now=now)
        first = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        second = await do(tenant.admin, operations.merge, third, one.contact_id, now=now)

        with pytest.raises(operations.UndoLaterFirst) as refused:
            await do(tenant.admin, operations.undo, first, now=now)

        assert refused.value.fields == {"merge_id": str(second)}
        gone = json.loads(await do(tenant.admin, queries.read, other.contact_id))
        assert gone["merged_into"] == str(third)

    async def test_what_came_since_goes_with_its_lead_or_stays(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        call = (Channel.call, Direction.outbound, "reached")
        later = now + timedelta(hours=1)
        theirs = await do(tenant.admin, leads.record_activity, other.lead_id, *call, now=later)
        ours = await do(tenant.admin, leads.record_activity, one.lead_id, *call, now=later)
        fresh = await enquiry(tenant, later, email="ayse@example.com")
        await do(tenant.admin, contacts.update, one.contact_id, {"name": "Ayşe Kaya"}, now=later)

        await do(tenant.admin, operations.undo, merge, now=later)

        whose = dict(await rows(tenant, "select id, contact_id from crm.activity"))
        assert (whose[theirs], whose[ours]) == (other.contact_id, one.contact_id)
        assert dict(await rows(tenant, "select id, contact_id from crm.lead"))[fresh.lead_id] == one.contact_id
        assert (await contact(tenant, one.contact_id))["name"] == "Ayşe Kaya"
        assert (await contact(tenant, other.contact_id))["name"] == "Ayşe Yılmaz"

    async def test_what_was_refused_since_holds_for_both(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        later = now + timedelta(hours=1)
        await enquiry(tenant, later, email="ayse@example.com", consents=[Consent("email", "denied")])

        await do(tenant.admin, operations.undo, merge, now=later)

        assert (await contact(tenant, one.contact_id))["opted_out"] == ["email"]
        risen = await contact(tenant, other.contact_id)
        assert (risen["consented"], risen["opted_out"]) == ([], ["email", "sms"])
        facts = "select status from crm.consent where contact_id = $1::uuid and channel = 'email' order by recorded_at"
        assert [row["status"] for row in await rows(tenant, facts, other.contact_id)] == ["granted", "denied"]

    async def test_an_address_changed_since_stays(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        await do(tenant.admin, contacts.update, one.contact_id, {"email": "new@example.com"}, now=now)

        await do(tenant.admin, operations.undo, merge, now=now)

        assert (await contact(tenant, one.contact_id))["email_masked"] == "n•••@example.com"
        assert (await contact(tenant, other.contact_id))["email_masked"] is None

    async def test_not_of_a_person_erased_since(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.contact set erased_at = $1::timestamptz where merged_into is null", now)

        with pytest.raises(operations.Erased):
            await do(tenant.admin, operations.undo, merge, now=now)

    async def test_another_firms_merge_is_not_there(self, tenant, other_tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)

        for nowhere in (merge, ids.new()):
            with pytest.raises(operations.MergeNotFound):
                await do(other_tenant.admin, operations.undo, nowhere, now=now)

    async def test_what_a_later_merge_repeated_is_nobodys_new_word(self, tenant, now):
        one = await enquiry(tenant, now, phone=PHONES[0], consents=[Consent("sms", "denied")])
        other = await enquiry(tenant, now, email="b@b.com")
        third = await enquiry(tenant, now, email="c@c.com", consents=[Consent("sms", "granted")])
        first = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        later = now + timedelta(hours=1)
        granted = consent.Statement(
            consent.Channel.sms, consent.Purpose.marketing, consent.Status.granted, "phone", {"heard": "yes"}
        )
        await do(tenant.admin, consent.record, third.contact_id, granted, now=later)
        second = await do(tenant.admin, operations.merge, one.contact_id, third.contact_id, now=later)

        await do(tenant.admin, operations.undo, second, now=later)
        await do(tenant.admin, operations.undo, first, now=later)

        assert (await contact(tenant, one.contact_id))["opted_out"] == ["sms"]
        assert (await contact(tenant, other.contact_id))["opted_out"] == []
        assert (await contact(tenant, third.contact_id))["consented"] == ["sms"]

    async def test_an_address_listed_since_shows_on_whose_it_is(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        await do(tenant.admin, dnc.add, "ayse@example.com", reason="asked", now=now + timedelta(hours=1))
        assert (await contact(tenant, one.contact_id))["opted_out"] == ["email", "sms"]

        await do(tenant.admin, operations.undo, merge, now=now + timedelta(hours=2))

        winner, loser = await contact(tenant, one.contact_id), await contact(tenant, other.contact_id)
        assert (winner["consented"], winner["opted_out"]) == (["sms"], [])
        assert (loser["consented"], loser["opted_out"]) == ([], ["email", "sms"])

    async def test_a_refusal_about_a_lead_that_goes_back_holds_for_both(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        no = consent.Statement(
            consent.Channel.call, consent.Purpose.marketing, consent.Status.denied, "phone", lead_id=other.lead_id
        )
        await do(tenant.admin, consent.record, one.contact_id, no, now=now + timedelta(hours=1))

        await do(tenant.admin, operations.undo, merge, now=now + timedelta(hours=2))

        said = await rows(tenant, "select contact_id, lead_id from crm.consent where channel = 'call' order by 2")
        assert [tuple(each) for each in said] == [(other.contact_id, other.lead_id), (one.contact_id, None)]
        for each in (one, other):
            assert "call" in (await contact(tenant, each.contact_id))["opted_out"]

    async def test_a_file_hung_since_on_an_entry_goes_back_with_it(self, tenant, now):
        one, other = await ayse_twice(tenant, now)
        no = consent.Statement(consent.Channel.call, consent.Purpose.marketing, consent.Status.denied, "phone")
        await do(tenant.admin, consent.record, other.contact_id, no, now=now)
        (entry,) = await rows(tenant, "select id from crm.activity where kind = 'contact.consent_denied'")
        merge = await do(tenant.admin, operations.merge, one.contact_id, other.contact_id, now=now)
        for activity_id in (entry["id"], None):
            where = Where(contact_id=one.contact_id, activity_id=activity_id)
            async with files.putting_away(tenant.admin, io.BytesIO(PDF), "x.pdf", now=now) as stored:
                await do(tenant.admin, files.attach, stored, where, Class.general, now=now)
                stored.is_attached = True

        await do(tenant.admin, operations.undo, merge, now=now)

        whose = dict(await rows(tenant, "select activity_id, contact_id from crm.attachment"))
        assert whose.pop(entry["id"]) == other.contact_id
        assert list(whose.values()) == [one.contact_id]


NO_BY_NOW = {consent.Reason.opted_out, consent.Reason.dnc}
FACTS = st.lists(
    st.tuples(
        st.sampled_from([0, 1]),
        st.sampled_from(consent.Channel),
        st.sampled_from(consent.Purpose),
        st.sampled_from(consent.Status),
        st.integers(0, 5),
        st.booleans(),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


class TestRefusals:
    """After a merge the one person is not contacted where either of the two had refused."""

    async def answers(self, tenant, contact_id, at):
        async with db.transaction(tenant.system) as tx:
            return {
                (channel, purpose): await consent.may_contact(tx, contact_id, channel, purpose, at=at)
                for channel in consent.Channel
                for purpose in consent.Purpose
            }

    async def test_survive_a_yes_by_a_clock_that_runs_ahead(self, tenant, now):
        people = [
            (await enquiry(tenant, now, phone=PHONES[n], email=f"{n}@example.com")).contact_id for n in (0, 1)
        ]  # fmt: skip
        for who, status, seconds in ((0, consent.Status.denied, 0), (1, consent.Status.granted, 2)):
            said = consent.Statement(consent.Channel.call, consent.Purpose.marketing, status, "phone", {"heard": "yes"})
            await do(tenant.admin, consent.record, people[who], said, now=now + timedelta(seconds=seconds))

        await do(tenant.admin, operations.merge, people[0], people[1], now=now + timedelta(seconds=1))

        answers = await self.answers(tenant, people[0], now + timedelta(minutes=1))
        assert answers[consent.Channel.call, consent.Purpose.marketing].reason is consent.Reason.opted_out

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(facts=FACTS, listed=st.sampled_from([None, 0, 1]), winner=st.sampled_from([0, 1]))
    async def test_of_either_survive_both_merging_and_undoing(self, database, now, facts, listed, winner):
        tenant, at = await make_tenant(ids.new().hex), now + timedelta(days=1)
        people = [
            (await enquiry(tenant, now, phone=PHONES[n], email=f"{n}@example.com")).contact_id for n in (0, 1)
        ]  # fmt: skip
        for who, channel, purpose, status, hour, lapses in facts:
            said_at = now + timedelta(hours=hour)
            said = consent.Statement(
                channel, purpose, status, "phone", {"heard": "yes"}, valid_from=said_at,
                valid_until=said_at + timedelta(hours=8) if lapses and status == 'granted' else None,
            )  # fmt: skip
            await do(tenant.admin, consent.record, people[who], said, now=at - timedelta(hours=1))
        if listed is not None:
            await do(tenant.admin, dnc.add_contact, people[listed], ["phone"], reason="asked", now=at)
        before = [await self.answers(tenant, each, at) for each in people]

        merge = await do(tenant.admin, operations.merge, people[winner], people[1 - winner], now=at)
        merged = await self.answers(tenant, people[winner], at)
        later = at + timedelta(minutes=1)
        await do(tenant.admin, operations.undo, merge, now=later)
        after = [await self.answers(tenant, each, later) for each in people]

        for asked, answer in merged.items():
            if any(each[asked].reason in NO_BY_NOW for each in before):
                assert answer.reason in NO_BY_NOW, asked
        assert [{asked: each.reason for asked, each in of.items()} for of in after] == [
            {asked: each.reason for asked, each in of.items()} for of in before
        ]
