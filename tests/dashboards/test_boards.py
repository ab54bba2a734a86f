"""The pages of figures in a real browser, walked in one visit: what they show is what the API says, read out too."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator

from cli import demo
from cli.demo import month
from dashboards import boards
from dashboards.layout import Board, Tiles
from tests.dashboards.conftest import Screens, Visit
from tests.dashboards.test_pages import LOGIN, Api, turkish
from tests.pipeline import Build

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LEADS, SEED = 150, 3
PATHS = {
    "": boards.COMPANY,
    "campaigns": boards.CAMPAIGNS,
    "sla": boards.RESPONSE,
    "queues": boards.QUEUES,
    "agents": boards.AGENTS,
    "compliance": boards.COMPLIANCE,
}
DESK, TABLET = {"width": 1440, "height": 2200}, {"width": 900, "height": 2600}


def percent(value: float) -> str:
    return f"%{turkish(100 * value, 1)}"


async def settled(visit: Visit) -> None:
    """Wait until the page has drawn what it had to draw."""
    await visit.page.get_by_test_id("stMetric").first.wait_for(timeout=40_000)
    await visit.page.wait_for_function(
        "!document.querySelector('[data-testid=stStatusWidget],[data-stale=true]')", timeout=40_000
    )


async def go_to(visit: Visit, path: str) -> None:
    """Follow a link of the sidebar."""
    await visit.page.locator(f"[data-testid=stSidebarNavLink][href$='/{path}']").click()
    await settled(visit)


def tile(visit: Visit, name: str) -> Locator:
    """Return the place of a figure; more is written behind its name when it is not final or not there."""
    return visit.page.locator(f"[class*='st-key-tile-{name.replace('.', '-')}']").first


async def shown(visit: Visit, name: str) -> str:
    value = tile(visit, name).get_by_test_id("stMetricValue")
    return (await value.inner_text(timeout=40_000)).strip()


async def grave(visit: Visit) -> list[str]:
    """Return what axe finds serious or worse, each with the first place where it does."""
    found = (await Axe().run(visit.page)).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
    ]


class TestBoards:
    async def test_show_what_the_api_says_on_every_page(
        self, database: str, build: Build, screens: Screens, visit: Visit
    ) -> None:
        await month.load(LEADS, days=10, seed=SEED, until=datetime.now(UTC))
        await build()
        api = await asyncio.to_thread(Api, screens.api_url, LOGIN["admin"])
        await visit.page.set_viewport_size(DESK)

        await visit.open(screens.url)
        await visit.sign_in(LOGIN["admin"], demo.password())

        await settled(visit)
        await self._figures_are_the_apis(visit, api)
        for path, board in PATHS.items():
            await visit.page.set_viewport_size(DESK)
            await go_to(visit, path)
            await self._all_have_a_place(visit, board)
            assert await grave(visit) == [], path
            await visit.page.set_viewport_size(TABLET)
            assert await self._too_wide(visit) <= 0, path
        assert visit.complaints == []

    @staticmethod
    async def _figures_are_the_apis(visit: Visit, api: Api) -> None:
        funnel, [rates], [speed] = api.funnel(), api.kpis("conversion_rate"), api.kpis("speed_to_lead_s")

        assert await shown(visit, "funnel_reached.lead") == turkish(funnel["lead"])
        assert await shown(visit, "funnel_reached.sale") == turkish(funnel["sale"])
        assert await shown(visit, "conversion_rate") == percent(rates["conversion_rate"])
        assert await shown(visit, "speed_to_lead_s_share_5m") == percent(speed["speed_to_lead_s_share_5m"])
        assert "geçici" in await tile(visit, "conversion_rate").inner_text()

    @staticmethod
    async def _all_have_a_place(visit: Visit, board: Board) -> None:
        """Every figure stands in its place: with a value, or with the reason why there is none."""
        for name in (name for part in board.parts if isinstance(part, Tiles) for name in part.names):
            said = await tile(visit, name).inner_text(timeout=40_000)
            assert await shown(visit, name) != "–" or len(said.splitlines()) > 2, said

    @staticmethod
    async def _too_wide(visit: Visit) -> Any:
        """Return by how much the page is wider than the screen."""
        return await visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
