"""Metrics and campaigns over HTTP."""

import httpx

from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, build, parsed

__all__ = ["build", "parsed"]

ODD = {"dim": "platform", "values": ["x"]}
REFUSED: list[tuple[dict[str, object], str, str, str]] = [
    ({"metrics": ["convertion_rate"]}, "kpi.unknown", "metrics", "did you mean conversion_rate"),
    ({"metrics": ["x"]}, "kpi.unknown", "metrics", "GET /kpis"),
    ({"metrics": []}, "invalid", "metrics", "field_errors"),
    ({"by": ["nonsense"]}, "kpi.unknown", "by", "it has ad, "),
    ({"by": ["platform"] * 9}, "invalid", "by", "field_errors"),
    ({"filters": [{**ODD, "dim": "nonsense"}]}, "kpi.unknown", "filters", "it has ad, "),
    ({"filters": [{**ODD, "op": "gt"}]}, "kpi.bad-filter", "filters", "no order"),
    ({"filters": [{**ODD, "op": "is_null"}]}, "kpi.bad-filter", "filters", "takes no values"),
    ({"filters": [{**ODD, "op": "like"}]}, "invalid", "filters.0.op", "field_errors"),
    ({"from": "2026-03-02", "to": "2026-03-02"}, "invalid", "to", "first day no longer meant"),
    ({"from": "yesterday"}, "invalid", "from", "field_errors"),
    ({"order": [{"name": "platform"}]}, "kpi.unknown", "order", "it has conversion_rate"),
    ({"definitions": {"cpl": "0" * 16}}, "kpi.unknown", "definitions", "not asked for"),
    ({"limit": 0}, "invalid", "limit", "field_errors"),
    ({"sql": "select 1"}, "invalid", "sql", "field_errors"),
]
"""Questions, the refusal's code, the field at fault, and what its sentence says."""


class TestQuery:
    async def test_gives_what_the_metrics_say(self, build: Build, tenant: Tenant, admin: httpx.AsyncClient) -> None:
        question = {
            "metrics": ["funnel_reached"],
            "by": ["platform"],
            "filters": [{"dim": "platform", "values": ["meta"]}],
        }
        unpublished = (await admin.post("/kpis/query", json=question)).json()
        assert (unpublished["rows"], unpublished["as_of"]) == ([], None)
        await golden.play(tenant)
        await build("--select", "tag:leads", "--indirect-selection", "cautious")

        answer = (await admin.post("/kpis/query", json=question)).json()

        assert {row["stage"]: row["funnel_reached"] for row in answer["rows"]} == golden.FUNNEL["meta"]
        assert answer["freshness_s"] >= 0
        assert len(answer["definition"]) == 16
        dated = {"metrics": ["conversion_rate"], "grain": "day", "from": "2026-03-02", "to": "2026-03-03"}
        (day,) = (await admin.post("/kpis/query", json=dated)).json()["rows"]
        assert (day["metric_time"], day["is_mature"]) == ("2026-03-02", True)

    async def test_refuses_what_it_cannot_answer(self, parsed: object, admin: httpx.AsyncClient) -> None:
        for question, code, field, word in REFUSED:
            answer = await admin.post("/kpis/query", json={"metrics": ["conversion_rate"], **question})

            problem = answer.json()
            assert (answer.status_code, problem["code"], list(problem["field_errors"])) == (422, code, [field])
            assert word in problem["message"]

    async def test_lists_the_catalogue(self, parsed: object, admin: httpx.AsyncClient) -> None:
        names = [item["name"] for item in (await admin.get("/kpis")).json()["items"]]

        assert {"funnel_reached", "speed_to_lead_s", "conversion_rate"} <= set(names)


class TestCampaigns:
    async def test_are_made_known_once_changed_and_paged(
        self, admin: httpx.AsyncClient, agent: httpx.AsyncClient
    ) -> None:
        made = await admin.post("/campaigns", json={"platform": "meta", "external_id": "1", "name": "Saç Ekimi"})
        again = await admin.post("/campaigns", json={"platform": "meta", "external_id": "1", "name": "Other"})
        await admin.post("/campaigns", json={"platform": "google", "external_id": "1", "name": "Dental"})

        assert (made.status_code, again.status_code) == (201, 409)
        path = f"/campaigns/{made.json()['id']}"
        changed = await admin.patch(path, json={"status": "paused"})
        assert (changed.json()["status"], changed.json()["name"]) == ("paused", "Saç Ekimi")
        first = (await admin.get("/campaigns", params={"limit": 1})).json()
        second = (await admin.get("/campaigns", params={"limit": 1, "cursor": first["next_cursor"]})).json()
        assert [first["items"][0]["name"], second["items"][0]["name"]] == ["Dental", "Saç Ekimi"]
        assert second["next_cursor"] is None
        only = (await admin.get("/campaigns", params={"platform": "meta"})).json()["items"]
        assert [item["external_id"] for item in only] == ["1"]
        assert (await agent.patch(path, json={"status": "ended"})).status_code == 403
