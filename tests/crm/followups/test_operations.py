"""Check-ins schedule themselves with the sale, move with the procedure, and go with a cancelled sale."""

from datetime import UTC, date, datetime, timedelta

import pytest

from crm import db, tenant_settings
from crm.followups import check_ins, operations
from crm.followups.check_ins import CheckInStatus
from crm.followups.chore import FollowUps
from crm.leads import operations as leads
from crm.leads import quotes
from crm.leads.procedures import UnknownProcedure
from crm.leads.rules import Status
from crm.money import Money
from tests.crm.leads.test_operations import do, events_of, make_lead, row, rows

PRICE = Money.of("2490", "EUR")
DAY = date(2026, 3, 10)
DUE = [
    datetime(2026, 3, 11, 7, tzinfo=UTC),
    datetime(2026, 3, 17, 7, tzinfo=UTC),
    datetime(2026, 4, 9, 7, tzinfo=UTC),
    # The 180th day is a Sunday: Monday, when the office opens.
    datetime(2026, 9, 7, 6, tzinfo=UTC),
]


async def sold(tenant, now, **fields):
    """Sell something to a new lead and return the lead."""
    lead = await make_lead(tenant, now)
    await do(tenant.admin, operations.sell, lead, PRICE, now=now, **fields)
    return lead


async def pending(tenant):
    found = await rows(tenant, "select due_at from crm.check_in where status = 'pending' order by due_at")
    return [each["due_at"] for each in found]


async def one(tenant, day=1):
    """Return the id of the pending check-in of a day."""
    found = await row(
        tenant, "select id from crm.check_in where status = 'pending' and day = $1::int", day
    )  # fmt: skip
    return found["id"]


class TestSell:
    async def test_schedules_in_its_own_transaction(self, tenant, now):
        lead = await sold(tenant, now, procedure_type="hair", takes_place_on=DAY)

        assert await pending(tenant) == DUE
        kinds = [kind for kind, _ in await events_of(tenant, lead)]
        assert kinds == ["lead.status_changed", "lead.sold", "procedure.planned", *["check_in.scheduled"] * 4]
        shown = await row(tenant, "select detail from crm.activity where kind = 'check_in.scheduled'")
        assert [each["day"] for each in shown["detail"]["check_ins"]] == [1, 7, 30, 180]

    async def test_a_sale_that_fails_leaves_none(self, tenant, now):
        lead = await make_lead(tenant, now)

        async def half(tx):
            await operations.sell(tx, lead, PRICE, takes_place_on=DAY, now=now)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await db.run(tenant.admin, half)

        assert await pending(tenant) == []
        assert await rows(tenant, "select from crm.sale") == []

    async def test_without_a_day_there_is_nothing_to_schedule_yet(self, tenant, now):
        lead = await sold(tenant, now)
        assert await pending(tenant) == []

        await do(
            tenant.admin, operations.plan_procedure, lead, procedure_type="hair", takes_place_on=DAY, now=now
        )  # fmt: skip

        assert await pending(tenant) == DUE

    async def test_what_was_planned_before_counts(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(
            tenant.admin, operations.plan_procedure, lead, procedure_type="dental", takes_place_on=DAY, now=now
        )  # fmt: skip
        assert await pending(tenant) == []

        await do(tenant.admin, operations.sell, lead, PRICE, now=now)

        assert await pending(tenant) == DUE

    async def test_a_quotes_procedure_is_what_is_done(self, tenant, now):
        lead = await make_lead(tenant, now)
        quote = await do(tenant.admin, quotes.make, lead, PRICE, procedure_type="dental", now=now)

        await do(tenant.admin, operations.sell, lead, None, quote_id=quote, takes_place_on=DAY, now=now)

        assert (await row(tenant, "select type from crm.procedure"))["type"] == "dental"

    async def test_days_are_the_firms_and_the_past_stays(self, tenant, now):
        await sold(tenant, now, procedure_type="hair", takes_place_on=DAY)

        wanted = {"days": [2], "at": "11:30", "by_type": {"dental": [3]}}
        await do(tenant.admin, tenant_settings.change, "check_in.plan", wanted, now=now)
        await rows(tenant, "delete from crm.check_in where day = 180")
        await sold(tenant, now, procedure_type="dental", takes_place_on=DAY)
        await sold(tenant, now, procedure_type="hair", takes_place_on=DAY)

        new = [datetime(2026, 3, 12, 8, 30, tzinfo=UTC), datetime(2026, 3, 13, 8, 30, tzinfo=UTC)]
        assert await pending(tenant) == sorted([*DUE[:3], *new])


class TestPlanProcedure:
    async def test_another_day_moves_what_is_still_to_come(self, tenant, now):
        lead = await sold(tenant, now, procedure_type="hair", takes_place_on=DAY)
        await do(tenant.admin, check_ins.close, await one(tenant), CheckInStatus.done, now=now)

        later = DAY + timedelta(days=1)
        for _ in range(2):
            await do(
                tenant.admin, operations.plan_procedure, lead, procedure_type="hair", takes_place_on=later, now=now
            )  # fmt: skip

        assert await pending(tenant) == [*(due + timedelta(days=1) for due in DUE[1:3]), DUE[3] + timedelta(hours=1)]
        counted = await rows(tenant, "select status, count(*) from crm.check_in group by 1 order by 1")
        assert dict(counted) == {"done": 1, "pending": 3, "rescheduled": 3}

    async def test_no_day_any_more_cancels_them(self, tenant, now):
        lead = await sold(tenant, now, procedure_type="hair", takes_place_on=DAY)

        await do(
            tenant.admin, operations.plan_procedure, lead, procedure_type="hair", takes_place_on=None, now=now
        )  # fmt: skip

        assert await pending(tenant) == []
        assert [kind for kind, _ in await events_of(tenant, lead)].count("check_in.cancelled") == 4

    async def test_refuses_what_nobody_sells_and_who_was_lost(self, tenant, now):
        lead = await make_lead(tenant, now)

        with pytest.raises(UnknownProcedure):
            await do(
                tenant.admin, operations.plan_procedure, lead, procedure_type="wings", takes_place_on=DAY, now=now
            )  # fmt: skip
        await do(tenant.admin, leads.change_status, lead, Status.lost, reason="price", now=now)
        with pytest.raises(quotes.CycleEnded):
            await do(
                tenant.admin, operations.plan_procedure, lead, procedure_type="hair", takes_place_on=DAY, now=now
            )  # fmt: skip


class TestCancel:
    async def test_takes_what_is_pending_with_it(self, tenant, now):
        lead = await sold(tenant, now, takes_place_on=DAY)
        await do(tenant.admin, check_ins.close, await one(tenant), CheckInStatus.done, now=now)

        await do(tenant.admin, operations.cancel_sale, lead, reason="cancelled", now=now)

        counted = await rows(tenant, "select status, count(*) from crm.check_in group by 1 order by 1")
        assert dict(counted) == {"cancelled": 3, "done": 1}

    async def test_a_sale_undone_by_another_door_is_cleared_up(self, tenant, now):
        lead, stands = await sold(tenant, now, takes_place_on=DAY), await sold(tenant, now, takes_place_on=DAY)
        await do(tenant.admin, leads.change_status, lead, Status.lost, reason="cancelled", now=now)

        await FollowUps(lambda: now).work(tenant.id)
        await FollowUps(lambda: now).work(tenant.id)

        found = await rows(tenant, "select lead_id, status, count(*) from crm.check_in group by 1, 2")
        assert {(each["lead_id"], each["status"]): each["count"] for each in found} == {
            (lead, "cancelled"): 4, (stands, "pending"): 4,
        }  # fmt: skip

    async def test_undone_and_reopened_before_anybody_looked(self, tenant, now):
        lead = await sold(tenant, now, takes_place_on=DAY)
        await do(tenant.admin, leads.change_status, lead, Status.lost, reason="cancelled", now=now)
        await do(tenant.admin, leads.reopen, lead, reason="came_back", now=now)

        await FollowUps(lambda: now).work(tenant.id)

        assert await pending(tenant) == []

    async def test_who_comes_back_after_a_sale_is_still_looked_after(self, tenant, now):
        lead = await sold(tenant, now, takes_place_on=DAY)
        await do(tenant.admin, leads.reopen, lead, reason="second_treatment", now=now)

        await FollowUps(lambda: now).work(tenant.id)

        assert await pending(tenant) == DUE
