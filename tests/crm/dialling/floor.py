"""A small dialling floor: a queue, leads with numbers, a campaign, and calls that end as a test says."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from crm import db, ids
from crm.actor import Actor
from crm.calls.story import Outcome
from crm.db import Tx
from crm.dialling import campaigns, hopper, launching, leases, loading, results
from crm.dialling.designs import Design
from crm.dialling.rules import Mode
from crm.dialling.timing import Learned
from crm.leads import intake
from crm.leads.intake import Consent, NewLead
from crm.queues import operations as queues
from crm.queues.rules import Settings
from tests.conftest import NOW, Tenant

T = TypeVar("T")
QUEUE = "sales"
DESIGN = Design(name="Spring", mode=Mode.progressive, timezone="Europe/Istanbul", queue=QUEUE)


async def do(actor: Actor, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Run one operation in a transaction of its own."""
    return await db.run(actor, work)


async def rows(tenant: Tenant, sql: str, *args: Any) -> list[Any]:
    """Return rows as the tenant's system sees them; a lone jsonb is read by the driver's word."""
    return await do(tenant.system, lambda tx: tx.fetch(sql, *args))


async def make_queue(tenant: Tenant, code: str = QUEUE, *, now: datetime = NOW) -> UUID:
    """Make a queue that is always open."""
    settings = Settings(labels={"tr": "Satış", "en": "Sales"}, hours="always")
    return await do(tenant.admin, lambda tx: queues.create(tx, code=code, settings=settings, now=now))


async def make_leads(
    tenant: Tenant, count: int, *, source: str = "api", consents: Sequence[Consent] = (), now: datetime = NOW,
    first: int = 0,
) -> list[UUID]:  # fmt: skip
    """Store leads of people with Turkish mobile numbers; return their ids."""
    leads = [
        NewLead(source, name=f"Person {n}", phone=f"+90532{1_000_000 + n}", consents=consents)
        for n in range(first, first + count)
    ]
    stored = await do(tenant.system, lambda tx: intake.create_many(tx, leads, now=now)) if leads else []
    return [each.lead_id for each in stored]


async def make_campaign(tenant: Tenant, *, code: str = "spring", now: datetime = NOW, **of: Any) -> UUID:
    """Design a campaign like `DESIGN`, but for what a test is about."""
    design = replace(DESIGN, **of)
    return await do(tenant.admin, lambda tx: campaigns.create(tx, code=code, design=design, now=now))


async def running(tenant: Tenant, leads: int = 3, *, now: datetime = NOW, **of: Any) -> tuple[UUID, list[UUID]]:
    """Return a running campaign with so many leads loaded."""
    if not await rows(tenant, "select from crm.queue where code = $1::text", QUEUE):
        await make_queue(tenant, now=now)
    campaign = await make_campaign(tenant, now=now, **of)
    loaded = await make_leads(tenant, leads, now=now)
    await do(tenant.admin, lambda tx: loading.load(tx, campaign, lead_ids=loaded, now=now))
    await do(tenant.admin, lambda tx: campaigns.start(tx, campaign, override="trial", now=now))
    return campaign, loaded


async def fill(tenant: Tenant, campaign: UUID, *, now: datetime = NOW, **of: Any) -> int:
    """Look at the leads whose time has come."""
    return await do(tenant.system, lambda tx: hopper.fill(tx, campaign, Learned(), now=now, **of))


async def claim(tenant: Tenant, campaign: UUID, holder: UUID, count: int = 10, *, now: datetime = NOW) -> list[UUID]:
    """Claim leads for a dialer for half a minute."""
    until = now + timedelta(seconds=30)
    found = await do(
        tenant.system, lambda tx: hopper.claim(tx, campaign, holder, at_most=count, until=until, now=now)
    )  # fmt: skip
    return [row["id"] for row in found]


async def launch(
    tenant: Tenant, campaign: UUID, entries: Sequence[UUID], holder: UUID, *, now: datetime = NOW
) -> list[launching.Launched]:
    """Dial claimed leads."""
    return await do(tenant.system, lambda tx: launching.launch(tx, campaign, entries, holder, now=now))


async def take(tenant: Tenant, campaign: UUID, holder: UUID | None = None, **of: Any) -> UUID:
    """Take the campaign's lease for a dialer; return the dialer."""
    holder = holder or ids.new()
    assert await do(tenant.system, lambda tx: leases.take(tx, campaign, holder, **of))
    return holder


async def dialled(tenant: Tenant, leads: int = 1, *, now: datetime = NOW, **of: Any) -> tuple[UUID, list[UUID]]:
    """Return a running campaign whose leads are all being dialled, and the calls in the order of their entries."""
    campaign, _ = await running(tenant, leads, now=now, **of)
    holder = await take(tenant, campaign)
    await fill(tenant, campaign, now=now)
    made = await launch(tenant, campaign, await claim(tenant, campaign, holder, leads, now=now), holder, now=now)
    await do(tenant.system, lambda tx: leases.leave(tx, campaign, holder))
    return campaign, [each.call_id for each in made]


ENDED = """
update crm.call
   set status = 'ended', started_at = requested_at, outcome = $3::text, answered_at = $4::timestamptz,
       connected_at = $5::timestamptz, ended_at = $6::timestamptz, verdict = $7::text, ring_s = 5
 where tenant_id = $1::uuid and id = $2::uuid
"""


async def end(
    tenant: Tenant, call: UUID, outcome: Outcome, *, delay_s: float | None = None, answered: bool | None = None,
    verdict: str | None = None, now: datetime = NOW,
) -> None:  # fmt: skip
    """Let a call have ended. `delay_s`: an agent was there so long after the answer."""
    said = outcome in (Outcome.answered, Outcome.abandoned, Outcome.machine) if answered is None else answered
    answered_at = now + timedelta(seconds=5) if said else None
    connected_at = answered_at + timedelta(seconds=delay_s) if answered_at and delay_s is not None else None
    ended_at = now + timedelta(seconds=30)

    async def work(tx: Tx) -> None:
        await tx.execute(
            ENDED, tx.actor.tenant_id, call, outcome.value, answered_at, connected_at, ended_at, verdict
        )  # fmt: skip

    await do(tenant.system, work)


async def settle(tenant: Tenant, *, now: datetime = NOW) -> int:
    """Note what came of calls that have ended."""
    return await do(tenant.system, lambda tx: results.settle(tx, Learned(), now=now + timedelta(minutes=1)))


async def entry_of(tenant: Tenant, lead: UUID) -> Any:
    """Return a lead's entry."""
    [row] = await rows(tenant, "select * from crm.dial_entry where lead_id = $1::uuid", lead)
    return row
