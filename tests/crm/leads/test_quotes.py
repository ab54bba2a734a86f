"""Quotes and the sales made on them: versions, answers, and what ends with a cycle."""

import asyncio
from datetime import timedelta

import pytest

from crm import errors, tenant_settings
from crm.leads import operations, quotes, sales
from crm.leads.procedures import UnknownProcedure
from crm.leads.quotes import Answer
from crm.leads.rules import Status
from crm.money import Money
from tests.crm.leads.test_operations import do, events_of, make_lead, row, rows

PRICE = Money.of("2490", "EUR")


async def make(tenant, lead, now, money=PRICE, **fields):
    return await do(tenant.admin, quotes.make, lead, money, now=now, **fields)


async def statuses(tenant):
    return [each["status"] for each in await rows(tenant, "select status from crm.quote order by version")]


class TestMake:
    async def test_keeps_the_money_as_it_is_counted(self, tenant, now):
        lead = await make_lead(tenant, now)

        await make(tenant, lead, now, Money.of("12.345", "KWD"), procedure_type="hair")

        stored = await row(tenant, "select * from crm.quote")
        assert (stored["amount_minor"], stored["currency"], stored["exponent"]) == (12345, "KWD", 3)
        assert (stored["procedure_type"], stored["version"], stored["status"]) == ("hair", 1, "open")

    async def test_a_new_one_supersedes_the_one_before(self, tenant, now):
        lead = await make_lead(tenant, now)

        first = await make(tenant, lead, now)
        await make(tenant, lead, now, Money.of("2290", "EUR"))

        assert await statuses(tenant) == ["superseded", "open"]
        kinds = [(kind, detail["quote_id"] == str(first)) for kind, detail in await events_of(tenant, lead)]
        assert kinds == [("quote.made", True), ("quote.superseded", True), ("quote.made", False)]

    async def test_racing_quotes_leave_one_open(self, tenant, now):
        lead = await make_lead(tenant, now)

        await asyncio.gather(*(make(tenant, lead, now, Money(100 + n, "TRY")) for n in range(6)))

        assert await statuses(tenant) == ["superseded"] * 5 + ["open"]

    async def test_events_and_timeline_hold_no_procedure(self, tenant, now):
        lead = await make_lead(tenant, now)

        await make(tenant, lead, now, procedure_type="hair", note="he calls from 0532 123 45 67")

        told = await rows(tenant, "select payload_json::text from crm.event_log where event_type like 'quote.%'")
        shown = await row(tenant, "select detail::text, note from crm.activity where kind = 'quote.made'")
        assert "hair" not in told[0][0] + shown["detail"]
        assert shown["note"] == "he calls from •••"

    async def test_refuses_what_is_no_offer(self, tenant, now):
        lead = await make_lead(tenant, now)

        with pytest.raises(errors.Invalid, match="positive"):
            await make(tenant, lead, now, Money(0, "EUR"))
        with pytest.raises(errors.Invalid, match="some time"):
            await make(tenant, lead, now, valid_until=now)
        with pytest.raises(UnknownProcedure) as refusal:
            await make(tenant, lead, now, procedure_type="wings")
        assert "hair" in refusal.value.fields["procedure_type"]

    async def test_a_lead_that_ended_gets_no_quote(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="price", now=now)

        with pytest.raises(quotes.CycleEnded):
            await make(tenant, lead, now)


class TestAnswer:
    async def test_is_kept_once_with_its_reason(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now)

        for _ in range(2):
            await do(tenant.admin, quotes.answer, lead, quote, Answer.declined, reason="price", now=now)

        stored = await row(tenant, "select status, reason, decided_by from crm.quote")
        assert tuple(stored.values()) == ("declined", "price", tenant.admin.user_id)
        assert [kind for kind, _ in await events_of(tenant, lead)] == ["quote.made", "quote.declined"]
        with pytest.raises(quotes.QuoteClosed):
            await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)

    async def test_what_has_expired_is_declined_at_most(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now, valid_until=now + timedelta(days=1))
        late = now + timedelta(days=1)

        with pytest.raises(quotes.QuoteClosed):
            await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=late)
        await do(tenant.admin, quotes.answer, lead, quote, Answer.declined, now=late)

        assert await statuses(tenant) == ["declined"]

    async def test_another_leads_quote_is_not_found(self, tenant, now):
        lead, other = await make_lead(tenant, now), await make_lead(tenant, now)
        quote = await make(tenant, other, now)

        with pytest.raises(quotes.QuoteNotFound):
            await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)


class TestWithdraw:
    async def test_takes_back_what_is_open_once_with_its_reason(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now)

        for _ in range(2):
            await do(tenant.admin, quotes.withdraw, lead, quote, reason="wrong_price", now=now)

        assert (await row(tenant, "select reason from crm.quote"))["reason"] == "wrong_price"
        assert [kind for kind, _ in await events_of(tenant, lead)] == ["quote.made", "quote.withdrawn"]
        with pytest.raises(quotes.QuoteClosed):
            await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)

    async def test_what_was_answered_stands(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now)
        await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)

        with pytest.raises(quotes.QuoteClosed):
            await do(tenant.admin, quotes.withdraw, lead, quote, reason="wrong_price", now=now)

        assert await statuses(tenant) == ["accepted"]


class TestRequired:
    async def test_one_that_was_accepted_counts_after_its_time(self, tenant, now):
        await do(
            tenant.admin, tenant_settings.change, "lead.lifecycle", {"required": {"proposal": ["quote"]}}, now=now
        )  # fmt: skip
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now, valid_until=now + timedelta(days=2))
        await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)

        later = now + timedelta(days=5)
        await do(tenant.admin, operations.change_status, lead, Status.proposal, now=later)

        assert (await row(tenant, "select status from crm.lead"))["status"] == "proposal"

    async def test_a_quote_of_this_cycle_opens_the_way(self, tenant, now):
        await do(
            tenant.admin, tenant_settings.change, "lead.lifecycle", {"required": {"proposal": ["quote"]}}, now=now
        )  # fmt: skip
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.FieldsMissing):
            await do(tenant.admin, operations.change_status, lead, Status.proposal, now=now)
        await make(tenant, lead, now, valid_until=now + timedelta(days=2))
        with pytest.raises(operations.FieldsMissing):
            await do(tenant.admin, operations.change_status, lead, Status.proposal, now=now + timedelta(days=2))
        await do(tenant.admin, operations.change_status, lead, Status.proposal, now=now)

        assert (await row(tenant, "select status from crm.lead"))["status"] == "proposal"

    async def test_one_of_an_earlier_cycle_does_not(self, tenant, now):
        await do(
            tenant.admin, tenant_settings.change, "lead.lifecycle", {"required": {"proposal": ["quote"]}}, now=now
        )  # fmt: skip
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now)
        await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)
        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="price", now=now)
        await do(tenant.admin, operations.reopen, lead, reason="came_back", now=now)

        with pytest.raises(operations.FieldsMissing):
            await do(tenant.admin, operations.change_status, lead, Status.proposal, now=now)


class TestSale:
    async def test_on_a_quote_takes_its_price_and_accepts_it(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now, procedure_type="dental")

        await do(tenant.admin, sales.record_sale, lead, None, quote_id=quote, now=now)

        sale = await row(tenant, "select * from crm.sale")
        assert (sale["amount_minor"], sale["currency"], sale["quote_id"]) == (249000, "EUR", quote)
        assert sale["procedure_type"] == "dental"
        assert await statuses(tenant) == ["accepted"]
        kinds = [kind for kind, _ in await events_of(tenant, lead)]
        assert kinds == ["quote.made", "quote.accepted", "lead.status_changed", "lead.sold"]

    async def test_gives_the_note_that_the_firm_asks_for(self, tenant, now):
        await do(
            tenant.admin, tenant_settings.change, "lead.lifecycle", {"required": {"won": ["note"]}}, now=now
        )  # fmt: skip
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.FieldsMissing):
            await do(tenant.admin, sales.record_sale, lead, PRICE, now=now)
        await do(tenant.admin, sales.record_sale, lead, PRICE, note="deposit paid", now=now)

        shown = await row(tenant, "select note from crm.activity where kind = 'lead.status_changed'")
        assert shown["note"] == "deposit paid"

    async def test_on_an_accepted_quote_it_keeps_its_price_after_its_time(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await make(tenant, lead, now, valid_until=now + timedelta(days=2))
        await do(tenant.admin, quotes.answer, lead, quote, Answer.accepted, now=now)

        later = now + timedelta(days=5)
        await do(tenant.admin, sales.record_sale, lead, None, quote_id=quote, now=later)

        sale = await row(tenant, "select amount_minor, currency, exponent from crm.sale")
        assert tuple(sale.values()) == (249000, "EUR", 2)

    async def test_without_it_withdraws_what_is_open(self, tenant, now):
        lead = await make_lead(tenant, now)
        await make(tenant, lead, now)

        await do(tenant.admin, sales.record_sale, lead, Money(5, "TRY"), now=now)

        assert await statuses(tenant) == ["withdrawn"]

    async def test_needs_a_quote_that_is_still_to_be_had(self, tenant, now):
        lead, other = await make_lead(tenant, now), await make_lead(tenant, now)
        first = await make(tenant, lead, now)
        await make(tenant, lead, now, valid_until=now + timedelta(days=1))
        foreign = await make(tenant, other, now)

        with pytest.raises(quotes.QuoteClosed):
            await do(tenant.admin, sales.record_sale, lead, None, quote_id=first, now=now)
        with pytest.raises(quotes.QuoteNotFound):
            await do(tenant.admin, sales.record_sale, lead, None, quote_id=foreign, now=now)
        with pytest.raises(errors.Invalid):
            await do(tenant.admin, sales.record_sale, lead, None, now=now)

        assert (await row(tenant, "select count(*) from crm.sale"))["count"] == 0

    async def test_cancelled_it_is_lost_after_it_was_won(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, sales.record_sale, lead, Money(500, "TRY"), now=now)
        later = now + timedelta(days=3)

        await do(tenant.admin, sales.cancel_sale, lead, reason="health", now=later)

        sale = await row(tenant, "select * from crm.sale")
        assert (sale["cancelled_at"], sale["cancel_reason"]) == (later, "health")
        assert (await row(tenant, "select status, loss_reason from crm.lead"))["loss_reason"] == "health"
        kind, told = (await events_of(tenant, lead))[-1]
        assert (kind, told["amount_minor"], told["reason"]) == ("lead.sale_cancelled", 500, "health")
        with pytest.raises(sales.NothingSold):
            await do(tenant.admin, sales.cancel_sale, lead, reason="health", now=later)

    async def test_a_plain_change_of_status_undoes_it_as_well(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, sales.record_sale, lead, Money(500, "TRY"), now=now)

        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="cancelled", now=now)

        assert (await row(tenant, "select cancel_reason from crm.sale"))["cancel_reason"] == "cancelled"

    async def test_reopened_it_stands_and_the_next_cycle_has_its_own(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, sales.record_sale, lead, Money(500, "TRY"), now=now)
        await do(tenant.admin, operations.reopen, lead, reason="second_treatment", now=now)

        await do(tenant.admin, sales.record_sale, lead, Money(700, "TRY"), now=now)

        found = await rows(tenant, "select cycle_no, amount_minor, cancelled_at from crm.sale order by cycle_no")
        assert [tuple(each.values()) for each in found] == [(1, 500, None), (2, 700, None)]
