"""Metrics and campaigns over HTTP."""

import httpx

from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, build, parsed

__all__ = ["build", "parsed"]


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

    async def test_refuses_what_it_does_not_know(self, parsed: object, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/kpis/query", json={"metrics": ["nonsense"]})

        assert answer.status_code == 422
        assert answer.json()["code"] == "kpi.unknown"

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
