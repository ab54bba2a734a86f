"""Google's lead form messages."""

import json
from datetime import UTC, datetime

import pytest

from crm import ids
from crm.inbox.connections import Connection, Source
from crm.inbox.reading import Unusable
from ingestion.sources import google

SENT = {
    "lead_id": "TeSter-123-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "api_version": "1.0",
    "form_id": 40000000000,
    "campaign_id": 123456,
    "adgroup_id": 20000000000,
    "creative_id": 30000000000,
    "gcl_id": "Cj0KCQ",
    "google_key": "google-shared-key",
    "is_test": True,
    "user_column_data": [
        {"column_id": "FULL_NAME", "column_name": "Full Name", "string_value": "Ayşe Yılmaz"},
        {"column_id": "EMAIL", "string_value": "ayse@example.com"},
        {"column_id": "PHONE_NUMBER", "string_value": "+905321234567"},
        {"column_id": "COUNTRY", "string_value": "TR"},
        {"column_id": "STREET_ADDRESS", "string_value": "İstiklal 1"},
        {"column_id": "which_treatment", "string_value": "diş"},
        {"column_id": "consent_to_calls", "string_value": "Yes"},
        {"column_id": "newsletter", "string_value": "no"},
    ],
}
CONNECTION = Connection(ids.new(), ids.new(), Source.google, ids.new(), {}, {"newsletter": ["email"]})


def body(**changes):
    return json.dumps({**SENT, **changes}).encode()


class TestParse:
    async def test_reads_person_attribution_and_consent(self):
        [lead] = (await google.parse(body(lead_submit_time="2026-03-03T09:30:00Z"), CONNECTION)).leads

        assert (lead.source, lead.external_id, lead.is_test) == ("google", SENT["lead_id"], True)
        assert (lead.name, lead.email, lead.phone, lead.country) == (
            "Ayşe Yılmaz",
            "ayse@example.com",
            "+905321234567",
            "TR",
        )
        assert (lead.platform, lead.campaign, lead.adset, lead.ad, lead.form) == (
            "google", "123456", "20000000000", "30000000000", "40000000000",
        )  # fmt: skip
        assert lead.click_ids == {"gclid": "Cj0KCQ"}
        assert lead.attributes == {"which_treatment": "diş"}
        assert {each.channel: each.status for each in lead.consents} == {"call": "granted", "email": "denied"}
        assert lead.consents[0].evidence == {
            "question": "consent_to_calls",
            "answer": "Yes",
            "form": "40000000000",
            "lead": SENT["lead_id"],
        }
        assert lead.acquired_at == datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
        assert lead.team_id == CONNECTION.team_id

    async def test_leaves_out_what_no_database_can_store(self):
        columns = [{"column_id": "FULL_NAME", "string_value": "A\x00da"}, {"column_id": "q", "string_value": "\ud800"}]

        [lead] = (await google.parse(body(user_column_data=columns), CONNECTION)).leads

        assert (lead.name, lead.attributes) == ("Ada", {"q": "?"})

    async def test_says_when_it_does_not_know_the_time(self):
        [lead] = (await google.parse(body(), CONNECTION)).leads

        assert lead.acquired_at is None

    async def test_joins_a_name_in_parts(self):
        columns = [
            {"column_id": "FIRST_NAME", "string_value": "Ada"},
            {"column_id": "LAST_NAME", "string_value": "Lovelace"},
        ]

        [lead] = (await google.parse(body(user_column_data=columns), CONNECTION)).leads

        assert lead.name == "Ada Lovelace"

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"[]",
            b"null",
            b"\xff",
            b"{}",
            b'{"lead_id": "1"}',
            body(user_column_data=5),
            body(user_column_data=[5]),
            b"[" * 100000,
        ],
    )
    async def test_refuses_what_is_not_googles(self, sent):
        with pytest.raises(Unusable, match=r"google\.malformed"):
            await google.parse(sent, CONNECTION)
