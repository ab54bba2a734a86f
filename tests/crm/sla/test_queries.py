"""What is shown of clocks depends on when one looks."""

from datetime import date, timedelta

import pytest

from crm import db, ids
from crm.calendars import operations as calendars
from crm.calendars.rules import weekly
from crm.leads import intake
from crm.leads import operations as leads
from crm.leads.intake import NewLead
from crm.leads.rules import Status
from crm.sla import clocks, queries
from crm.sla import operations as sla
from crm.sla.rules import Kind, Rule
from tests.conftest import Tenant


async def make_lead(tenant: Tenant, now):
    lead = NewLead(source="api", email=f"{ids.new().hex}@mail.example", team_id=tenant.team_id)
    return (await db.run(tenant.admin, lambda tx: intake.create(tx, lead, now=now))).lead_id


async def shown(tenant: Tenant, lead_id, *, settled, looked):
    """Return a lead's clocks as they were kept at one instant and looked at another."""
    await db.run(tenant.system, lambda tx: clocks.settle(tx, [lead_id], now=settled))
    return await db.run(tenant.admin, lambda tx: queries.clocks_of(tx, lead_id, looked))


class TestClocksOf:
    @pytest.mark.parametrize(("minute", "left"), [(0, 900), (4, 660), (15, 0), (20, -300)])
    async def test_tells_what_is_left_to_the_second(self, tenant, now, minute, left):
        lead = await make_lead(tenant, now)

        (one,) = await shown(tenant, lead, settled=now, looked=now + timedelta(minutes=minute))

        assert (one["remaining_s"], one["state"]) == (left, "running" if left > 0 else "breached")

    async def test_a_clock_that_stands_still_keeps_what_is_left(self, tenant, now):
        lead = await make_lead(tenant, now)
        later = now + timedelta(minutes=5)
        await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead, Status.wrong_number, now=later))

        found = await shown(tenant, lead, settled=later, looked=now + timedelta(hours=2))

        paused = next(each for each in found if each["kind"] == "first_response")
        assert (paused["is_paused"], paused["due_at"], paused["remaining_s"]) == (True, None, 600)

    async def test_a_clock_that_is_never_due_says_what_is_left_and_no_instant(self, tenant, now):
        """A team that is open for a minute a week does not stop the worker with a year of promised time."""
        year = Rule(code="year", kind=Kind.first_response, target_s=366 * 86_400)
        monday = date(2026, 3, 9)

        async def rarely(tx):
            await sla.publish(tx, [year], now=now)
            await calendars.set_hours(tx, weekly([0], 0, 1), team_id=tenant.team_id, valid_from=monday, now=now)

        await db.run(tenant.admin, rarely)
        lead = await make_lead(tenant, now + timedelta(days=10))

        (one,) = await shown(
            tenant, lead, settled=now + timedelta(days=10), looked=now + timedelta(days=10 + 21)
        )  # fmt: skip

        assert (one["state"], one["due_at"], one["remaining_s"]) == ("running", None, 366 * 86_400 - 3 * 60)
