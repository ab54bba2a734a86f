"""Consent over HTTP: the ledger, the question before a contact, the do-not-contact list, calling hours."""

from datetime import date
from zoneinfo import ZoneInfo

import httpx
import pytest

from crm import clock, db
from tests.conftest import Tenant

NUMBER = "+905321234567"


@pytest.fixture
async def contact(admin: httpx.AsyncClient) -> str:
    """A person with a number, entered by hand."""
    answer = await admin.post("/contacts", json={"name": "Ada", "phone": NUMBER, "country": "TR"})
    return answer.json()["id"]


def _today() -> date:
    """Return the day it is in Türkiye, which begins before the day of UTC."""
    return clock.utc_now().astimezone(ZoneInfo("Europe/Istanbul")).date()


async def open_all_day(client: httpx.AsyncClient) -> None:
    """Let people in Türkiye be called whenever the tests run."""
    always = {"days": [1, 2, 3, 4, 5, 6, 7], "start": "00:00", "end": "24:00"}
    body = {"windows": [always], "holidays": True, "valid_from": _today().isoformat()}
    assert (await client.post("/calling-hours/TR", json=body)).status_code == 201


class TestConsents:
    async def test_a_word_is_written_down_and_stands_in_the_ledger(self, admin, contact):
        body = {"channel": "call", "status": "granted", "source": "phone", "evidence": {"heard": "yes, do call"}}

        made = await admin.post(f"/contacts/{contact}/consents", json=body)
        ledger = (await admin.get(f"/contacts/{contact}/consents")).json()["items"]

        assert made.status_code == 201
        assert [(each["id"], each["status"], each["purpose"]) for each in ledger] == [
            (made.json()["id"], "granted", "marketing")
        ]
        assert (await admin.get(f"/contacts/{contact}")).json()["consented"] == ["call"]

    async def test_the_same_key_writes_it_once(self, admin, contact):
        body = {"channel": "call", "status": "denied", "source": "phone"}

        answers = [
            await admin.post(f"/contacts/{contact}/consents", json=body, headers={"Idempotency-Key": "k1"})
            for _ in range(2)
        ]

        assert answers[0].json() == answers[1].json()
        assert len((await admin.get(f"/contacts/{contact}/consents")).json()["items"]) == 1

    async def test_a_consent_without_evidence_is_refused_by_its_field(self, admin, contact):
        answer = await admin.post(f"/contacts/{contact}/consents", json={"channel": "call", "status": "granted"})

        assert (answer.status_code, answer.json()["code"]) == (422, "consent.evidence_missing")
        assert "evidence" in answer.json()["field_errors"]


class TestMayContact:
    async def test_says_why_not_in_the_clients_language_and_leaves_no_trace(self, admin, contact, tenant: Tenant):
        params = {"channel": "call", "purpose": "marketing"}

        answer = await admin.get(f"/contacts/{contact}/may-contact", params=params, headers={"Accept-Language": "en"})

        assert answer.json() == {
            "is_allowed": False, "reason": {"code": "no_consent", "label": "No consent"}, "evidence": None,
            "not_before": None,
        }  # fmt: skip
        assert (await admin.get("/contact-checks")).json()["items"] == []

    async def test_says_yes_with_the_evidence(self, admin, contact):
        await open_all_day(admin)
        body = {"channel": "call", "status": "granted", "source": "phone", "evidence": {"heard": "yes"}}
        fact = (await admin.post(f"/contacts/{contact}/consents", json=body)).json()["id"]

        answer = await admin.get(f"/contacts/{contact}/may-contact", params={"channel": "call", "purpose": "marketing"})

        assert (answer.json()["is_allowed"], answer.json()["evidence"]) == (True, {"kind": "consent", "id": fact})


class TestContactChecks:
    async def test_keeps_the_answer_for_the_auditor_and_shows_a_no_on_the_timeline(
        self, admin, contact, tenant, sign_in
    ):
        made = await admin.post(f"/contacts/{contact}/contact-checks", json={"channel": "call", "purpose": "marketing"})

        auditor = sign_in(tenant.compliance_auditor)
        denied = (await auditor.get("/contact-checks", params={"is_allowed": False})).json()["items"]
        allowed = (await auditor.get("/contact-checks", params={"is_allowed": True})).json()["items"]
        timeline = (await admin.get(f"/contacts/{contact}/timeline")).json()["items"]
        assert (made.status_code, made.json()["reason"]["code"]) == (201, "no_consent")
        assert [(each["id"], each["reason"]) for each in denied] == [(made.json()["id"], "no_consent")]
        assert allowed == []
        assert timeline[0]["kind"] == "contact.contact_denied"

    async def test_the_same_key_asks_once(self, admin, contact, tenant):
        address, body = f"/contacts/{contact}/contact-checks", {"channel": "call", "purpose": "marketing"}

        answers = [await admin.post(address, json=body, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
        other = await admin.post(address, json={"channel": "sms"}, headers={"Idempotency-Key": "k1"})

        assert [each.json() for each in answers] == [answers[0].json()] * 3
        assert other.status_code == 409
        async with db.transaction(tenant.system) as tx:
            counts = await tx.fetchrow(
                "select (select count(*) from crm.consent_check) as checks,"
                " (select count(*) from crm.event_log where event_type = 'contact.contact_denied') as events,"
                " (select count(*) from crm.activity where kind = 'contact.contact_denied') as shown,"
                " (select count(*) from crm.audit_log where action = 'consent.check') as audited"
            )
        assert tuple(counts) == (1, 1, 1, 1)

    async def test_pages_go_on_where_the_one_before_ended(self, admin, contact):
        for _ in range(5):
            await admin.post(f"/contacts/{contact}/contact-checks", json={"channel": "call"})

        first = (await admin.get("/contact-checks", params={"limit": 3})).json()
        rest = (await admin.get("/contact-checks", params={"limit": 3, "cursor": first["next_cursor"]})).json()
        other = await admin.get("/contact-checks", params={"channel": "sms", "cursor": first["next_cursor"]})

        assert len({each["id"] for each in first["items"] + rest["items"]}) == 5
        assert rest["next_cursor"] is None
        assert other.status_code == 422


class TestDnc:
    async def test_an_agent_lists_a_number_and_only_an_administrator_takes_it_off(self, admin, agent, contact):
        entry = await agent.post("/dnc", json={"address": "0532 123 45 67"})
        asked = {"channel": "call", "purpose": "marketing"}
        reason = (await admin.get(f"/contacts/{contact}/may-contact", params=asked)).json()["reason"]["code"]
        refused = await agent.post(f"/dnc/{entry.json()['id']}/remove", json={"reason": "mistake"})
        removed = await admin.post(f"/dnc/{entry.json()['id']}/remove", json={"reason": "mistake"})

        assert (entry.status_code, entry.json()["masked"], reason) == (201, "+90 ••• ••• •• 67", "dnc")
        assert refused.status_code == 403
        assert removed.json()["removal_reason"] == "mistake"
        assert (await admin.get("/dnc")).json()["items"] == []
        assert len((await admin.get("/dnc", params={"is_removed": True})).json()["items"]) == 1

    async def test_a_list_is_taken_and_each_bad_line_told(self, admin):
        body = {"addresses": [NUMBER, "nonsense", "ada@example.com"], "source": "registry"}

        done = await admin.post("/dnc/import", json=body)

        assert done.json() == {"added": 2, "known": 0, "rejected": [2]}
        assert (await admin.post("/dnc/lookup", json={"address": "ADA@example.com"})).json()["is_listed"]
        assert not (await admin.post("/dnc/lookup", json={"address": "bob@example.com"})).json()["is_listed"]

    async def test_a_contacts_addresses_are_listed_without_anybody_seeing_them(self, admin, contact):
        added = await admin.post(f"/contacts/{contact}/dnc", json={"reason": "asked"})

        assert len(added.json()["entries"]) == 1
        assert (await admin.get(f"/contacts/{contact}")).json()["can_call"] is False

    async def test_what_is_no_address_is_refused_without_repeating_it(self, admin):
        answer = await admin.post("/dnc", json={"address": "0532 12"})

        assert (answer.status_code, answer.json()["code"]) == (422, "dnc.address")
        assert "0532 12" not in answer.text


class TestCallingHours:
    async def test_a_firms_own_stand_beside_what_comes_along(self, admin):
        await open_all_day(admin)

        found = (await admin.get("/calling-hours")).json()["items"]

        turkey = [each for each in found if each["country"] == "TR"]
        assert [each["own"] for each in turkey] == [True, False]
        assert turkey[0]["windows"] == [{"days": [1, 2, 3, 4, 5, 6, 7], "start": "00:00", "end": "24:00"}]

    @pytest.mark.parametrize(
        "change",
        [
            {"valid_from": "2020-01-01"},
            {"windows": [{"days": [1], "start": "10:00", "end": "09:00"}]},
            {"windows": [{"days": [1], "start": "10:00", "end": "12:00"}] * 2},
            {"windows": [{"days": [8], "start": "10:00", "end": "12:00"}]},
            {"windows": [{"days": [1], "start": "25:00", "end": "26:00"}]},
        ],
    )
    async def test_refuses_hours_that_are_none_and_the_past(self, admin, change):
        body = {"windows": [], "valid_from": "2099-01-01", **change}

        answer = await admin.post("/calling-hours/TR", json=body)

        assert answer.status_code == 422
        assert answer.json()["field_errors"]
