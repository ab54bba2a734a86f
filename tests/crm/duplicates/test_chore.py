"""What happens at the very instant of a merge: nothing of it is lost, and nothing is half done."""

import asyncio
from datetime import timedelta

from crm import db
from crm.duplicates import operations
from crm.duplicates.chore import Gatherer
from crm.leads import intake
from crm.leads.intake import Consent, NewLead


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
