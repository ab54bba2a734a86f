"""What follows from calls and people's words, from the events that tell of them."""

from crm.calls.story import Outcome
from crm.consent import dnc
from crm.dialling import campaigns
from crm.dialling.chore import Dialling
from crm.dialling.rules import Mode
from crm.events.reader import COLUMNS, as_event
from crm.leads import operations as leads
from crm.leads.rules import Status as LeadStatus
from tests.conftest import Tenant
from tests.crm.dialling.floor import NOW, dialled, do, end, entry_of, fill, rows, running
from tests.crm.dialling.test_hopper import contact_of, states, withdraw


async def told(tenant: Tenant, chore: Dialling, *, since: int = 0) -> int:
    """Tell a chore what was recorded after an event; return the last."""
    found = await rows(tenant, f"select {COLUMNS} from crm.event_log where id > $1::bigint order by id", since)
    for row in found:
        chore.hear(as_event(row))
    return max((row["id"] for row in found), default=since)


def wants(chore: Dialling, tenant: Tenant) -> bool:
    """Tell whether the tenant's turn comes soon; after that it does not."""
    return chore._wanted.pop(tenant.id, 0) is None


class TestDialling:
    async def test_takes_out_who_withdrew_and_whose_lead_was_closed(self, tenant: Tenant):
        campaign, [withdrawn, closed, other] = await running(tenant, 3)
        await fill(tenant, campaign)
        chore = Dialling(lambda: NOW)
        last = await told(tenant, chore)
        await chore.work(tenant.id)
        wants(chore, tenant)
        await withdraw(tenant, withdrawn)
        await do(tenant.admin, lambda tx: leads.change_status(tx, closed, LeadStatus.wrong_number, now=NOW))

        await told(tenant, chore, since=last)
        asked = wants(chore, tenant)
        await chore.work(tenant.id)

        assert asked
        assert [(await entry_of(tenant, each))["reason"] for each in (withdrawn, closed, other)] == [
            "opted_out", "lead_closed", None,
        ]  # fmt: skip

    async def test_takes_out_whose_number_was_put_on_the_list(self, tenant: Tenant):
        campaign, [lead] = await running(tenant, 1)
        await fill(tenant, campaign)
        chore, contact = Dialling(lambda: NOW), await contact_of(tenant, lead)
        await do(tenant.admin, lambda tx: dnc.add_contact(tx, contact, ["phone"], reason="asked", now=NOW))

        await told(tenant, chore)
        await chore.work(tenant.id)

        assert (await entry_of(tenant, lead))["reason"] == "dnc"

    async def test_settles_what_ended_though_nobody_told_it(self, tenant: Tenant):
        _, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.busy)
        chore = Dialling(lambda: NOW)

        chore.look_everywhere(tenant.id)
        await chore.work(tenant.id)

        [attempt] = await rows(tenant, "select result from crm.dial_attempt")
        assert attempt["result"] == "busy"

    async def test_keeps_leads_ready_for_agents_who_dial(self, tenant: Tenant):
        await running(tenant, 3, mode=Mode.preview, queue=None)
        chore = Dialling(lambda: NOW)

        await told(tenant, chore)
        asked = wants(chore, tenant)
        await chore.work(tenant.id)

        assert asked
        assert await states(tenant) == {"ready": 3}

    async def test_leaves_the_hopper_of_campaigns_that_dial_to_their_dialer(self, tenant: Tenant):
        await running(tenant, 3)

        await Dialling(lambda: NOW).work(tenant.id)

        assert await states(tenant) == {"listed": 3}

    async def test_ends_what_is_drained(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        await do(tenant.admin, lambda tx: campaigns.drain(tx, campaign, reason="evening", now=NOW))
        chore = Dialling(lambda: NOW)
        await chore.work(tenant.id)
        [before] = await rows(tenant, "select status from crm.dial_campaign")
        await end(tenant, call, Outcome.no_answer)

        await chore.work(tenant.id)

        [after] = await rows(tenant, "select status from crm.dial_campaign")
        assert (before["status"], after["status"]) == ("draining", "stopped")

    async def test_is_not_interested_in_calls_of_others(self, tenant: Tenant):
        chore = Dialling(lambda: NOW)
        await dialled(tenant)
        await told(tenant, chore)
        assert wants(chore, tenant)
        events = await rows(tenant, f"select {COLUMNS} from crm.event_log where event_type like 'call.%'")
        for row in events:
            chore.hear(as_event({**row, "event_type": "call.ended", "payload_json": {"campaign_id": None}}))

        assert not wants(chore, tenant)
