"""Dialling claimed leads: once, by the one dialer that may, and not those who may not be called."""

import asyncio
from datetime import timedelta

import pytest

from crm import ids
from crm.dialling import campaigns, hopper, leases, loading, queries
from crm.dialling.guard import Allowed
from crm.dialling.leases import LeaseLost
from crm.leads import intake
from crm.leads.intake import NewLead
from tests.conftest import Tenant
from tests.crm.dialling.floor import (
    NOW,
    claim,
    dialled,
    do,
    entry_of,
    fill,
    launch,
    rows,
    running,
    take,
)
from tests.crm.dialling.test_hopper import withdraw


class TestLaunch:
    async def test_asks_the_exchange_once_for_each_lead(self, tenant: Tenant):
        campaign, calls = await dialled(tenant, 3)

        asks = await rows(tenant, "select call_id, kind from crm.exchange_ask")
        kept = await rows(tenant, "select id, campaign_id, queue, purpose, direction, ring_limit_s from crm.call")
        assert {ask["call_id"] for ask in asks} == set(calls) == {row["id"] for row in kept}
        assert {ask["kind"] for ask in asks} == {"originate"}
        assert {(row["campaign_id"], row["queue"], row["purpose"], row["ring_limit_s"]) for row in kept} == {
            (campaign, "sales", "campaign", 25)
        }

    async def test_leaves_an_attempt_that_waits_for_its_end(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)

        [attempt] = await rows(tenant, "select * from crm.dial_attempt")
        [entry] = await rows(tenant, "select * from crm.dial_entry")
        told = await rows(tenant, "select payload_json from crm.event_log where event_type = 'dial_attempt.dialled'")
        assert (attempt["call_id"], attempt["result"], attempt["attempt_no"]) == (call, None, 1)
        assert (attempt["local_hour"], attempt["local_weekday"]) == (12, 1)
        assert (entry["state"], entry["attempts"], entry["claimed_by"]) == ("dialling", 1, None)
        assert (await do(tenant.admin, lambda tx: queries.read(tx, campaign))).calls == 1
        assert len(told) == 1

    async def test_dials_nobody_twice_when_it_is_asked_again(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        holder = await take(tenant, campaign)
        await fill(tenant, campaign)
        entries = await claim(tenant, campaign, holder)

        made = [await launch(tenant, campaign, entries, holder) for _ in range(2)]

        assert [len(each) for each in made] == [1, 0]

    async def test_a_premium_number_that_came_with_a_list_is_never_dialled(self, tenant: Tenant):
        campaign, _ = await running(tenant, 0)
        lead = NewLead("webhook", phone="+909001234567")
        stored = await do(tenant.system, lambda tx: intake.create(tx, lead, now=NOW))
        await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=[stored.lead_id], now=NOW))
        await fill(tenant, campaign)
        holder = await take(tenant, campaign)

        made = await launch(tenant, campaign, await claim(tenant, campaign, holder), holder)

        entry = await entry_of(tenant, stored.lead_id)
        assert (made, entry["state"], entry["reason"]) == ([], "excluded", "number_not_allowed")
        assert await rows(tenant, "select from crm.exchange_ask") == []

    async def test_of_two_dialers_at_once_one_dials(self, tenant: Tenant):
        campaign, _ = await running(tenant, 10)
        await fill(tenant, campaign)
        holder = await take(tenant, campaign)
        entries = await claim(tenant, campaign, holder)

        made = await asyncio.gather(*(launch(tenant, campaign, entries, holder) for _ in range(4)))

        assert sorted(len(each) for each in made) == [0, 0, 0, 10]
        assert len(await rows(tenant, "select from crm.exchange_ask")) == 10

    async def test_stops_a_withdrawal_between_the_claim_and_the_call(self, tenant: Tenant):
        campaign, [lead] = await running(tenant, 1)
        holder = await take(tenant, campaign)
        await fill(tenant, campaign)
        entries = await claim(tenant, campaign, holder)
        await withdraw(tenant, lead)

        made = await launch(tenant, campaign, entries, holder)

        [attempt] = await rows(tenant, "select result, reason, call_id from crm.dial_attempt")
        [check] = await rows(tenant, "select is_allowed, reason from crm.consent_check")
        assert made == []
        assert tuple(attempt) == ("blocked_by_policy", "opted_out", None)
        assert tuple(check) == (False, "opted_out")
        assert (await entry_of(tenant, lead))["state"] == "excluded"
        assert await rows(tenant, "select from crm.exchange_ask") == []

    async def test_puts_off_whom_somebody_speaks_with_already(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        other, _ = await running(tenant, 1, code="summer")
        holders = [await take(tenant, each) for each in (campaign, other)]
        for each in (campaign, other):
            await fill(tenant, each)
        first, second = [
            await launch(tenant, each, await claim(tenant, each, holder), holder)
            for each, holder in zip((campaign, other), holders, strict=True)
        ]

        entries = await rows(tenant, "select state, reason, next_at from crm.dial_entry order by campaign_id")
        assert (len(first), len(second)) == (1, 0)
        assert [row["state"] for row in entries] == ["dialling", "listed"]
        assert (entries[1]["reason"], entries[1]["next_at"]) == ("on_call", NOW + timedelta(minutes=15))

    async def test_waits_while_the_campaign_is_paused(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        holder = await take(tenant, campaign)
        await fill(tenant, campaign)
        entries = await claim(tenant, campaign, holder)
        await do(tenant.admin, lambda tx: campaigns.pause(tx, campaign, reason="lunch", now=NOW))

        assert await launch(tenant, campaign, entries, holder) == []

    async def test_is_nobodys_who_does_not_hold_the_lease(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        await fill(tenant, campaign)
        stranger = ids.new()
        entries = await claim(tenant, campaign, stranger)
        await take(tenant, campaign)

        with pytest.raises(LeaseLost):
            await launch(tenant, campaign, entries, stranger)


class TestLease:
    async def test_is_one_dialers_until_it_lapses(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        short = timedelta()
        first, second = ids.new(), ids.new()

        terms = [
            await do(tenant.system, lambda tx, who=who, lasts=lasts: leases.take(tx, campaign, who, lasts=lasts))
            for who, lasts in ((first, leases.LASTS), (second, leases.LASTS), (first, short), (second, leases.LASTS))
        ]

        assert terms == [1, None, 1, 2]

    async def test_that_lapsed_dials_nothing_more(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        await fill(tenant, campaign)
        slow = await take(tenant, campaign, lasts=timedelta())
        entries = await claim(tenant, campaign, slow)
        await take(tenant, campaign)

        with pytest.raises(LeaseLost):
            await launch(tenant, campaign, entries, slow)

    async def test_that_is_given_back_is_free_at_once(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        first = await take(tenant, campaign)

        await do(tenant.system, lambda tx: leases.leave(tx, campaign, first))

        await take(tenant, campaign)

    async def test_two_who_want_it_at_once_do_not_both_get_it(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)

        terms = await asyncio.gather(
            *(do(tenant.system, lambda tx: leases.take(tx, campaign, ids.new())) for _ in range(6))
        )

        assert [term for term in terms if term is not None] == [1]


class TestGiveBack:
    async def test_lets_go_of_ones_own_only(self, tenant: Tenant):
        campaign, [lead] = await running(tenant, 1)
        await fill(tenant, campaign)
        holder = ids.new()
        entries = await claim(tenant, campaign, holder)

        await do(tenant.system, lambda tx: hopper.give_back(tx, entries, ids.new(), now=NOW))
        before = (await entry_of(tenant, lead))["state"]
        await do(tenant.system, lambda tx: hopper.give_back(tx, entries, holder, now=NOW))

        assert (before, (await entry_of(tenant, lead))["state"]) == ("claimed", "ready")


class TestBudget:
    async def test_begins_unproven(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)

        _, found = await do(tenant.admin, lambda tx: queries.budget(tx, campaign, now=NOW))

        assert (found.allowed, found.reason) == (Allowed.progressive, "month.unproven")
