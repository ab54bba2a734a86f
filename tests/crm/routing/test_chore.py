"""What wakes the router: whatever real operations tell after which somebody may get a lead who could not before."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from crm import db, tenant_settings
from crm.calendars import operations as calendars
from crm.calendars.rules import Hours
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.routing.chore import brings_a_lead, makes_room
from crm.users import absences, availability
from crm.users import operations as users
from tests.crm.routing import firm

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def told(tenant, since):
    """Return the events since an instant as the router hears them."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch(
            "select event_type, payload_json from crm.event_log where occurred_at >= $1::timestamptz", since
        )
    return [SimpleNamespace(event_type=row["event_type"], payload=row["payload_json"]) for row in rows]


async def comes_back_early(tenant, agent, now):
    absence = await db.run(
        tenant.admin, lambda tx: absences.plan(tx, agent, kind="leave", ends_at=now + 9 * HOUR, now=now)
    )
    await db.run(tenant.admin, lambda tx: absences.cancel(tx, agent, absence, now=now + HOUR))


async def ends_a_pause(tenant, agent, now):
    await db.run(tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=False, now=now))
    await db.run(tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=True, now=now + HOUR))


async def works_longer(tenant, agent, now):
    hours = [Hours(day, 0, 24 * 60) for day in range(7)]
    day = (now + 2 * DAY).date()
    await db.run(
        tenant.admin,
        lambda tx: calendars.set_hours(tx, hours=hours, user_id=agent, valid_from=day, now=now + HOUR),
    )


async def learns(tenant, agent, now):
    await firm.profile(tenant, agent, now + HOUR, skills={"implant": 3})


async def takes_more(tenant, agent, now):
    await firm.seat(tenant, agent, now + HOUR, capacity=99)


async def rules_are_published(tenant, agent, now):
    await firm.publish(tenant, {}, now + HOUR)


async def a_setting_changes(tenant, agent, now):
    await db.run(
        tenant.admin,
        lambda tx: tenant_settings.change(tx, "routing.cooling_off_hours", {"lost": 1}, now=now + HOUR),
    )


async def is_back_at_work(tenant, agent, now):
    for at, active in ((now, False), (now + HOUR, True)):
        change = users.Change(is_active=active)
        await db.run(tenant.admin, lambda tx, at=at, change=change: users.update(tx, agent, change, now=at))


async def finishes_one(tenant, agent, now):
    [lead] = await firm.arrive(tenant, 1, now)
    await firm.route(tenant, [lead], now)
    await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead, Status.lost, reason="other", now=now + HOUR))


class TestMakesRoom:
    @pytest.mark.parametrize(
        "happens",
        [
            comes_back_early, ends_a_pause, works_longer, learns, takes_more, rules_are_published, a_setting_changes,
            is_back_at_work, finishes_one,
        ],
    )  # fmt: skip
    async def test_hears(self, tenant, now, happens):
        await happens(tenant, tenant.sales_agent.user_id, now)

        assert any(makes_room(event) for event in await told(tenant, now + HOUR))


class TestBringsALead:
    async def test_hears_a_lead_that_comes_comes_back_or_is_handed_to_a_team(self, tenant, now):
        [lead] = await firm.arrive(tenant, 1, now)
        await db.run(
            tenant.admin, lambda tx: leads.change_status(tx, lead, Status.lost, reason="other", now=now + HOUR)
        )
        await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead, Status.recycled, now=now + 2 * HOUR))
        await db.run(
            tenant.admin,
            lambda tx: leads.assign(tx, lead, None, team_id=tenant.team_id, reason="manual", now=now + 3 * HOUR),
        )

        heard = [event.event_type for event in await told(tenant, now) if brings_a_lead(event)]

        assert heard == ["lead.created", "lead.status_changed", "lead.assigned"]
