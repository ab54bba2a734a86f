"""A small firm's leads through the real operations, with every number worked out by hand below.

Times are UTC, the firm is in Istanbul (UTC+3). Cycles that count: meta 4 (one, two, six and its reopening), google 4
(three, four, five, eight), tiktok 1 (nine). The test lead counts nowhere.

* one: received on the 1st at 21:30, which is the 2nd in Istanbul; first call after 120 s; sold on day 10.
* two: a machine writes after 10 s, a person calls after 600 s; was contacted, fell back to no answer.
* three: called after 300 s; sold without any stage between, on day 91.
* four: when it was acquired is unknown; called; lost before any contact.
* five: never called; sold on day 5, the sale undone on day 8.
* six: called after 60 s; sold on day 2; reopened on day 32, contacted again.
* eight: never called.
* nine: received now, so that its 90 days are not over.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crm import clock, db
from crm.leads import intake, operations
from crm.leads.rules import Channel, Direction, Status
from crm.money import Money
from ingestion import landing
from tests.conftest import Tenant

T0 = datetime(2026, 3, 1, 21, 29, tzinfo=UTC)
RECEIVED = T0 + timedelta(minutes=1)

FUNNEL = {
    "google": {"lead": 4, "contacted": 2, "qualified": 2, "proposal": 2, "sale": 2},
    "meta": {"lead": 4, "contacted": 4, "qualified": 2, "proposal": 2, "sale": 2},
    "tiktok": {"lead": 1, "contacted": 0, "qualified": 0, "proposal": 0, "sale": 0},
}
"""Three skipped to the sale and counts everywhere before it; five's undone sale was reached; two stays contacted."""
CONVERSION = {"google": 0.0, "meta": 0.5, "tiktok": 0.0}
"""google: three is late, five undone, so 0 of 4; meta: one and six of 4."""
SPEED = {"speed_to_lead_s": 210.0, "speed_to_lead_s_p90": 510.0, "speed_to_lead_s_share_5m": 3 / 7}
"""Of 60, 120, 300, 600: half way between 120 and 300; 0.9 * 3 = 2.7 steps, so 300 + 0.7 * 300. Attempted within 300 s:
six, one, three; of one, two, three, five, six, eight, nine (four's instant is unknown)."""


@dataclass
class Desk:
    """Does things to leads of a firm at given instants, as the system on its people's behalf."""

    tenant: Tenant

    async def lead(
        self, platform: str, *, acquired: datetime | None = T0, at: datetime = RECEIVED, is_test: bool = False
    ) -> UUID:
        """Store a lead."""
        new = intake.NewLead(source="api", name="Ayşe", platform=platform, acquired_at=acquired, is_test=is_test)
        return (await db.run(self.tenant.system, lambda tx: intake.create(tx, new, now=at))).lead_id

    async def call(self, lead: UUID, after_s: int, *, outcome: str = "no_answer") -> None:
        """Call, some seconds after the acquisition."""
        at = T0 + timedelta(seconds=after_s)
        await db.run(
            self.tenant.system,
            lambda tx: operations.record_activity(
                tx, lead, Channel.call, Direction.outbound, outcome, is_human=True, now=at
            ),
        )

    async def machine_writes(self, lead: UUID, after_s: int) -> None:
        """Send an automatic answer."""
        at = T0 + timedelta(seconds=after_s)
        await db.run(
            self.tenant.system,
            lambda tx: operations.record_activity(
                tx, lead, Channel.whatsapp, Direction.outbound, "sent", is_human=False, now=at
            ),
        )

    async def move(self, lead: UUID, to: Status, *, day: float, reason: str | None = None) -> None:
        """Change the status, some days after the receipt."""
        at = RECEIVED + timedelta(days=day)
        await db.run(self.tenant.system, lambda tx: operations.change_status(tx, lead, to, reason=reason, now=at))

    async def sell(self, lead: UUID, *, day: float) -> None:
        """Record a sale, on a day on which a euro is worth 40 lira."""
        at = RECEIVED + timedelta(days=day)
        key, rates = landing.report_key("TRY", at.date()), {"base": "TRY", "rates": {"EUR": "40"}}
        await db.run(
            self.tenant.system,
            lambda tx: landing.land(tx, "fx", "daily_rates", key, rates, window=(at.date(), at.date()), now=at),
        )  # fmt: skip
        await db.run(
            self.tenant.system, lambda tx: operations.record_sale(tx, lead, Money.of("1250.50", "EUR"), now=at)
        )


async def play(tenant: Tenant) -> dict[str, UUID]:
    """Let the story happen; return its leads by name."""
    desk = Desk(tenant)
    leads = {name: await desk.lead(platform) for name, platform in PLATFORMS.items()}
    leads["four"] = await desk.lead("google", acquired=None)
    leads["test"] = await desk.lead("meta", is_test=True)
    leads["nine"] = await desk.lead("tiktok", acquired=clock.utc_now(), at=clock.utc_now())
    await desk.call(leads["one"], 120, outcome="answered")
    await desk.move(leads["one"], Status.contacted, day=0.1)
    await desk.move(leads["one"], Status.qualified, day=1)
    await desk.sell(leads["one"], day=10)
    await desk.machine_writes(leads["two"], 10)
    await desk.call(leads["two"], 600)
    await desk.move(leads["two"], Status.contacted, day=1)
    await desk.move(leads["two"], Status.no_answer, day=2)
    await desk.call(leads["three"], 300)
    await desk.sell(leads["three"], day=91)
    await desk.call(leads["four"], 30)
    await desk.move(leads["four"], Status.lost, day=3, reason="competitor")
    await desk.sell(leads["five"], day=5)
    await desk.move(leads["five"], Status.lost, day=8, reason="cancelled")
    await desk.call(leads["six"], 60)
    await desk.sell(leads["six"], day=2)
    await desk.move(leads["six"], Status.recycled, day=32)
    await desk.move(leads["six"], Status.contacted, day=33)
    await desk.sell(leads["test"], day=1)
    return leads


PLATFORMS = {"one": "meta", "two": "meta", "three": "google", "five": "google", "six": "meta", "eight": "google"}
