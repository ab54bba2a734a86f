"""Next steps of stored leads: facts are read as they were, so that the reasons are true."""

from datetime import timedelta

from crm import db
from crm.followups import operations, queries
from crm.followups.steps import Code, Reason
from crm.leads import operations as leads
from crm.leads import quotes
from crm.leads.rules import Channel, Direction, Status
from tests.crm.followups.test_operations import DAY, DUE, PRICE
from tests.crm.leads.test_operations import do, make_lead

PHONE = "0532 123 45 67"


class TestNextSteps:
    async def steps(self, tenant, lead, now):
        async with db.transaction(tenant.admin) as tx:
            return await queries.next_steps(tx, lead, now=now)

    async def test_follow_the_life_of_a_lead(self, tenant, now):
        lead = await make_lead(tenant, now, phone="0532 123 45 67")
        assert (await self.steps(tenant, lead, now))[0].code is Code.assign
        await do(tenant.admin, leads.assign, lead, tenant.admin.user_id, reason="manual", now=now)
        assert (await self.steps(tenant, lead, now))[0].code is Code.call

        await do(
            tenant.admin, leads.record_activity, lead, Channel.call, Direction.outbound, "no_answer", now=now
        )  # fmt: skip
        (again,) = [step for step in await self.steps(tenant, lead, now) if step.code is Code.call]
        assert again.due_at == now + timedelta(hours=2)
        await do(
            tenant.admin, leads.record_activity, lead, Channel.call, Direction.outbound, "answered", now=now
        )  # fmt: skip
        await do(tenant.admin, leads.change_status, lead, Status.qualified, now=now)
        assert (await self.steps(tenant, lead, now))[0].code is Code.make_quote
        quote = await do(tenant.admin, quotes.make, lead, PRICE, now=now)
        await do(tenant.admin, quotes.answer, lead, quote, quotes.Answer.accepted, now=now)
        assert (await self.steps(tenant, lead, now))[0].code is Code.record_sale

        await do(tenant.admin, operations.sell, lead, None, quote_id=quote, now=now)
        assert [step.code for step in await self.steps(tenant, lead, now)] == [Code.plan_procedure]
        await do(
            tenant.admin, operations.plan_procedure, lead, procedure_type=None, takes_place_on=DAY, now=now
        )  # fmt: skip
        assert [step.due_at for step in await self.steps(tenant, lead, now)] == [DUE[0]]

    async def test_who_opted_out_is_not_called(self, tenant, now):
        lead = await make_lead(tenant, now, phone="0532 123 45 67", consents=[_said("call"), _said("whatsapp")])
        await do(tenant.admin, leads.assign, lead, tenant.admin.user_id, reason="manual", now=now)

        codes = {step.code for step in await self.steps(tenant, lead, now)}

        assert codes == {Code.email}

    async def test_a_new_cycle_counts_its_own_attempts(self, tenant, now):
        lead = await make_lead(tenant, now, phone="0532 123 45 67")
        await do(tenant.admin, leads.assign, lead, tenant.admin.user_id, reason="manual", now=now)
        for _ in range(6):
            await do(
                tenant.admin, leads.record_activity, lead, Channel.call, Direction.outbound, "busy", now=now
            )  # fmt: skip
        await do(tenant.admin, leads.change_status, lead, Status.lost, reason="unreachable", now=now)

        later = now + timedelta(days=20)
        await do(tenant.admin, leads.reopen, lead, reason="came_back", now=later)

        found = await self.steps(tenant, lead, later + timedelta(minutes=7))
        assert {(step.reason, step.figures["minutes"]) for step in found} == {(Reason.not_tried, 7)}

    async def owned(self, tenant, now):
        lead = await make_lead(tenant, now, phone=PHONE)
        await do(tenant.admin, leads.assign, lead, tenant.admin.user_id, reason="manual", now=now)
        return lead

    async def test_who_wrote_waits_until_somebody_answers(self, tenant, now):
        lead = await self.owned(tenant, now)
        wrote, again, later = (now + timedelta(minutes=minutes) for minutes in (10, 20, 30))
        talk = leads.record_activity
        await do(tenant.admin, talk, lead, Channel.call, Direction.outbound, "no_answer", now=now)
        for at in (wrote, again):
            await do(tenant.system, talk, lead, Channel.whatsapp, Direction.inbound, None, now=at)
        await do(tenant.system, talk, lead, Channel.whatsapp, Direction.outbound, "sent", now=again)

        waits = (await self.steps(tenant, lead, later))[0]
        await do(tenant.admin, talk, lead, Channel.whatsapp, Direction.outbound, "answered", now=later)
        answered = await self.steps(tenant, lead, later)

        assert (waits.code, waits.reason, waits.figures["minutes"]) == (Code.whatsapp, Reason.asked, 20)
        assert {step.reason for step in answered} == {Reason.keep_talking}

    async def test_who_called_and_was_heard_was_not_left_untried(self, tenant, now):
        lead = await self.owned(tenant, now)
        await do(
            tenant.admin, leads.record_activity, lead, Channel.call, Direction.inbound, "answered", now=now
        )  # fmt: skip

        assert {step.reason for step in await self.steps(tenant, lead, now)} == {Reason.keep_talking}

    async def test_nobody_has_it_since_it_was_let_go(self, tenant, now):
        lead = await self.owned(tenant, now)
        gone = now + timedelta(days=2)
        await do(tenant.admin, leads.change_status, lead, Status.contacted, now=now)
        await do(tenant.admin, leads.assign, lead, None, team_id=tenant.team_id, reason="manual", now=gone)

        step = (await self.steps(tenant, lead, gone + timedelta(hours=3)))[0]

        assert (step.code, step.figures) == (Code.assign, {"hours": 3})


def _said(channel):
    from crm.leads.intake import Consent

    return Consent(channel, "denied")
