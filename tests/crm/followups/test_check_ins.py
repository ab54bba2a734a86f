"""A check-in is done, skipped or put off, once, and listed for who sees its lead."""

import asyncio
from datetime import timedelta

import pytest

from crm import db, errors
from crm.followups import check_ins, queries
from crm.followups.check_ins import CheckInStatus
from crm.leads import operations as leads
from tests.crm.followups.test_operations import DAY, DUE, one, sold
from tests.crm.leads.test_operations import do, events_of, row


class TestClose:
    async def test_is_kept_with_who_and_when(self, tenant, now):
        lead = await sold(tenant, now, takes_place_on=DAY)
        check_in = await one(tenant)

        for _ in range(2):
            await do(tenant.admin, check_ins.close, check_in, CheckInStatus.done, note="all well", now=now)

        stored = await row(tenant, "select * from crm.check_in where id = $1::uuid", check_in)
        assert (stored["status"], stored["closed_by"], stored["closed_at"]) == ("done", tenant.admin.user_id, now)
        done = [detail for kind, detail in await events_of(tenant, lead) if kind == "check_in.done"]
        assert [(each["check_in_id"], each["day"]) for each in done] == [(str(check_in), 1)]
        assert (await row(tenant, "select note from crm.activity where kind = 'check_in.done'"))["note"] == "all well"

    async def test_skipping_needs_a_reason_and_ends_it(self, tenant, now):
        await sold(tenant, now, takes_place_on=DAY)
        check_in = await one(tenant)

        with pytest.raises(errors.Invalid, match="reason"):
            await do(tenant.admin, check_ins.close, check_in, CheckInStatus.skipped, now=now)
        await do(tenant.admin, check_ins.close, check_in, CheckInStatus.skipped, reason="abroad", now=now)
        with pytest.raises(check_ins.CheckInClosed):
            await do(tenant.admin, check_ins.close, check_in, CheckInStatus.done, now=now)

    async def test_done_twice_at_once_is_done_once(self, tenant, now):
        lead = await sold(tenant, now, takes_place_on=DAY)
        check_in = await one(tenant)

        await asyncio.gather(
            *(do(tenant.admin, check_ins.close, check_in, CheckInStatus.done, now=now) for _ in range(4))
        )

        assert [kind for kind, _ in await events_of(tenant, lead)].count("check_in.done") == 1

    async def test_anothers_is_not_found(self, tenant, other_tenant, now):
        await sold(tenant, now, takes_place_on=DAY)
        check_in = await one(tenant)

        for stranger in (tenant.sales_agent, other_tenant.admin):
            with pytest.raises(check_ins.CheckInNotFound):
                await do(stranger, check_ins.close, check_in, CheckInStatus.done, now=now)


class TestReschedule:
    async def test_another_one_takes_its_place(self, tenant, now):
        lead = await sold(tenant, now, takes_place_on=DAY)
        check_in, agreed = await one(tenant), DUE[0] + timedelta(hours=5)

        new = await do(tenant.admin, check_ins.reschedule, check_in, agreed, now=now)

        stored = await row(tenant, "select * from crm.check_in where id = $1::uuid", new)
        assert (stored["replaces"], stored["due_at"], stored["day"]) == (check_in, agreed, 1)
        told = [
            (kind, detail["check_in_id"])
            for kind, detail in await events_of(tenant, lead)
            if str(check_in) in (detail.get("check_in_id"), detail.get("replaces"))
        ]
        assert told == [
            ("check_in.scheduled", str(check_in)), ("check_in.cancelled", str(check_in)),
            ("check_in.scheduled", str(new)),
        ]  # fmt: skip

    async def test_refuses_the_past_and_what_is_over(self, tenant, now):
        await sold(tenant, now, takes_place_on=DAY)
        check_in = await one(tenant)

        with pytest.raises(errors.Invalid, match="coming"):
            await do(tenant.admin, check_ins.reschedule, check_in, now, now=now)
        await do(tenant.admin, check_ins.close, check_in, CheckInStatus.done, now=now)
        with pytest.raises(check_ins.CheckInClosed):
            await do(tenant.admin, check_ins.reschedule, check_in, now + timedelta(days=1), now=now)


class TestPending:
    async def test_pages_by_when_they_are_due_for_who_sees_them(self, tenant, now):
        mine, other = await sold(tenant, now, takes_place_on=DAY), await sold(tenant, now, takes_place_on=DAY)
        await do(tenant.admin, leads.assign, mine, tenant.sales_agent.user_id, reason="manual", now=now)
        seen, cursor = [], None

        while True:
            async with db.transaction(tenant.admin) as tx:
                page = await queries.pending(tx, limit=3, cursor=cursor)
            seen += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        async with db.transaction(tenant.sales_agent) as tx:
            own = await queries.pending(tx, due_to=DUE[2])

        assert (len(seen), len(set(seen))) == (8, 8)
        assert len(own.items) == 2
        assert all(str(mine) in item and str(other) not in item for item in own.items)
