"""Dialling campaigns over HTTP: designed, loaded, started, worked, watched."""

import asyncio
from typing import Any

import pytest

from crm import clock, ids
from crm.dialling import hopper
from crm.dialling.timing import Learned
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant
from tests.crm.agents.floor import signed_on
from tests.crm.dialling.floor import do, make_leads, make_queue, rows
from tests.dialer.floor import may_call_always

SPRING = {"code": "spring", "name": "Spring", "mode": "progressive", "queue": "sales"}
PREVIEW = {
    "code": "calls",
    "queue": None,
    "name": "Calls",
    "mode": "preview",
    "caller_id": "+902123456789",
    "preview_s": 90,
}


async def create(client: Client, **of: Any) -> str:
    """Make a campaign and return its id."""
    made = await client.post("/dialer/campaigns", json={**SPRING, **of})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def fill(tenant: Tenant, campaign: str) -> None:
    """Look ahead, as the worker does."""
    now = clock.utc_now()
    await do(tenant.system, lambda tx: hopper.fill(tx, campaign, Learned(), now=now))


async def preview(tenant: Tenant, admin: Client, *, leads: int = 2) -> tuple[str, list[str]]:
    """Return a running preview campaign whose leads are the firm's agent's, who is signed on."""
    now = clock.utc_now()
    await may_call_always(tenant, now)
    await signed_on(tenant, now)
    campaign = await create(admin, **PREVIEW)
    loaded = [str(each) for each in await make_leads(tenant, leads, now=now)]
    await do(
        tenant.system,
        lambda tx: tx.execute("update crm.lead set owner_id = $1::uuid", tenant.sales_agent.user_id),
    )
    if loaded:
        await admin.post(f"/dialer/campaigns/{campaign}/load", json={"lead_ids": loaded})
    await admin.post(f"/dialer/campaigns/{campaign}/start")
    await fill(tenant, campaign)
    return campaign, loaded


class TestCampaigns:
    async def test_are_made_read_changed_and_deleted(self, admin: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin, windows=[{"weekday": 0, "opens": "09:00", "closes": "18:00"}], calls_per_s=2)

        read = (await admin.get(f"/dialer/campaigns/{campaign}")).json()
        changed = await admin.put(
            f"/dialer/campaigns/{campaign}",
            json={"name": "Spring", "mode": "power", "queue": "sales", "power_ratio": 2, "ring_s": 20},
        )
        other = await create(admin, code="summer")
        listed = (await admin.get("/dialer/campaigns", params={"limit": 1})).json()
        rest = (await admin.get("/dialer/campaigns", params={"cursor": listed["next_cursor"]})).json()
        deleted = await admin.delete(f"/dialer/campaigns/{campaign}")

        assert (read["status"], read["cap"], read["ring_s"], read["leads"]) == ("draft", 0.03, 25, {})
        assert read["windows"] == [{"weekday": 0, "opens": "09:00", "closes": "18:00"}]
        assert read["retry"]["after"]["busy"] == {"cool_down_s": 600, "most": 4}
        assert (changed.json()["mode"], changed.json()["power_ratio"], changed.json()["windows"]) == ("power", 2.0, [])
        assert [each["id"] for page in (listed, rest) for each in page["items"]] == [other, campaign]
        assert deleted.status_code == 204
        assert (await admin.get(f"/dialer/campaigns/{campaign}")).json()["code"] == "dial_campaign.not_found"

    async def test_sent_twice_under_a_key_are_one(self, admin: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        sent = {"json": SPRING, "headers": {"Idempotency-Key": "c1"}}

        first, again = await admin.post("/dialer/campaigns", **sent), await admin.post("/dialer/campaigns", **sent)

        assert (first.json(), again.status_code) == (again.json(), 201)
        assert again.headers["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"ring_s": 14}, "ring_s"), ({"cap": 0.031}, "cap"), ({"queue": "nowhere"}, "queue"),
            ({"caller_id": "+90212\r\nAction: Logoff"}, "caller_id"), ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"retry": {"after": {"reached": {"cool_down_s": 60, "most": 1}}}}, "retry.after"),
            ({"detects_machines": True, "on_machine": "leave_message"}, "machine_message"),
        ],
    )  # fmt: skip
    async def test_that_break_a_rule_are_refused_by_name(self, admin: Client, tenant: Tenant, wrong: Any, field: str):
        await make_queue(tenant, now=clock.utc_now())

        answer = await admin.post("/dialer/campaigns", json={**SPRING, **wrong})

        assert answer.status_code == 422
        assert any(name.startswith(field) for name in answer.json()["field_errors"]), answer.text

    async def test_run_pause_drain_and_stop(self, admin: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin)
        why = {"json": {"reason": "lunch"}}

        steps = [
            await admin.post(f"/dialer/campaigns/{campaign}/{step}", **how)
            for step, how in (("start", {}), ("pause", why), ("start", {}), ("drain", why), ("stop", why))
        ]
        again = await admin.post(f"/dialer/campaigns/{campaign}/pause", **why)

        assert [each.json()["status"] for each in steps] == ["running", "paused", "running", "draining", "stopped"]
        assert steps[1].json()["status_reason"] == "lunch"
        assert (again.status_code, again.json()["code"]) == (409, "dial_campaign.step")

    async def test_that_are_predictive_start_by_a_managers_word(self, tenant: Tenant, sign_in: SignIn):
        await make_queue(tenant, now=clock.utc_now())
        manager = sign_in(tenant.sales_manager)
        campaign = await create(manager, mode="predictive")

        refused = await manager.post(f"/dialer/campaigns/{campaign}/start")
        started = await manager.post(f"/dialer/campaigns/{campaign}/start", json={"override": "pilot"})

        assert (refused.status_code, refused.json()["code"]) == (409, "dial_campaign.not_foretold")
        assert "simulated" in refused.json()["field_errors"]["mode"]
        assert started.json()["override_reason"] == "pilot"
        assert started.json()["overridden_by"] == str(tenant.sales_manager.user_id)

    async def test_are_not_an_agents_to_start(self, admin: Client, agent: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin)

        assert (await agent.post(f"/dialer/campaigns/{campaign}/start")).status_code == 403
        assert (await agent.get(f"/dialer/campaigns/{campaign}/budget")).status_code == 403


class TestLeads:
    async def test_are_loaded_once_by_id_and_by_filter(self, admin: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin)
        some = [str(each) for each in await make_leads(tenant, 3, now=clock.utc_now())]
        where = f"/dialer/campaigns/{campaign}"

        by_id = await admin.post(f"{where}/load", json={"lead_ids": some[:2], "priority": 3})
        by_filter = await admin.post(f"{where}/load", json={"filter": ["source:in:api"]})
        neither = await admin.post(f"{where}/load", json={})

        assert by_id.json() == {"added": 2, "known": 0, "left_out": 0}
        assert by_filter.json() == {"added": 1, "known": 2, "left_out": 0}
        assert neither.status_code == 422
        assert (await admin.get(where)).json()["leads"] == {"listed": 3}

    async def test_are_listed_page_by_page(self, admin: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin)
        some = [str(each) for each in await make_leads(tenant, 5, now=clock.utc_now())]
        await admin.post(f"/dialer/campaigns/{campaign}/load", json={"lead_ids": some})

        seen: list[str] = []
        cursor = {}
        while True:
            found = await admin.get(
                f"/dialer/campaigns/{campaign}/entries", params={"limit": 2, "state": "listed", **cursor}
            )
            assert found.status_code == 200, found.text
            page = found.json()
            seen += [each["lead_id"] for each in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}

        assert sorted(seen) == sorted(some)
        none = await admin.get(f"/dialer/campaigns/{campaign}/entries", params={"state": "done"})
        assert none.json() == {"items": [], "next_cursor": None}


class TestWork:
    async def test_shows_one_lead_at_a_time_and_calls_it(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, leads = await preview(tenant, admin)

        offers = [(await agent.post("/dialer/next", json={"campaign_id": campaign})).json()["offer"] for _ in range(2)]
        called = await agent.post(f"/dialer/entries/{offers[0]['entry_id']}/call", json={})

        [call] = await rows(tenant, "select * from crm.call")
        attempts = (await admin.get(f"/dialer/campaigns/{campaign}/attempts")).json()["items"]
        assert offers[0] == offers[1]
        assert offers[0]["lead_id"] in leads
        assert (called.status_code, called.json()["status"]) == (201, "checked")
        assert (str(call["campaign_id"]), call["caller_id"], call["direction"]) == (
            campaign, "+902123456789", "agent_first",
        )  # fmt: skip
        assert [(each["call_id"], each["result"], each["mode"]) for each in attempts] == [
            (called.json()["callId"], None, "preview")
        ]

    async def test_passes_a_lead_over_and_shows_the_next(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, _ = await preview(tenant, admin)
        first = (await agent.post("/dialer/next", json={"campaign_id": campaign})).json()["offer"]

        skipped = await agent.post(f"/dialer/entries/{first['entry_id']}/skip", json={"reason": "spoke_yesterday"})
        second = (await agent.post("/dialer/next", json={"campaign_id": campaign})).json()["offer"]
        gone = await agent.post(f"/dialer/entries/{first['entry_id']}/call", json={})

        assert skipped.status_code == 204
        assert second["entry_id"] != first["entry_id"]
        assert (gone.status_code, gone.json()["code"]) == (404, "dial_entry.not_found")

    async def test_shows_one_lead_to_who_asks_many_times_at_once(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, _ = await preview(tenant, admin, leads=6)

        answers = await asyncio.gather(*(agent.post("/dialer/next", json={"campaign_id": campaign}) for _ in range(5)))

        assert len({answer.json()["offer"]["entry_id"] for answer in answers}) == 1

    async def test_lists_what_an_agent_can_work_now(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, _ = await preview(tenant, admin)
        await make_queue(tenant, now=clock.utc_now())
        await create(admin, code="by-itself")
        other = await admin.post("/teams", json={"name": "Others"})
        theirs = await create(admin, **{**PREVIEW, "code": "theirs", "team_id": other.json()["id"]})
        await admin.post(f"/dialer/campaigns/{theirs}/start")

        listed = (await agent.get("/dialer/campaigns")).json()["items"]
        refused = await agent.post("/dialer/next", json={"campaign_id": theirs})

        assert [each["id"] for each in listed] == [campaign]
        assert (refused.status_code, refused.json()["code"]) == (403, "dial_campaign.other_team")

    async def test_says_so_when_there_is_nobody(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, _ = await preview(tenant, admin, leads=0)

        assert (await agent.post("/dialer/next", json={"campaign_id": campaign})).json() == {"offer": None}

    async def test_shows_agents_only_leads_that_are_theirs(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, _ = await preview(tenant, admin)
        await do(tenant.system, lambda tx: tx.execute("update crm.lead set owner_id = null, team_id = null"))

        assert (await agent.post("/dialer/next", json={"campaign_id": campaign})).json() == {"offer": None}

    async def test_calls_nobody_who_withdrew_meanwhile(self, admin: Client, agent: Client, tenant: Tenant):
        campaign, _ = await preview(tenant, admin, leads=1)
        offer = (await agent.post("/dialer/next", json={"campaign_id": campaign})).json()["offer"]
        [lead] = await rows(tenant, "select contact_id from crm.lead")
        await admin.post(
            f"/contacts/{lead['contact_id']}/consents",
            json={"channel": "call", "purpose": "enquiry", "status": "withdrawn", "source": "phone"},
        )

        answer = await agent.post(f"/dialer/entries/{offer['entry_id']}/call", json={})

        [attempt] = (await admin.get(f"/dialer/campaigns/{campaign}/attempts")).json()["items"]
        [entry] = (await admin.get(f"/dialer/campaigns/{campaign}/entries")).json()["items"]
        assert (answer.json()["status"], answer.json()["reason"]) == ("denied", "consent.opted_out")
        assert (attempt["result"], attempt["reason"]) == ("blocked_by_policy", "opted_out")
        assert entry["state"] == "excluded"
        assert await rows(tenant, "select from crm.exchange_ask where kind = 'originate'") == []

    async def test_is_for_campaigns_that_agents_dial(self, admin: Client, agent: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin)

        running = await agent.post("/dialer/next", json={"campaign_id": campaign})
        nowhere = await agent.post("/dialer/next", json={"campaign_id": str(ids.new())})

        assert running.json()["code"] == "dial_campaign.not_by_agents"
        assert nowhere.status_code == 404


class TestBudget:
    async def test_shows_both_windows_and_what_is_allowed(self, admin: Client, tenant: Tenant):
        await make_queue(tenant, now=clock.utc_now())
        campaign = await create(admin)
        await do(
            tenant.system,
            lambda tx: tx.execute(
                "insert into crm.dial_budget (tenant_id, campaign_id, hour, answered, abandoned)"
                " values ($1::uuid, $2::uuid, $3::timestamptz, 400, 2)", tenant.id, campaign, clock.utc_now(),
            ),
        )  # fmt: skip

        found = (await admin.get(f"/dialer/campaigns/{campaign}/budget")).json()

        month = next(each for each in found["windows"] if each["window"] == "month")
        assert (found["allowed"], found["reason"], found["mode"]) == ("full", "within_budget", "progressive")
        assert (month["answered"], month["abandoned"], month["rate"]) == (400, 2, 0.005)
        assert month["lower"] < month["rate"] < month["upper"] <= 0.03
        assert found["allowed_more"] == min(each["allowed_more"] for each in found["windows"]) > 0
