"""The documentation pages, served without the internet."""

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from tests.dashboards.conftest import browser
from tests.pipeline import parsed

__all__ = ["browser", "parsed"]


class TestDocs:
    async def test_is_a_page_that_needs_nothing_from_elsewhere(self, nobody: httpx.AsyncClient):
        page = await nobody.get("/docs")

        assert page.status_code == 200
        assert "https://" not in page.text
        assert "'self'" in page.headers["content-security-policy"]

    @pytest.mark.parametrize("asset", ["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"])
    async def test_serves_its_parts(self, nobody: httpx.AsyncClient, asset: str):
        answer = await nobody.get(f"/docs/{asset}")

        assert answer.status_code == 200
        assert len(answer.content) > 1000

    async def test_serves_nothing_else(self, nobody: httpx.AsyncClient):
        assert (await nobody.get("/docs/..%2f__init__.py")).status_code in (404, 422)

    @pytest.mark.browser
    async def test_tells_what_figures_are_made_of(self, parsed: Path, nobody: httpx.AsyncClient, browser: Browser):
        answer = await nobody.get("/docs/data")
        manifest = json.loads((parsed / "manifest.json").read_text())
        complaints: list[str] = []
        page = await browser.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.route(
            re.compile(".*"), lambda route: route.fulfill(body=answer.content, headers=dict(answer.headers))
        )

        await page.goto("http://santral/docs/data#!/model/model.santral.fct_lead_cycle")

        node = manifest["nodes"]["model.santral.fct_lead_cycle"]
        await page.get_by_text("received_on").first.wait_for(timeout=40_000)
        assert node["description"].split(".")[0] in re.sub(r"\s+", " ", await page.inner_text("body"))
        assert complaints == []
