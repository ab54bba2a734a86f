"""What happens at the very instant of a merge: nothing of it is lost, and nothing is half done."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from crm import consent, db
from crm.contacts.queries import ContactMerged
from crm.duplicates import candidates, operations
from crm.duplicates.candidates import Pair
from crm.duplicates.chore import Gatherer
from crm.leads import assigning, intake
from crm.leads.intake import Consent, NewLead
from tests.crm.duplicates import snapshots


async def do(actor, operation, *args, **kwargs):
    """Run one operation in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


async def enquiry(tenant, now, **fields):
    return await do(tenant.system, intake.create, NewLead(**({"source": "api"} | fields)), now=now)


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


ASTRAY = """
select 'activity' as what, a.id from crm.activity a join crm.lead l on l.tenant_id = a.tenant_id and l.id = a.lead_id
 where a.contact_id <> l.contact_id
union all
select 'lead', l.id from crm.lead l join crm.contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id
 where c.merged_into is not null
union all
select 'point', p.id from crm.contact_point p join crm.contact c on c.tenant_id = p.tenant_id and c.id = p.contact_id
 where c.merged_into is not null
union all
select 'consent', f.id from crm.consent f join crm.contact c on c.tenant_id = f.tenant_id and c.id = f.contact_id
 where c.merged_into is not null
"""
"""Rows that stand with a tombstone, or apart from their lead."""


async def twins(tenant, now, leads=6):
    """Two contacts, one by phone, one by e-mail, each with so many leads; return their ids and all leads."""
    one = [await enquiry(tenant, now, phone="0532 123 45 67") for _ in range(leads)]
    other = [await enquiry(tenant, now, email="ayse@example.com") for _ in range(leads)]
    return one[0].contact_id, other[0].contact_id, [each.lead_id for each in one + other]


class TestAtTheSameInstant:
    async def test_the_same_merge_many_times_is_one(self, tenant, now):
        one, other, _ = await twins(tenant, now, leads=1)

        ended = await asyncio.gather(
            *(do(tenant.admin, operations.merge, one, other, now=now) for _ in range(6)),
        )

        assert len(set(ended)) == 1
        assert len(await rows(tenant, "select from crm.contact_merge")) == 1
        assert len(await rows(tenant, "select from crm.event_log where event_type = 'contact.merged'")) == 1

    async def test_the_same_undoing_many_times_is_one(self, tenant, now):
        one, other, _ = await twins(tenant, now, leads=1)
        merge = await do(tenant.admin, operations.merge, one, other, now=now)

        await asyncio.gather(*(do(tenant.admin, operations.undo, merge, now=now) for _ in range(6)))

        assert len(await rows(tenant, "select from crm.event_log where event_type = 'contact.unmerged'")) == 1

    async def test_a_ring_of_merges_leaves_one_person(self, tenant, now):
        people = [(await enquiry(tenant, now, email=f"{n}@example.com")).contact_id for n in range(4)]

        await asyncio.gather(
            *(do(tenant.admin, operations.merge, people[n], people[(n + 1) % 4], now=now) for n in range(4)),
            return_exceptions=True,
        )

        merged = await rows(tenant, "select id, merged_into from crm.contact")
        into = {row["id"]: row["merged_into"] for row in merged}
        for each in people:
            seen = set()
            while into[each] and each not in seen:
                seen.add(each)
                each = into[each]
            assert into[each] is None, "a ring"

    async def test_of_assigning_importing_and_stating_nothing_goes_astray(self, tenant, now):
        one, other, leads = await twins(tenant, now)
        people = [tenant.sales_agent.user_id, tenant.sales_manager.user_id]
        batch = [NewLead("file", email="ayse@example.com", external_id=str(n)) for n in range(30)]
        no = consent.Statement(consent.Channel.call, consent.Purpose.marketing, consent.Status.denied, "phone")

        ended = await asyncio.gather(
            *(do(tenant.admin, assigning.assign, lead, people[n % 2], reason="manual", now=now)
              for n, lead in enumerate(leads)),
            do(tenant.admin, operations.merge, one, other, now=now),
            do(tenant.system, intake.create_many, batch, now=now),
            do(tenant.admin, consent.record, other, no, now=now),
            *(do(tenant.admin, assigning.assign, lead, people[(n + 1) % 2], reason="manual", now=now)
              for n, lead in enumerate(leads)),
            return_exceptions=True,
        )  # fmt: skip
        await Gatherer(lambda: now).work(tenant.id)

        assert {type(each) for each in ended if isinstance(each, Exception)} <= {ContactMerged}
        assert await rows(tenant, ASTRAY) == []
        assert len(await rows(tenant, "select from crm.lead where contact_id = $1::uuid", one)) == 12 + 30

    async def test_of_assigning_while_undoing_nothing_goes_astray(self, tenant, now):
        one, other, leads = await twins(tenant, now)
        merge = await do(tenant.admin, operations.merge, one, other, now=now)
        agent = tenant.sales_agent.user_id

        given = [do(tenant.admin, assigning.assign, lead, agent, reason="manual", now=now) for lead in leads]
        await asyncio.gather(*given[:9], do(tenant.admin, operations.undo, merge, now=now), *given[9:])

        assert await rows(tenant, ASTRAY) == []
        assert len(await rows(tenant, "select from crm.lead where contact_id = $1::uuid", other)) == 6

    async def test_killed_half_way_it_has_not_begun(self, tenant, database, now):
        one, other, _ = await twins(tenant, now)
        await do(tenant.system, candidates.propose, [Pair.of(one, other, 0.9, ["same_name"])], source="rules", now=now)
        owner, holder = await asyncpg.connect(database), await asyncpg.connect(database)
        before = await snapshots.take(owner, tenant.id)
        await holder.execute("begin")
        await holder.execute("select from crm.duplicate_candidate for update")  # the last that a merge writes

        merging = asyncio.create_task(do(tenant.admin, operations.merge, one, other, now=now))
        async with asyncio.timeout(60):
            while not (waiting := await owner.fetchval(WAITING)):
                await asyncio.sleep(0.01)
        await owner.execute("select pg_terminate_backend($1)", waiting)
        with pytest.raises(db.GONE):
            await merging
        await holder.close()

        assert await snapshots.take(owner, tenant.id) == before
        assert await do(tenant.admin, operations.merge, one, other, now=now)
        await owner.close()


WAITING = """
select pid from pg_stat_activity
 where datname = current_database() and wait_event_type = 'Lock' and query like '%crm.duplicate_candidate%' limit 1
"""
