"""What ads cost and what came of it, through the real operations, with every number worked out by hand.

The firm is in Istanbul and reports in lira; its ad account counts its days in Berlin (UTC+1) and in euros. A euro is
40 lira from the 16th and 41 from the 19th of March 2026, a pound 50. The ad costs 100 euros on the 16th and 50 on the
17th, and claims 4 leads and 1. Five leads count:

* p: through the ad at 22:30 UTC on the 16th, which is the 17th in Istanbul and still the 16th in Berlin; sold by the
  agent after 2.5625 days for 1,000 euros; later the same person as s.
* q: through the ad; sold by the manager on the 20th for 200 pounds, given to the agent, cancelled on the 1st of April.
* r: the same person as q five minutes later: a duplicate.
* s: organic. t: organic, qualified and still open.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db
from crm.duplicates import operations as duplicates
from crm.leads import intake, operations
from crm.leads.intake import NewLead
from crm.leads.rules import Status
from ingestion import landing
from orchestration import warehouse
from tests.conftest import Tenant
from tests.dbt_project import golden_leads as desk

SPEND = 100 * 40 + 50 * 40
REVENUE = 1000 * 41
"""q's 200 pounds were booked back at the rate at which they were booked."""
FIGURES = {
    "cpl": SPEND / 3, "cpl_unique": SPEND / 2, "cpql": SPEND / 2, "cpa": SPEND / 1, "roas": REVENUE / SPEND,
    "roas_platform": None, "platform_lead_gap": 1 - 3 / 5, "revenue_per_lead": REVENUE / 5,
    "revenue_per_agent": REVENUE / 2, "revenue_per_agent_hour": None,
    "pipeline_velocity": 1 * (1 / 5) * REVENUE / 2.5625,
}  # fmt: skip
"""Through the ad: p, q, r; qualified p and q, whose sale passed the stage; won p alone. There is neither a schedule nor
revenue that the platform claims."""
PER_AGENT = {"2026-03-01": (REVENUE + 10_000) / 2, "2026-04-01": -10_000.0}
"""March: both agents, both sales. April: the manager's cancellation, though the agent had the lead by then."""
AD = {"campaign": "238461", "adset": "2384611", "ad": "23846111"}


def at(day: int, hour: int, minute: int = 0, *, month: int = 3) -> datetime:
    """Return an instant of 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


async def land(tenant: Tenant, source: str, endpoint: str, account: str, day: date, payload: dict[str, Any]) -> None:
    """Land what an outside system says of a day."""
    key = landing.report_key(account, day)
    await db.run(
        tenant.system,
        lambda tx: landing.land(tx, source, endpoint, key, payload, window=(day, day), now=at(25, 6)),
    )  # fmt: skip


async def rates(tenant: Tenant, day: date, **worth: str) -> None:
    """Land what currencies are worth in lira."""
    await land(tenant, "fx", "daily_rates", "TRY", day, {"base": "TRY", "rates": worth})


async def report(tenant: Tenant, day: date, spend: str, leads: int) -> None:
    """Land the ad's report of a day, judged good."""
    row = {
        "account_id": "act_1", "account_currency": "EUR", "account_timezone": "Europe/Berlin", "date_start": str(day),
        "campaign_id": AD["campaign"], "adset_id": AD["adset"], "ad_id": AD["ad"], "spend": spend,
        "actions": [{"action_type": "lead", "value": str(leads)}],
    }  # fmt: skip
    await land(tenant, "meta", "insights", "act_1", day, {"data": [row]})


async def lead(tenant: Tenant, when: datetime, *, phone: str = "", **ad: str) -> UUID:
    """Store a lead at the instant at which it enquires."""
    new = NewLead(source="api", name="Can", phone=phone, platform="meta", acquired_at=when, **ad)
    return (await db.run(tenant.system, lambda tx: intake.create(tx, new, now=when))).lead_id


async def play(tenant: Tenant) -> dict[str, UUID]:
    """Let it happen; return the leads by name. What landed has no verdict yet."""
    await rates(tenant, date(2026, 3, 16), EUR="40")
    await rates(tenant, date(2026, 3, 19), EUR="41", GBP="50.00")
    await report(tenant, date(2026, 3, 16), "100.00", 4)
    await report(tenant, date(2026, 3, 17), "50.00", 1)
    q = await lead(tenant, at(16, 10), phone=desk.PHONE, **AD)
    r = await lead(tenant, at(16, 10, 5), phone=desk.PHONE, **AD)
    p = await lead(tenant, at(16, 22, 30), **AD)
    s, t = await lead(tenant, at(17, 9)), await lead(tenant, at(17, 10))
    await desk.give(tenant, p, tenant.sales_agent, when=at(17, 6))
    await desk.give(tenant, q, tenant.sales_manager, when=at(17, 6))
    await desk.move(tenant, p, Status.qualified, at(17, 7))
    await desk.move(tenant, t, Status.qualified, at(17, 8) + timedelta(hours=3))
    await desk.sell(tenant, p, "1000.00", "EUR", at(19, 12))
    await desk.sell(tenant, q, "200.00", "GBP", at(20, 12))
    await desk.give(tenant, q, tenant.sales_agent, reason="manual", when=at(25, 12))
    await db.run(tenant.system, lambda tx: operations.cancel_sale(tx, q, reason="cancelled", now=at(1, 12, month=4)))
    return {"p": p, "q": q, "r": r, "s": s, "t": t}


def let_pass() -> None:
    """Let through what landed, as the gate does with what is good."""
    with warehouse.connect() as connection:
        connection.execute(
            "insert into raw.payload_verdict (tenant_id, payload_id, passed, suite, checked_at)"
            " select tenant_id, payload_id, true, 'golden', fetched_at from raw.ad_report"
        )


async def same_person(tenant: Tenant, one: UUID, other: UUID) -> None:
    """Merge the people of two leads."""
    people = "select contact_id from crm.lead where id = $1::uuid"

    async def work(tx: db.Tx) -> None:
        stays, goes = await tx.fetchval(people, one), await tx.fetchval(people, other)
        await duplicates.merge(tx, stays, goes, now=at(2, 12, month=4))

    await db.run(tenant.admin, work)
