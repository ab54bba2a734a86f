"""What follows a lead's first word over HTTP: the status machine, quotes, sales, check-ins, and next steps."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from api.schemas.followups import CheckInPage, FollowUps, LeadDetail, LifecycleRead
from crm import clock, db, ids, tenant_settings
from crm.sla.chore import Clocks
from tests.api.test_leads import AYSE, give, store
from tests.conftest import settled


async def offer(client, lead, **fields):
    """Make a quote and return its id."""
    body = {"amount": "2490.00", "currency": "EUR", **fields}
    answer = await client.post(f"/leads/{lead}/quotes", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def day(ahead):
    """Return a coming date as it travels."""
    return (clock.utc_now() + timedelta(days=ahead)).date().isoformat()


async def set_machine(tenant, **parts):
    """Let the firm's status machine hold from now on."""
    now = clock.utc_now()
    await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, "lead.lifecycle", parts, now=now))


class TestStatuses:
    async def test_draw_the_firms_machine(self, admin, tenant):
        await set_machine(
            tenant,
            follows={"contacted": ["qualified", "lost"]},
            required={"qualified": ["note"]},
            labels={"contacted": {"tr": "Konuşuldu", "en": "Spoken to"}},
        )

        answer = await admin.get("/leads/statuses", headers={"Accept-Language": "en"})

        told = LifecycleRead.model_validate_json(answer.text)
        by_code = {item.code: item for item in told.items}
        assert by_code["contacted"].followed_by == ["qualified", "lost"]
        assert (by_code["contacted"].label, by_code["contacted"].labels["tr"]) == ("Spoken to", "Konuşuldu")
        assert by_code["qualified"].required == ["note"]
        assert by_code["lost"].required == ["reason"]
        assert [by_code[code].by for code in ("new", "assigned", "won")] == ["intake", "assignment", "hand"]
        assert "price" in [each.code for each in told.loss_reasons]
        lead = await store(admin)
        await admin.post(f"/leads/{lead}/status", json={"status": "contacted"})
        assert (await admin.get(f"/leads/{lead}")).json()["status"]["label"] == "Konuşuldu"
        assert {each.code: each.label for each in told.procedure_types}["hair"] == "Hair transplant"

    async def test_refusals_say_what_is_possible_and_what_is_missing(self, admin, tenant):
        await set_machine(tenant, follows={"new": ["contacted", "lost"]}, required={"contacted": ["note", "quote"]})
        lead = await store(admin)

        wrong = await admin.post(f"/leads/{lead}/status", json={"status": "won"})
        missing = await admin.post(f"/leads/{lead}/status", json={"status": "contacted"})
        unknown = await admin.post(f"/leads/{lead}/status", json={"status": "sold"})
        reason = await admin.post(f"/leads/{lead}/status", json={"status": "lost", "reason": "ate-the-contract"})

        assert (wrong.status_code, wrong.json()["code"]) == (409, "lead.transition")
        assert wrong.json()["field_errors"] == {"status": "possible from new: contacted, lost"}
        assert (missing.status_code, sorted(missing.json()["field_errors"])) == (422, ["note", "quote"])
        assert unknown.status_code == 422
        assert "contacted" in str(unknown.json()["field_errors"])
        assert (reason.status_code, reason.json()["code"]) == (422, "lead.reason_unknown")


class TestDetail:
    async def test_tells_clocks_actions_and_what_to_do(self, admin, tenant):
        lead = await store(admin, **AYSE)
        await give(tenant, lead, tenant.admin)
        await admin.post(f"/leads/{lead}/activities", json={"channel": "note", "note": "wants to know more"})
        await settled()
        await Clocks(clock.utc_now).work(tenant.id)

        answer = await admin.get(f"/leads/{lead}", headers={"Accept-Language": "en"})

        told = LeadDetail.model_validate_json(answer.text)
        assert [each.kind for each in told.previous_actions] == [
            "note", "lead.status_changed", "lead.assigned", "lead.created",
        ]  # fmt: skip
        (first_response,) = [timer for timer in told.timers if timer.kind == "first_response"]
        assert first_response.state in ("running", "paused")
        assert first_response.due_at is None or first_response.due_at > clock.utc_now()
        step = next(step for step in told.next_steps if step.code == "call")
        assert (step.label, step.reason) == ("Call", "not_tried")
        assert step.because == f"Nobody has tried for {step.figures['minutes']} minutes"
        assert step.due_at is not None

    async def test_a_change_of_status_answers_with_the_same(self, admin):
        lead = await store(admin, **AYSE)

        changed = await admin.post(f"/leads/{lead}/status", json={"status": "qualified"})

        told = LeadDetail.model_validate_json(changed.text)
        assert told.status.code == "qualified"
        assert "make_quote" in [step.code for step in told.next_steps]
        assert changed.json() == (await admin.get(f"/leads/{lead}")).json() | {
            "next_steps": changed.json()["next_steps"], "timers": changed.json()["timers"],
        }  # fmt: skip


class TestFollowUps:
    async def test_from_quote_to_check_in(self, admin, tenant):
        lead = await store(admin, **AYSE)
        first = await offer(admin, lead, procedure_type="hair")
        quote = await offer(admin, lead, amount="2290", procedure_type="hair", valid_until=f"{day(9)}T12:00:00Z")

        declined = await admin.post(f"/leads/{lead}/quotes/{first}/answer", json={"answer": "accepted"})
        accepted = await admin.post(f"/leads/{lead}/quotes/{quote}/answer", json={"answer": "accepted"})
        sold = await admin.post(f"/leads/{lead}/sale", json={"quote_id": quote, "takes_place_on": day(10)})

        assert (declined.status_code, declined.json()["code"]) == (409, "quote.closed")
        assert FollowUps.model_validate_json(accepted.text).quotes[0].status == "accepted"
        assert (sold.status_code, sold.json()["status"]["code"]) == (201, "won")
        told = FollowUps.model_validate_json((await admin.get(f"/leads/{lead}/follow-ups")).text)
        assert [(each.version, each.status) for each in told.quotes] == [(2, "accepted"), (1, "superseded")]
        assert (str(told.sales[0].amount), told.sales[0].currency, str(told.sales[0].quote_id)) == (
            "2290.00", "EUR", quote,
        )  # fmt: skip
        assert (told.procedure.type, told.procedure.takes_place_on.isoformat()) == ("hair", day(10))
        assert [(each.day, each.status) for each in told.check_ins] == [(n, "pending") for n in (1, 7, 30, 180)]
        await settled()
        await Clocks(clock.utc_now).work(tenant.id)
        detail = LeadDetail.model_validate_json((await admin.get(f"/leads/{lead}")).text)
        due = [timer.due_at for timer in detail.timers if timer.kind == "check_in" and timer.state == "running"]
        assert due == [each.due_at for each in told.check_ins]
        assert [(step.code, step.due_at) for step in detail.next_steps] == [("check_in", due[0])]

    async def test_prices_are_exact_and_quotes_taken_back(self, admin):
        lead = await store(admin, **AYSE)

        unreal = [
            await admin.post(f"/leads/{lead}/quotes", json={"amount": amount, "currency": currency})
            for amount, currency in (("10.005", "EUR"), ("0.5", "JPY"), ("10", "ABC"), ("-1", "EUR"))
        ]
        quote = await offer(admin, lead, amount="12.345", currency="KWD")
        taken_back = await admin.post(f"/leads/{lead}/quotes/{quote}/withdraw", json={"reason": "wrong_price"})

        assert [answer.status_code for answer in unreal] == [422] * 4
        assert [sorted(answer.json()["field_errors"]) for answer in unreal] == [
            ["amount"], ["amount"], ["currency"], ["amount"],
        ]  # fmt: skip
        (told,) = FollowUps.model_validate_json(taken_back.text).quotes
        assert (told.status, told.reason, str(told.amount), told.exponent) == ("withdrawn", "wrong_price", "12.345", 3)

    async def test_check_ins_are_listed_done_skipped_and_moved(self, admin):
        lead = await store(admin, **AYSE)
        await admin.post(
            f"/leads/{lead}/sale", json={"amount": 10, "currency": "TRY", "takes_place_on": day(3)}
        )  # fmt: skip
        page = CheckInPage.model_validate_json((await admin.get("/check-ins?limit=3")).text)
        one, two, three = (f"/check-ins/{each.id}" for each in page.items)

        answers = [
            await admin.post(f"{one}/done", json={"note": "well"}),
            await admin.post(f"{two}/skip", json={"reason": "abroad"}),
            await admin.post(f"{three}/reschedule", json={"due_at": f"{day(90)}T12:00:00Z"}),
            await admin.post(f"{two}/done", json={}),
            await admin.post(f"{one}/reschedule", json={"due_at": "2020-01-01T12:00:00Z"}),
            await admin.post(f"/check-ins/{ids.new()}/done", json={}),
        ]

        assert [each.status_code for each in answers] == [204, 204, 201, 409, 422, 404]
        rest = CheckInPage.model_validate_json(
            (await admin.get("/check-ins", params={"cursor": page.next_cursor})).text
        )
        assert [each.day for each in rest.items] == [30, 180]
        soon = await admin.get("/check-ins", params={"due_to": f"{day(60)}T00:00:00Z"})
        assert soon.json()["items"] == []

    async def test_a_cancelled_sale_takes_them_along(self, admin):
        lead = await store(admin, **AYSE)
        await admin.post(
            f"/leads/{lead}/sale", json={"amount": 10, "currency": "TRY", "takes_place_on": day(3)}
        )  # fmt: skip

        unknown = await admin.post(f"/leads/{lead}/sale/cancel", json={"reason": "rain"})
        cancelled = await admin.post(f"/leads/{lead}/sale/cancel", json={"reason": "cancelled"})
        again = await admin.post(f"/leads/{lead}/sale/cancel", json={"reason": "cancelled"})

        assert (unknown.status_code, unknown.json()["code"]) == (422, "lead.reason_unknown")
        assert (cancelled.status_code, cancelled.json()["loss_reason"]) == (200, "cancelled")
        assert (again.status_code, again.json()["code"]) == (409, "sale.none")
        assert (await admin.get("/check-ins")).json()["items"] == []

    async def test_the_day_of_the_procedure_can_come_later(self, admin):
        lead = await store(admin, **AYSE)
        await admin.post(f"/leads/{lead}/sale", json={"amount": 10, "currency": "TRY"})

        planned = await admin.put(
            f"/leads/{lead}/procedure", json={"procedure_type": "dental", "takes_place_on": day(5)}
        )  # fmt: skip

        assert len(FollowUps.model_validate_json(planned.text).check_ins) == 4

    @pytest.mark.parametrize(
        ("path", "body", "status", "code"),
        [
            ("quotes", {"amount": "0", "currency": "EUR"}, 422, "invalid"),
            ("quotes", {"amount": "1", "currency": "euro"}, 422, "invalid"),
            ("quotes", {"amount": "1", "currency": "EUR", "procedure_type": "wings"}, 422, "procedure.unknown"),
            ("quotes", {"amount": "1", "currency": "EUR", "valid_until": "2020-01-01T00:00:00Z"}, 422, "invalid"),
            ("sale", {}, 422, "invalid"),
            ("sale", {"amount": "1"}, 422, "invalid"),
            ("sale", {"quote_id": "0190a0a0-0000-7000-8000-000000000000"}, 404, "quote.not_found"),
            ("sale", {"amount": "1", "currency": "EUR", "takes_place_on": "1990-01-01"}, 422, "invalid"),
            ("reopen", {"reason": "came_back"}, 409, "lead.transition"),
            ("reopen", {"reason": "Came back!"}, 422, "invalid"),
        ],
    )
    async def test_refusals_are_named(self, admin, path, body, status, code):
        lead = await store(admin)

        answer = await admin.post(f"/leads/{lead}/{path}", json=body)

        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text

    async def test_others_leads_have_none(self, admin, agent, tenant):
        mine, other = await store(admin), await store(admin)
        await give(tenant, mine, tenant.sales_agent)
        quote = await offer(admin, other)

        assert (await agent.post(f"/leads/{mine}/quotes", json={"amount": 1, "currency": "EUR"})).status_code == 201
        for answer in (
            await agent.get(f"/leads/{other}/follow-ups"),
            await agent.post(f"/leads/{other}/quotes", json={"amount": 1, "currency": "EUR"}),
            await agent.post(f"/leads/{other}/quotes/{quote}/answer", json={"answer": "declined"}),
            await agent.post(f"/leads/{other}/reopen", json={"reason": "x"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "lead.not_found")
        foreign = await agent.post(f"/leads/{mine}/quotes/{quote}/answer", json={"answer": "declined"})
        assert (foreign.status_code, foreign.json()["code"]) == (404, "quote.not_found")


class TestReopen:
    async def test_sent_twice_it_is_one_cycle(self, admin):
        lead = await store(admin)
        await admin.post(f"/leads/{lead}/status", json={"status": "lost", "reason": "timing"})
        sent = {"json": {"reason": "new_date"}, "headers": {"Idempotency-Key": "r"}}

        answers = await asyncio.gather(*(admin.post(f"/leads/{lead}/reopen", **sent) for _ in range(3)))

        assert [each.status_code for each in answers] == [201] * 3
        assert {each.json()["cycle_no"] for each in answers} == {2}

    async def test_only_who_may_give_leads_away_releases_them(self, admin, agent, tenant):
        lead = await store(admin)
        await give(tenant, lead, tenant.sales_agent)
        await agent.post(f"/leads/{lead}/status", json={"status": "lost", "reason": "timing"})

        refused = await agent.post(f"/leads/{lead}/reopen", json={"reason": "x", "release": True})
        released = await admin.post(f"/leads/{lead}/reopen", json={"reason": "x", "release": True})

        assert refused.status_code == 403
        assert (released.json()["owner"], UUID(released.json()["team"]["id"])) == (None, tenant.team_id)
