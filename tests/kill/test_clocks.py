"""`kill -9` in the middle of telling what has come: the next worker tells the rest, and each thing is told once."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from crm import clock, db, ids
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.sla import operations as sla
from crm.sla.rules import Escalation, Kind, Recipient, Rule
from tests.conftest import Tenant
from tests.kill.firm import Processes

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

LEADS = 1_000
KILLS = 3
HOUR = 3600
RULE = Rule(
    code="an-hour", kind=Kind.first_response, target_s=HOUR, time="calendar", reminders=(-600, 600),
    escalations=tuple(Escalation(to=to, after_s=300 * n) for n, to in enumerate(Recipient)),
)  # fmt: skip
STEPS = {"reminder:-600", "breach", "escalation:owner", "escalation:team_lead", "escalation:manager", "reminder:600"}


async def make_due(tenant: Tenant) -> None:
    """Let leads have come three hours ago, under a rule of an hour, while no worker was there."""
    at = clock.utc_now() - timedelta(hours=3)
    await db.run(tenant.system, lambda tx: sla.begin(tx, since=at, now=at))
    await db.run(tenant.admin, lambda tx: sla.publish(tx, [RULE], now=at))
    for _ in range(LEADS // 1000):
        leads = [NewLead("api", email=f"{ids.new().hex}@example.com") for _ in range(1000)]
        await db.run(tenant.system, lambda tx, leads=leads: intake.create_many(tx, leads, now=at))


async def told(tenant: Tenant, *, beyond: int) -> int:
    """Wait until more than so many things were told; return how many."""
    sql = "select count(*) from crm.event_log where event_type like 'sla.%' and aggregate_type = 'lead'"
    async with asyncio.timeout(300):
        while True:
            async with db.transaction(tenant.system) as tx:
                found: int = await tx.fetchval(sql)
            if found > beyond:
                return found
            await asyncio.sleep(0.05)


async def test_what_comes_is_told_once_however_often_the_worker_dies(tenant: Tenant) -> None:
    await make_due(tenant)
    firm, seen = Processes(), [0]

    try:
        for _ in range(KILLS):
            firm.start("worker")
            seen.append(await told(tenant, beyond=seen[-1] + 500))
            firm.kill("worker")
        assert seen[-1] < LEADS * len(STEPS), "the kills came into the middle"
        firm.start("worker")
        await told(tenant, beyond=LEADS * len(STEPS) - 1)
    finally:
        for name in list(firm.running):
            firm.kill(name)

    async with db.transaction(tenant.system) as tx:
        events = await tx.fetch(
            "select aggregate_id, payload_json ->> 'step' as step from crm.event_log"
            " where event_type like 'sla.%' and aggregate_type = 'lead'"
        )
        clocks = await tx.fetch("select lead_id, state, breached_at - started_at as after, next_at from crm.sla_clock")
    times = Counter(tuple(row) for row in events)
    assert set(times.values()) == {1}
    assert {step for _, step in times} == STEPS
    assert len(times) == LEADS * len(STEPS)
    assert {(row["state"], row["after"], row["next_at"]) for row in clocks} == {("breached", timedelta(hours=1), None)}
    assert len(clocks) == len({row["lead_id"] for row in clocks}) == LEADS
