"""A week at a sales desk through the real operations, every number of sections 4 and 5 worked out by hand.

Times are UTC; the firm is in Istanbul (UTC+3) and works the default hours: Monday to Friday 06:00-15:00 UTC, Saturday
07:00-13:00 UTC. Five leads count; the test lead counts nowhere. The agent and the manager are two persons.

* a: enquires on Friday the 13th at 14:50, is here after 30 s, is given to the agent by distribution and on Monday by
  hand to the manager, who calls after 300 s and is answered; contacted, qualified, sold seven days after its receipt.
* b: enquires on Monday at 07:00, is here after 10 s, given to the agent, who calls after 120 s in vain; contacted,
  lost.
* c: the same person as b ten minutes later; a stop in the team's queue, the agent, the queue, the agent again, who
  calls after 120 s; contacted, fell back to no answer for a day, contacted again, lost.
* d: when it was acquired is unknown; lost as a duplicate within ten minutes, never given to anybody.
* e: the same; lost after a day for a reason its source does not tell.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.leads import intake, operations
from crm.leads.intake import NewLead
from crm.leads.rules import Channel, Direction, Status
from crm.money import Money
from crm.sla import clocks
from tests.conftest import Tenant

FRIDAY = datetime(2026, 3, 13, 14, 50, tzinfo=UTC)
MONDAY = datetime(2026, 3, 16, tzinfo=UTC)
PHONE = "+90 532 000 11 22"

LAG = {"ingestion_lag_s": 30, "ingestion_lag_s_p95": 543}
"""Of 10, 30, 600: the middle; 0.95 * 2 = 1.9 steps, so 30 + 0.9 * 570."""
RESPONSE = {"first_response_s": 3720, "first_response_s_p90": 183_120, "first_response_s_biz": 3720,
            "first_response_s_biz_p90": 18_960}
"""a: Friday 14:50:30 to Monday 06:10 is 227,970 s; b 170 s; c 3,720 s. 1.8 steps: 3,720 + 0.8 * 224,250. In open time
a's are 22,770 s: 3,720 + 0.8 * 19,050."""
BUSINESS_A = 570 + 21_600 + 600
"""Of a's wait the place was open to the end of Friday, all Saturday, and ten minutes on Monday."""
AGENT = {"agent_response_s": 120, "agent_response_s_p90": 264}
"""Of 120 (b), 120 (c), 300 (a, on the manager's own clock): 1.8 steps, so 120 + 0.8 * 180."""
CONTACT = {"time_to_contact_s": 228_000, "time_to_contact_s_p90": 228_000}
HANDS = {"reassignment_rate": 1 / 3, "reassignment_rate_auto": 0, "reassignment_rate_manual": 1 / 3}
"""Given to persons: a, b, c; from one to another: a, by hand."""
DUPLICATES = 1 / 5
STAGES = {"lead": 3 / 5, "contacted": 1 / 3, "qualified": 1.0, "proposal": 1.0, "sale": None}
"""Three of five were contacted, one of them qualified; its sale fills the proposal; after the sale there is nothing."""
ENTRIES = {"2026-03-13": 0.0, "2026-03-16": 3 / 4}
"""Into contacted per entry into lead. Friday: a alone came. Monday: b, c, d, e came, a, b, c were contacted."""
ENTERED = {"lead": 3 / 5, "contacted": 1 / 3, "qualified": 1.0, "proposal": 1.0}
"""All days together: who fell back enters no stage a second time."""
DWELL = {"lead": 405_440 / 5, "contacted": 432_000 / 3, "qualified": 290_370.0}
"""lead: 228,030 + 230 + 3,780 + 86,400 + 600 + 86,400; contacted: one day, two days, one day twice."""
VELOCITY = {"conversion_velocity_days": 7.0, "conversion_velocity_days_p90": 7.0, "conversion_rate": 1 / 5}
PROMISES = {"response_sla_compliance": 1 / 4, "overdue_followups": 0}
"""Promised are 15 minutes of open time. b kept it; a (due on Saturday at 07:05:30), c and e did not; d is forgiven."""
FIGURES = {
    **LAG, **RESPONSE, **AGENT, **CONTACT, **HANDS, **PROMISES, **VELOCITY, "duplicate_rate": DUPLICATES
}  # fmt: skip
LOSSES = {"price": 2 / 4, "duplicate": 1 / 4, "unspecified": 1 / 4}


def at(hours: int, minutes: int = 0, seconds: int = 0, *, day: int = 0) -> datetime:
    """Return an instant of the Monday, or so many days after it."""
    return MONDAY + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)


async def lead(tenant: Tenant, *, acquired: datetime | None, received: datetime, phone: str = "", **more: bool) -> UUID:
    """Store a lead."""
    new = NewLead(
        source="api", name="Ayşe", phone=phone, platform="meta", campaign="238461", acquired_at=acquired, **more
    )
    return (await db.run(tenant.system, lambda tx: intake.create(tx, new, now=received))).lead_id


async def give(
    tenant: Tenant, lead_id: UUID, to: Actor | None, *, reason: str = "router.round_robin", when: datetime
) -> None:
    """Give a lead to a person, or to nobody: to the team's queue."""
    await db.run(
        tenant.system,
        lambda tx: operations.assign(
            tx, lead_id, to and to.user_id, team_id=tenant.team_id, reason=reason, now=when
        ),
    )  # fmt: skip


async def call(who: Actor, lead_id: UUID, when: datetime, *, outcome: str = "no_answer") -> None:
    """Call."""
    await db.run(
        who,
        lambda tx: operations.record_activity(
            tx, lead_id, Channel.call, Direction.outbound, outcome, now=when
        ),
    )  # fmt: skip


async def move(
    tenant: Tenant, lead_id: UUID, to: Status, when: datetime, *, reason: str | None = None, is_told: bool = False
) -> None:
    """Change the status."""
    await db.run(
        tenant.system,
        lambda tx: operations.change_status(tx, lead_id, to, reason=reason, is_told=is_told, now=when),
    )  # fmt: skip


async def sell(tenant: Tenant, lead_id: UUID, amount: str, currency: str, when: datetime) -> None:
    """Record a sale."""
    await db.run(
        tenant.system, lambda tx: operations.record_sale(tx, lead_id, Money.of(amount, currency), now=when)
    )  # fmt: skip


async def settle(tenant: Tenant, leads: Iterable[UUID], when: datetime) -> None:
    """Work out the promises' clocks as they stand at an instant."""
    await db.run(tenant.system, lambda tx: clocks.settle(tx, list(leads), now=when))


async def play(tenant: Tenant) -> dict[str, UUID]:
    """Let the week happen; return its leads by name."""
    agent, manager, leads = tenant.sales_agent, tenant.sales_manager, {}
    a = leads["a"] = await lead(tenant, acquired=FRIDAY, received=FRIDAY + timedelta(seconds=30))
    await give(tenant, a, agent, when=FRIDAY + timedelta(minutes=1))
    await give(tenant, a, manager, reason="manual", when=at(6, 5))
    await call(manager, a, at(6, 10), outcome="answered")
    await move(tenant, a, Status.contacted, at(6, 11))
    b = leads["b"] = await lead(tenant, acquired=at(7), received=at(7, 0, 10), phone=PHONE)
    await give(tenant, b, agent, when=at(7, 1))
    await call(agent, b, at(7, 3))
    await move(tenant, b, Status.contacted, at(7, 4))
    c = leads["c"] = await lead(tenant, acquired=at(7), received=at(7, 10), phone=PHONE)
    for minute, who in ((11, None), (20, agent), (60, None), (70, agent)):
        await give(tenant, c, who, when=at(7, minute))
    await call(agent, c, at(8, 12))
    await move(tenant, c, Status.contacted, at(8, 13))
    d = leads["d"] = await lead(tenant, acquired=None, received=at(8))
    e = leads["e"] = await lead(tenant, acquired=None, received=at(9))
    await move(tenant, d, Status.lost, at(8, 10), reason="duplicate")
    await lead(tenant, acquired=at(8), received=at(9), is_test=True)
    await move(tenant, a, Status.qualified, at(6, 11, day=1))
    await move(tenant, c, Status.no_answer, at(8, 13, day=1))
    await move(tenant, e, Status.lost, at(9, day=1), is_told=True)
    await move(tenant, b, Status.lost, at(7, 4, day=2), reason="price")
    await move(tenant, c, Status.contacted, at(8, 13, day=2))
    await move(tenant, c, Status.lost, at(8, 13, day=3), reason="price")
    await sell(tenant, a, "1000.00", "EUR", at(14, 50, 30, day=4))
    await settle(tenant, leads.values(), at(15, day=4))
    return leads
