"""`kill -9` in the middle of a bulk run: the next worker goes on, and every lead is changed once."""

import asyncio
from collections import Counter

import pytest

from crm import clock, db, ids
from crm.actor import Actor
from crm.bulk import operations as bulk
from crm.bulk import queries
from crm.bulk.operations import ToStatus
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.leads.rules import Status
from tests.conftest import Tenant
from tests.kill.firm import Processes

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

LEADS = 12_000
CHUNK = 500


async def store(actor: Actor) -> None:
    """Store the leads, a thousand in a statement."""
    for _ in range(LEADS // 1000):
        leads = [NewLead("api", email=f"{ids.new().hex}@example.com", is_test=True) for _ in range(1000)]
        await db.run(actor, lambda tx, leads=leads: intake.create_many(tx, leads, now=clock.utc_now()))


async def progress(tenant: Tenant, run, *, beyond: int) -> int:
    """Wait until more than so many leads have their verdict; return how many have."""
    async with asyncio.timeout(60):
        while True:
            row = await db.run(tenant.admin, lambda tx: queries.get(tx, run))
            if row["processed"] > beyond or row["status"] == "done":
                return row["processed"]
            await asyncio.sleep(0.02)


async def test_a_killed_run_goes_on_and_doubles_nothing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    await store(tenant.system)
    monkeypatch.setattr(bulk, "CHUNK", CHUNK)
    run = await db.run(
        tenant.admin,
        lambda tx: bulk.submit(
            tx, ToStatus(Status.contacted), lead_ids=None, clauses=(), now=clock.utc_now()
        ),
    )  # fmt: skip
    firm, seen = Processes(), []

    try:
        for _ in range(2):
            firm.start("worker")
            seen.append(await progress(tenant, run, beyond=seen[-1] + 1 if seen else 0))
            firm.kill("worker")
        firm.start("worker")
        await progress(tenant, run, beyond=LEADS - 1)
    finally:
        for name in list(firm.running):
            firm.kill(name)

    assert seen[0] < LEADS, "the kill came into the middle"
    row = await db.run(tenant.admin, lambda tx: queries.get(tx, run))
    assert (row["status"], row["done"], row["processed"]) == ("done", LEADS, LEADS)
    async with db.transaction(tenant.system) as tx:
        for sql in (
            "select aggregate_id from crm.event_log where event_type = 'lead.status_changed'",
            "select lead_id from crm.activity where kind = 'lead.status_changed'",
            "select target_id from crm.audit_log where action = 'lead.status'",
        ):
            times = Counter(lead for (lead,) in await tx.fetch(sql))
            assert (len(times), set(times.values())) == (LEADS, {1}), sql
        assert await tx.fetchval("select count(*) from crm.lead where status = 'contacted'") == LEADS
