"""Meta's leads, fetched by Meta's own library from a Graph API on loopback."""

import json
import logging
import socket
from datetime import UTC, datetime

import httpx
import pytest

from crm import ids
from crm.inbox.connections import Connection, Source
from crm.inbox.reading import NotNow, Reading, Unusable
from crm.settings import settings
from ingestion.sources import meta

SECRETS = {"app_secret": "meta-app-secret", "verify_token": "meta-verify-token", "access_token": "meta-access-token"}
CONNECTION = Connection(ids.new(), ids.new(), Source.meta, None, SECRETS, {"box_1": ["call", "sms"]})
FIELDS = {
    "full_name": "Ayşe Yılmaz",
    "email": "ayse@example.com",
    "phone_number": "+905321234567",
    "which_treatment": "diş",
    "street_address": "İstiklal 1",
}


def message(*lead_ids):
    changes = [{"field": "leadgen", "value": {"leadgen_id": each, "page_id": "1", "form_id": "9"}} for each in lead_ids]
    return json.dumps({"object": "page", "entry": [{"id": "1", "time": 1, "changes": changes}]}).encode()


class TestParse:
    async def test_reads_person_attribution_and_consent(self, graph):
        boxes = [
            {"checkbox_key": "box_1", "is_checked": "1"},
            {"checkbox_key": "email_news", "is_checked": "0"},
            {"checkbox_key": "privacy", "is_checked": "1"},
        ]
        lead_id = graph.put(
            FIELDS, at=datetime(2026, 3, 3, 9, 30, tzinfo=UTC), ad_id="11", adset_id="22", campaign_id="33",
            form_id="9", is_organic=False, platform="ig", custom_disclaimer_responses=boxes,
        )  # fmt: skip

        [lead] = (await meta.parse(message(lead_id), CONNECTION)).leads

        assert (lead.source, lead.external_id, lead.is_test) == ("meta", lead_id, False)
        assert (lead.name, lead.email, lead.phone) == ("Ayşe Yılmaz", "ayse@example.com", "+905321234567")
        assert (lead.platform, lead.campaign, lead.adset, lead.ad, lead.form) == ("meta", "33", "22", "11", "9")
        assert lead.attributes == {"which_treatment": "diş", "publisher": "ig", "box_privacy": "1", "page": "1"}
        assert {each.channel: each.status for each in lead.consents} == {
            "call": "granted", "sms": "granted", "email": "denied",
        }  # fmt: skip
        assert lead.consents[0].evidence == {
            "question": "box_1", "answer": "1", "form": "9", "lead": lead_id, "given_at": "2026-03-03T09:30:00+0000",
            "asked_in": "custom_disclaimer_responses",
        }  # fmt: skip
        assert lead.consents[0].shown == lead.consents[0].evidence
        assert lead.acquired_at == datetime(2026, 3, 3, 9, 30, tzinfo=UTC)

    async def test_an_organic_lead_has_no_campaign(self, graph):
        [lead] = (await meta.parse(message(graph.put(FIELDS, is_organic=True)), CONNECTION)).leads

        assert (lead.campaign, lead.ad, lead.form) == (None, None, "9")
        assert lead.attributes["is_organic"] == "true"

    async def test_knows_the_leads_of_the_testing_tool(self, graph):
        dummy = {name: f"<test lead: dummy data for {name}>" for name in ("full_name", "phone_number")}

        [lead] = (await meta.parse(message(graph.put({**dummy, "email": "test@fb.com"})), CONNECTION)).leads

        assert (lead.is_test, lead.name, lead.phone) == (True, "", "")

    async def test_divides_a_message_that_names_several(self, graph):
        wanted = [graph.put(FIELDS), graph.put(FIELDS)]

        whole = await meta.parse(message(*wanted), CONNECTION)
        parts = [await meta.parse(part, CONNECTION) for part in whole.parts]

        assert whole.leads == ()
        assert [lead.external_id for part in parts for lead in part.leads] == wanted

    async def test_keeps_what_it_fetched_and_does_not_ask_twice(self, graph):
        lead_id = graph.put(FIELDS, campaign_id="33", campaign_name="İmplant 2026", ad_name="Ad A", adset_name="Set A")

        first = await meta.parse(message(lead_id), CONNECTION)
        again = await meta.parse(first.body, CONNECTION)

        assert graph.asked == 1
        assert json.loads(first.body)["lead"]["field_data"] == graph.leads[lead_id]["field_data"]
        assert (list(again.leads), again.body) == (list(first.leads), None)
        assert first.campaigns == again.campaigns == {"33": "İmplant 2026"}
        assert first.leads[0].attributes.items() >= {"ad_name": "Ad A", "adset_name": "Set A", "page": "1"}.items()

    async def test_keyword_and_place_come_from_hidden_fields(self, graph):
        hidden = {"utm_term": "diş implantı", "utm_geo": "Kadıköy", "utm_source": "ig", "country": "TR"}

        [lead] = (await meta.parse(message(graph.put(FIELDS | hidden)), CONNECTION)).leads
        [plain] = (await meta.parse(message(graph.put(FIELDS | {"country": "de"})), CONNECTION)).leads

        assert (lead.keyword, lead.geography, lead.attributes["utm_source"]) == ("diş implantı", "Kadıköy", "ig")
        assert (plain.keyword, plain.geography) == (None, "DE")

    async def test_passes_over_what_is_no_lead(self, graph):
        other = {"object": "page", "entry": [{"id": "1", "changes": [{"field": "feed", "value": {"item": "post"}}]}]}

        assert await meta.parse(json.dumps(other).encode(), CONNECTION) == Reading()
        assert graph.asked == 0

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"[]",
            b"null",
            b"\xff",
            b"{}",
            b'{"object":"user","entry":[]}',
            b'{"object":"page"}',
            message("abc"),
            message("../me"),
        ],
    )
    async def test_refuses_what_is_not_metas(self, sent):
        with pytest.raises(Unusable, match=r"meta\.malformed"):
            await meta.parse(sent, CONNECTION)


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "code", "kind", "reason"),
        [
            (500, 2, NotNow, "meta.busy"),
            (400, 4, NotNow, "meta.limited"),
            (400, 80005, NotNow, "meta.limited"),
            (400, 368, NotNow, "meta.busy"),
            (503, 0, NotNow, "meta.busy"),
            (401, 190, NotNow, "meta.token"),
            (400, 100, Unusable, "meta.refused_100"),
            (403, 200, Unusable, "meta.refused_200"),
        ],
    )
    async def test_tells_what_passes_from_what_does_not(self, graph, status, code, kind, reason):
        lead_id = graph.put(FIELDS)
        graph.refuse_with = (status, code)

        with pytest.raises(kind) as refusal:
            await meta.parse(message(lead_id), CONNECTION)

        assert refusal.value.reason == reason

    async def test_a_lead_that_is_gone_is_not_asked_for_again(self, graph):
        with pytest.raises(Unusable):
            await meta.parse(message("1"), CONNECTION)

    async def test_a_wrong_token_waits_for_a_new_one(self, graph):
        graph.access_token = "another"

        with pytest.raises(NotNow, match=r"meta\.token"):
            await meta.parse(message(graph.put(FIELDS)), CONNECTION)

    async def test_nobody_there_is_no_reason_to_say_where(self, monkeypatch, caplog):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setenv("SANTRAL_GRAPH_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
            settings.cache_clear()
            with caplog.at_level(logging.INFO), pytest.raises(NotNow) as refusal:
                await meta.parse(message("1"), CONNECTION)
        settings.cache_clear()

        assert refusal.value.reason == "meta.unreachable"
        assert refusal.value.__cause__ is None
        assert SECRETS["access_token"] not in str(refusal.value) + caplog.text


class TestLoopback:
    async def test_takes_leads_as_graph_takes_test_leads(self, graph):
        form = {
            "access_token": SECRETS["access_token"],
            "field_data": json.dumps([{"name": "email", "values": ["a@example.com"]}]),
            "lead": json.dumps({"campaign_id": "33"}),
        }
        async with httpx.AsyncClient() as client:
            stored = await client.post(f"{settings().graph_url}/v26.0/9/test_leads", data=form)

        [lead] = (await meta.parse(message(stored.json()["id"]), CONNECTION)).leads

        assert (lead.email, lead.campaign, lead.form) == ("a@example.com", "33", "9")
