"""The documentation page, served without the internet."""

import httpx
import pytest


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
