"""Loading, looking ahead, claiming: who gets into the hopper, and who takes whom out of it."""

import asyncio
from datetime import datetime, timedelta

import pytest

from crm import consent, filtering, ids
from crm.calendars.rules import Hours
from crm.consent import Channel, Purpose, Statement, Status, dnc
from crm.dialling import campaigns, loading, withdrawals
from crm.leads import operations as leads
from crm.leads.filters import FIELDS
from crm.leads.intake import Consent
from crm.leads.rules import Status as LeadStatus
from tests.conftest import Tenant
from tests.crm.dialling.floor import (
    NOW,
    claim,
    do,
    entry_of,
    fill,
    make_campaign,
    make_leads,
    make_queue,
    rows,
    running,
)

HOUR = timedelta(hours=1)
NIGHT = NOW.replace(hour=22)


async def contact_of(tenant: Tenant, lead):
    return (await rows(tenant, "select contact_id from crm.lead where id = $1::uuid", lead))[0]["contact_id"]


async def withdraw(tenant: Tenant, lead, *, now: datetime = NOW, channel: Channel = Channel.call) -> None:
    contact = await contact_of(tenant, lead)
    said = Statement(channel, Purpose.enquiry, Status.withdrawn, "phone")
    await do(tenant.admin, lambda tx: consent.record(tx, contact, said, now=now))


async def states(tenant: Tenant) -> dict[str, int]:
    found = await rows(tenant, "select state, count(*)::int as n from crm.dial_entry group by state")
    return {row["state"]: row["n"] for row in found}


class TestLoad:
    async def test_takes_each_lead_in_once(self, tenant: Tenant):
        await make_queue(tenant)
        campaign, some = await make_campaign(tenant), await make_leads(tenant, 3)

        first, again = [
            await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=some, now=NOW)) for _ in range(2)
        ]

        assert (first.added, first.known, first.left_out) == (3, 0, 0)
        assert (again.added, again.known, again.left_out) == (0, 3, 0)
        assert await states(tenant) == {"listed": 3}

    async def test_takes_what_a_filter_finds_and_leaves_the_closed_out(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant)
        some = await make_leads(tenant, 3)
        await make_leads(tenant, 2, source="meta", first=10)
        await do(tenant.admin, lambda tx: leads.change_status(tx, some[0], LeadStatus.blocked, reason="asked", now=NOW))
        clauses = filtering.parse_all(["source:in:api"], FIELDS)

        found = await do(tenant.admin, lambda tx: loading.load(tx, campaign, clauses=clauses, now=NOW))

        assert (found.added, found.left_out) == (2, 1)

    async def test_sees_with_the_eyes_of_who_loads(self, tenant: Tenant, other_tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant)
        theirs = await make_leads(other_tenant, 1)

        found = await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=theirs, now=NOW))

        assert (found.added, found.known, found.left_out) == (0, 0, 0)

    async def test_asks_those_excluded_anew(self, tenant: Tenant):
        campaign, [lead] = await running(tenant, 1)
        await withdraw(tenant, lead)
        await fill(tenant, campaign)
        before = await states(tenant)

        await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=[lead], now=NOW))

        assert (before, await states(tenant)) == ({"excluded": 1}, {"listed": 1})


class TestFill:
    async def test_makes_ready_whom_one_may_call(self, tenant: Tenant):
        campaign, [lead, *_] = await running(tenant)

        looked = await fill(tenant, campaign)

        entry = await entry_of(tenant, lead)
        assert (looked, await states(tenant)) == (3, {"ready": 3})
        assert (entry["zone"], round(entry["answer_p"], 2)) == ("Europe/Istanbul", 0.3)

    async def test_excludes_whom_one_may_not_and_says_why(self, tenant: Tenant):
        campaign, [withdrawn, listed, closed, fine] = await running(tenant, 4)
        await withdraw(tenant, withdrawn)
        contact = await contact_of(tenant, listed)
        await do(tenant.admin, lambda tx: dnc.add_contact(tx, contact, ["phone"], reason="asked", now=NOW))
        await do(tenant.admin, lambda tx: leads.change_status(tx, closed, LeadStatus.wrong_number, now=NOW))

        await fill(tenant, campaign)

        reasons = [(await entry_of(tenant, lead))["reason"] for lead in (withdrawn, listed, closed, fine)]
        told = await rows(tenant, "select from crm.event_log where event_type = 'dial_entry.excluded'")
        assert reasons == ["opted_out", "dnc", "lead_closed", None]
        assert await states(tenant) == {"ready": 1, "excluded": 3}
        assert len(told) == 3

    async def test_puts_off_until_the_hours_of_the_law(self, tenant: Tenant):
        campaign, [lead] = await running(tenant, 1)

        await fill(tenant, campaign, now=NIGHT)

        entry = await entry_of(tenant, lead)
        assert (entry["state"], entry["reason"]) == ("listed", "outside_hours")
        assert entry["next_at"] == datetime.fromisoformat("2026-03-04T06:00:00+00:00")

    async def test_keeps_to_the_campaigns_own_hours(self, tenant: Tenant):
        mornings = (Hours(1, 9 * 60, 12 * 60),)
        campaign, _ = await running(tenant, 1, windows=mornings)

        at_noon, in_the_morning = [await fill(tenant, campaign, now=NOW - n * HOUR) for n in (0, 1)]

        assert (at_noon, in_the_morning) == (0, 0)  # loaded at half past twelve: next week is the next morning
        assert await fill(tenant, campaign, now=NOW + timedelta(days=7) - HOUR) == 1

    async def test_needs_consent_for_offers(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant, purpose=Purpose.marketing)
        some = await make_leads(tenant, 1)
        some += await make_leads(tenant, 1, consents=[Consent("call", "granted", {"text": "yes"})], first=7)
        await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=some, now=NOW))
        await do(tenant.admin, lambda tx: campaigns.start(tx, campaign, now=NOW))

        await fill(tenant, campaign)

        assert [(await entry_of(tenant, lead))["state"] for lead in some] == ["excluded", "ready"]

    async def test_gives_back_what_a_dead_dialer_had_claimed(self, tenant: Tenant):
        campaign, _ = await running(tenant)
        await fill(tenant, campaign)
        await claim(tenant, campaign, ids.new(), 3)

        await fill(tenant, campaign, now=NOW + timedelta(seconds=29))
        before = await states(tenant)
        await fill(tenant, campaign, now=NOW + timedelta(seconds=31))

        assert (before, await states(tenant)) == ({"claimed": 3}, {"ready": 3})

    async def test_keeps_only_so_many_ready(self, tenant: Tenant):
        campaign, _ = await running(tenant, 5)

        looked = [await fill(tenant, campaign, keep=2) for _ in range(2)]

        assert looked == [2, 0]


class TestClaim:
    async def test_gives_nobody_the_same_lead(self, tenant: Tenant):
        campaign, _ = await running(tenant, 40)
        await fill(tenant, campaign)

        taken = await asyncio.gather(*(claim(tenant, campaign, ids.new(), 5) for _ in range(10)))

        every = [entry for each in taken for entry in each]
        assert len(every) == len(set(every)) == 40

    async def test_gives_no_more_than_was_asked_for(self, tenant: Tenant):
        campaign, _ = await running(tenant, 6)
        await fill(tenant, campaign)

        taken = await claim(tenant, campaign, ids.new(), 2)

        assert len(taken) == 2
        assert await states(tenant) == {"ready": 4, "claimed": 2}

    async def test_gives_the_urgent_first(self, tenant: Tenant):
        campaign, _ = await running(tenant, 3)
        [urgent] = await make_leads(tenant, 1, first=50)
        await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=[urgent], priority=5, now=NOW))
        await fill(tenant, campaign)

        [first] = await claim(tenant, campaign, ids.new(), 1)

        assert first == (await entry_of(tenant, urgent))["id"]


class TestWithdrawals:
    @pytest.mark.parametrize("taken", [False, True], ids=["ready", "claimed"])
    async def test_reach_a_lead_that_is_already_in_the_hopper(self, tenant: Tenant, taken: bool):
        campaign, [lead, other] = await running(tenant, 2)
        await fill(tenant, campaign)
        if taken:
            await claim(tenant, campaign, ids.new(), 2)
        await withdraw(tenant, lead)
        contacts = [await contact_of(tenant, each) for each in (lead, other)]

        gone = await do(tenant.system, lambda tx: withdrawals.exclude(tx, contacts, [], now=NOW))

        assert gone == 1
        assert (await entry_of(tenant, lead))["reason"] == "opted_out"
        assert (await entry_of(tenant, other))["state"] == ("claimed" if taken else "ready")

    async def test_of_another_channel_leave_the_telephone_alone(self, tenant: Tenant):
        campaign, [lead] = await running(tenant, 1)
        await fill(tenant, campaign)
        await withdraw(tenant, lead, channel=Channel.sms)
        contact = await contact_of(tenant, lead)

        assert await do(tenant.system, lambda tx: withdrawals.exclude(tx, [contact], [], now=NOW)) == 0
