"""Attempts, lists and callbacks, from what real operations wrote; the guard and the CRM count the same."""

from datetime import timedelta
from uuid import UUID

from crm import clock, db, ids
from crm.callbacks import figures
from crm.callbacks import operations as callbacks
from crm.calls.story import Outcome
from crm.dialling import budgets, campaigns, results
from crm.dialling.guard import Count, Window
from crm.leads import operations as leads
from crm.leads.rules import Channel, Direction, Status
from tests.conftest import NOW, Tenant
from tests.crm.callbacks import floor as promises
from tests.crm.dialling import floor
from tests.dbt_project.measuring import holds, measure, put
from tests.pipeline import Build, rows

MARTS = ("fct_dial_attempt", "fct_dial_lead", "fct_dial_list", "fct_callback_request")
BUILT = (
    "--select", *(f"+{mart}" for mart in MARTS), "fct_dial_block", "dim_date", "+fct_dialer_day",
    "+fct_compliance_incident", "--indirect-selection", "buildable",
)  # fmt: skip
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CAMPAIGN = "dial_attempt__campaign"

RATES = {
    "connect_rate": 6 / 10,
    "contact_rate_attempt": 4 / 10,
    "contact_rate_lead": 5 / 10,
    "rpc_rate": 1 / 10,
    "rpc_of_contacts": 1 / 4,
    "list_penetration": 10 / 11,
    "attempts_per_contact": 10 / 4,
    "wrong_number_rate": 1 / 10,
    "dial_fail_rate": 1 / 10,
}
"""Of twelve leads ten were dialled: six were answered, two of those by machines; see `dial`."""


async def dial(tenant: Tenant) -> UUID:
    """Dial twelve leads; return the campaign.

    0: an agent is there after one second. 1: after two, just in time. 2: after three and a half, too late. 3: hangs up
    before. 4: a machine. 5: busy. 6: no answer. 7: the carrier fails. 8: the agent's own telephone does not answer, so
    that nobody is called. 9: still rings. 10: is on the do-not-call list at the last moment. 11: an agent says that it
    was a machine. Six writes back on the tenth day, five on the twentieth; what agents said of 0, 1 and 11 comes late.
    """
    campaign, calls = await floor.dialled(tenant, 12)
    for call, outcome, detail in zip(
        calls,
        [Outcome.answered] * 3 + [Outcome.abandoned, Outcome.machine, Outcome.busy, Outcome.no_answer,
         Outcome.congestion, Outcome.agent_no_answer, None, None, Outcome.answered],
        [{"delay_s": 1}, {"delay_s": 2}, {"delay_s": 3.5}, {}, {"verdict": "machine"}, {}, {}, {}, {}, {}, {},
         {"delay_s": 1}],
        strict=True,
    ):  # fmt: skip
        if outcome is not None:
            await floor.end(tenant, call, outcome, **detail)
    await change(
        tenant, calls[10], "status = 'denied', outcome = 'failed', failure = 'consent.dnc', ended_at = requested_at"
    )
    await floor.settle(tenant)
    await floor.do(tenant.admin, lambda tx: campaigns.pause(tx, campaign, reason="done", now=NOW + 8 * MINUTE))
    return campaign


async def hear_more(tenant: Tenant) -> None:
    """Let come in what comes late."""
    attempts = await rows(tenant.system, "select lead_id, call_id from crm.dial_attempt order by id")
    for place, party in ((0, "right"), (1, "wrong"), (11, "machine")):
        await change(tenant, attempts[place]["call_id"], f"disposition_party = '{party}'")
    await floor.do(tenant.system, lambda tx: results.confirm(tx, None, now=NOW + HOUR))
    await floor.do(
        tenant.system, lambda tx: leads.change_status(tx, attempts[1]["lead_id"], Status.wrong_number, now=NOW + HOUR)
    )
    for place, days in ((6, 10), (5, 20)):
        await floor.do(
            tenant.system,
            lambda tx, lead=attempts[place]["lead_id"], at=NOW + days * DAY: leads.record_activity(
                tx, lead, Channel.whatsapp, Direction.inbound, "replied", now=at
            ),
        )


async def change(tenant: Tenant, call: UUID, what: str) -> None:
    """Let a call stand otherwise."""
    await floor.do(tenant.system, lambda tx: tx.execute(f"update crm.call set {what} where id = $1::uuid", call))


async def promise(tenant: Tenant) -> None:
    """Promise four people a callback: one is reached after a minute, one called in vain when the agent is free again,
    two minutes and two seconds later, one does not want it any more, one waits."""
    people = await promises.people(tenant, 4, NOW, first=500)
    agent = await promises.on_duty(tenant, NOW)
    first, second, third, _ = [await promises.promise(tenant, person, NOW + HOUR) for person in people]
    await floor.do(tenant.admin, lambda tx: callbacks.cancel(tx, third, reason="customer", now=NOW + HOUR))
    for made in (first, second):
        await promises.turn(tenant, NOW + HOUR + timedelta(minutes=1))
        call_id = (await promises.one(tenant, made))["call_id"]
        if made == first:
            until = NOW + HOUR + timedelta(minutes=3)
            await promises.talks(tenant, call_id, NOW + HOUR + timedelta(minutes=2), until=until)
            await promises.finish_wrap(tenant, agent, until + timedelta(seconds=1))
            await promises.turn(tenant, until + timedelta(seconds=2))
        else:
            await promises.ends(tenant, call_id, NOW + HOUR + timedelta(minutes=5))


class TestDialling:
    async def test_holds_what_happened(self, build: Build, tenant: Tenant) -> None:
        campaign = await dial(tenant)
        await promise(tenant)
        await hear_more(tenant)

        await build(*BUILT)

        await holds(
            tenant, **RATES, dial_block_rate={"dnc": 1 / 11}, drop_rate_us={str(campaign): 2 / 4},
            drop_rate_uk={str(campaign): 2 / 4}, callback_kept_rate=1 / 3, callback_wait_s=(60 + 182) / 2,
        )  # fmt: skip
        # Two of ten attempts in the eight minutes for which the campaign ran were none of our business.
        put(tenant, "fct_compliance_incident", *(
            {"incident_id": ids.new(), "kind": kind, "happened_at": NOW, "happened_on": NOW.date()}
            for kind in ("hours", "dnc")
        ))  # fmt: skip
        await holds(tenant, dialer_throughput=10 / 8, compliance_incidents=2, compliance_incidents_per_1000=200)
        await self._require_equal_to_the_guard(tenant, campaign)
        await self._require_equal_to_the_figures(tenant)

    async def _require_equal_to_the_guard(self, tenant: Tenant, campaign: UUID) -> None:
        async with db.transaction(tenant.system) as tx:
            counts = await budgets.counts(tx, campaign, floor.DESIGN.timezone, now=NOW + HOUR)

        found = await measure(tenant, "drop_rate_us", "drop_rate_uk", by=(CAMPAIGN,))

        month = counts[Window.month]
        assert month == Count(4, 2)
        assert [tuple(row.values()) for row in found] == [(str(campaign), month.rate, month.rate)]

    async def _require_equal_to_the_figures(self, tenant: Tenant) -> None:
        async with db.transaction(tenant.system) as tx:
            told = await figures.of(tx, NOW - DAY, NOW + DAY, now=clock.utc_now())

        [found] = await measure(tenant, "callback_kept_rate", "callback_wait_s")

        assert (told.requested, told.cancelled_by_customer, told.kept, told.attempted) == (3, 1, 1, 2)
        assert found == {"callback_kept_rate": 1 / 3, "callback_wait_s": told.callback_wait_s}
