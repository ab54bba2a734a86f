"""Making, changing, starting and stopping campaigns."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm import ids, tenant_settings
from crm.actor import Forbidden
from crm.calendars.rules import Hours
from crm.calls.story import Outcome as Story
from crm.dialling import campaigns, queries, twins
from crm.dialling.campaigns import BadDesign, BadStep, CampaignNotFound, CodeTaken, NotForetold, StillDialling
from crm.dialling.rules import Mode, Status
from crm.dialling.twins import Outcome, Source
from tests.conftest import Tenant
from tests.crm.dialling.floor import (
    DESIGN,
    NOW,
    claim,
    dialled,
    do,
    end,
    fill,
    make_campaign,
    make_queue,
    rows,
    running,
    settle,
    take,
)

FORETOLD = Outcome("predictive", 10, 100, 14400, 1, 0.03, 0.001, 0.027, 0.025, 0.028, 0.8, Source.stated, 0)


async def status_of(tenant: Tenant, campaign) -> str:
    return (await rows(tenant, "select status from crm.dial_campaign where id = $1::uuid", campaign))[0]["status"]


async def told(tenant: Tenant, campaign) -> list[str]:
    found = await rows(
        tenant, "select event_type from crm.event_log where aggregate_id = $1::uuid order by id", campaign
    )
    return [row["event_type"] for row in found]


class TestCreate:
    async def test_keeps_the_design_as_it_was_said(self, tenant: Tenant):
        await make_queue(tenant)
        wanted = replace(
            DESIGN, mode=Mode.power, caller_id="+902123456789", windows=(Hours(0, 540, 1080),), calls_per_s=2.5,
            most_lines=40, team_id=tenant.team_id,
        )  # fmt: skip

        campaign = await do(tenant.admin, lambda tx: campaigns.create(tx, code="spring", design=wanted, now=NOW))

        found = await do(tenant.admin, lambda tx: queries.read(tx, campaign))
        assert found.design == wanted
        assert await told(tenant, campaign) == ["dial_campaign.created"]

    async def test_takes_a_code_once(self, tenant: Tenant):
        await make_queue(tenant)
        await make_campaign(tenant)

        with pytest.raises(CodeTaken):
            await make_campaign(tenant)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("queue", None), ("queue", "nowhere"), ("ring_s", 14), ("cap", 0.031), ("caller_id", "123"),
            ("caller_id", "+902123456789\r\nAction: Originate"), ("timezone", "Mars/Olympus"), ("power_ratio", 0.5),
            ("name", " "), ("safe_harbour", "Sorry, nobody is free"), ("on_machine", "shout"), ("lock_out_h", 0),
            ("team_id", ids.new()), ("calls_per_s", 0.0), ("preview_s", 1), ("most_lines", 0),
        ],
    )  # fmt: skip
    async def test_refuses_what_cannot_dial(self, tenant: Tenant, field: str, value: object):
        await make_queue(tenant)

        with pytest.raises(BadDesign) as refused:
            await make_campaign(tenant, **{field: value})

        assert field in refused.value.fields

    async def test_shows_a_number_of_the_firms_own_where_these_are_named(self, tenant: Tenant):
        await make_queue(tenant)
        own = ["+902123456789"]
        await do(tenant.admin, lambda tx: tenant_settings.change(tx, "dialling.caller_ids", own, now=NOW))

        await make_campaign(tenant, caller_id=own[0])
        await make_campaign(tenant, code="silent")
        with pytest.raises(BadDesign) as refused:
            await make_campaign(tenant, code="spoofed", caller_id="+902120000000")

        assert set(refused.value.fields) == {"caller_id"}

    async def test_needs_the_announcement_it_leaves(self, tenant: Tenant):
        await make_queue(tenant)

        with pytest.raises(BadDesign) as refused:
            await make_campaign(tenant, detects_machines=True, on_machine="leave_message")

        assert set(refused.value.fields) == {"machine_message"}

    async def test_is_for_managers(self, tenant: Tenant):
        with pytest.raises(Forbidden):
            await do(tenant.sales_agent, lambda tx: campaigns.create(tx, code="mine", design=DESIGN, now=NOW))


class TestChange:
    async def test_tells_what_changed_and_nothing_twice(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant)
        wanted = replace(DESIGN, ring_s=30)

        for _ in range(2):
            await do(tenant.admin, lambda tx: campaigns.change(tx, campaign, wanted, now=NOW))

        assert await told(tenant, campaign) == ["dial_campaign.created", "dial_campaign.updated"]

    async def test_changes_the_pace_of_a_running_one_and_not_what_people_hear(self, tenant: Tenant):
        campaign, _ = await running(tenant)

        await do(tenant.admin, lambda tx: campaigns.change(tx, campaign, replace(DESIGN, calls_per_s=1.0), now=NOW))
        with pytest.raises(StillDialling) as refused:
            await do(tenant.admin, lambda tx: campaigns.change(tx, campaign, replace(DESIGN, queue=None), now=NOW))

        assert set(refused.value.fields) == {"queue"}


class TestStart:
    async def test_runs_and_says_so_once(self, tenant: Tenant):
        campaign, _ = await running(tenant)

        await do(tenant.admin, lambda tx: campaigns.start(tx, campaign, now=NOW))

        assert await status_of(tenant, campaign) == Status.running
        assert (await told(tenant, campaign)).count("dial_campaign.started") == 1

    async def test_of_a_predictive_one_needs_to_be_foretold(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant, mode=Mode.predictive)

        with pytest.raises(NotForetold, match="simulated shifts"):
            await do(tenant.sales_manager, lambda tx: campaigns.start(tx, campaign, now=NOW))

        await do(tenant.sales_manager, lambda tx: twins.keep(tx, campaign, FORETOLD, now=NOW))
        await do(tenant.sales_manager, lambda tx: campaigns.start(tx, campaign, now=NOW))
        assert await status_of(tenant, campaign) == Status.running

    @pytest.mark.parametrize(
        ("foretold", "age"),
        [(replace(FORETOLD, p_break_30d=0.01), 0), (FORETOLD, 31), (replace(FORETOLD, policy="progressive"), 0)],
    )
    async def test_is_refused_when_shifts_break_the_cap_are_old_or_of_another_policy(self, tenant, foretold, age):
        await make_queue(tenant)
        campaign = await make_campaign(tenant, mode=Mode.predictive)
        made = NOW - timedelta(days=age)
        await do(tenant.sales_manager, lambda tx: twins.keep(tx, campaign, foretold, now=made))

        with pytest.raises(NotForetold) as refused:
            await do(tenant.sales_manager, lambda tx: campaigns.start(tx, campaign, now=NOW))

        assert refused.value.fields["mode"]

    async def test_by_override_is_a_managers_word_and_audited(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant, mode=Mode.predictive)

        await do(tenant.sales_manager, lambda tx: campaigns.start(tx, campaign, override="pilot", now=NOW))

        [row] = await rows(tenant, "select * from crm.dial_campaign where id = $1::uuid", campaign)
        [audit] = await rows(
            tenant, "select actor_user_id, metadata_json from crm.audit_log where action = 'dial_campaign.started'"
        )
        assert (row["override_reason"], row["overridden_by"]) == ("pilot", tenant.sales_manager.user_id)
        assert audit["actor_user_id"] == tenant.sales_manager.user_id
        assert "pilot" in str(audit["metadata_json"])


class TestStopping:
    async def test_gives_back_what_was_taken_and_not_asked(self, tenant: Tenant):
        campaign, _ = await running(tenant)
        await fill(tenant, campaign)
        await claim(tenant, campaign, await take(tenant, campaign), 1)

        await do(tenant.admin, lambda tx: campaigns.pause(tx, campaign, reason="lunch", now=NOW))

        states = await rows(tenant, "select distinct state from crm.dial_entry")
        assert [row["state"] for row in states] == ["listed"]

    async def test_draining_ends_with_the_last_call(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        await do(tenant.admin, lambda tx: campaigns.drain(tx, campaign, reason="evening", now=NOW))

        await do(tenant.system, lambda tx: campaigns.end_draining(tx, campaign, now=NOW))
        before = await status_of(tenant, campaign)
        await end(tenant, call, Story.busy)
        await settle(tenant)
        await do(tenant.system, lambda tx: campaigns.end_draining(tx, campaign, now=NOW))

        assert (before, await status_of(tenant, campaign)) == ("draining", "stopped")
        assert await rows(
            tenant, "select from crm.event_log where event_type = 'dial_campaign.stopped' and actor_user_id is null"
        )

    async def test_does_not_stop_what_never_ran(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant)

        with pytest.raises(BadStep):
            await do(tenant.admin, lambda tx: campaigns.stop(tx, campaign, reason="why", now=NOW))


class TestDelete:
    async def test_waits_until_it_is_stopped_and_keeps_the_attempts(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        with pytest.raises(StillDialling):
            await do(tenant.admin, lambda tx: campaigns.delete(tx, campaign, now=NOW))
        await do(tenant.admin, lambda tx: campaigns.stop(tx, campaign, reason="over", now=NOW))

        await do(tenant.admin, lambda tx: campaigns.delete(tx, campaign, now=NOW))

        with pytest.raises(CampaignNotFound):
            await do(tenant.admin, lambda tx: queries.read(tx, campaign))
        await end(tenant, call, Story.no_answer)
        await settle(tenant)
        [attempt] = await rows(tenant, "select result from crm.dial_attempt")
        assert attempt["result"] == "no_answer"
        await make_campaign(tenant)  # its code is free again
