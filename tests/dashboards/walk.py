"""Walking all pages of figures in one visit: each figure in its place, read out well, no wider than the screen."""

from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator

from dashboards import boards, words
from dashboards.layout import Board, Tiles
from tests.dashboards.conftest import Visit

BOARDS = (
    boards.COMPANY, boards.FUNNEL, boards.CAMPAIGNS, boards.RESPONSE, boards.QUEUES, boards.AGENTS, boards.COMPLIANCE,
    boards.PLATFORM,
)  # fmt: skip
DESK, TABLET = {"width": 1440, "height": 2200}, {"width": 900, "height": 2600}


async def settled(visit: Visit) -> None:
    """Wait until the page has drawn what it had to draw."""
    await visit.page.get_by_test_id("stMetric").first.wait_for(timeout=40_000)
    await visit.page.wait_for_function(
        "!document.querySelector('[data-testid=stStatusWidget],[data-stale=true]')", timeout=40_000
    )


async def go_to(visit: Visit, key: str) -> None:
    """Follow a link of the sidebar."""
    name = words.WORDS[key][0]
    await visit.page.get_by_role("link", name=name, exact=True).click()
    await visit.page.get_by_role("heading", name=name, exact=True).wait_for(timeout=40_000)
    await settled(visit)


def tile(visit: Visit, name: str) -> Locator:
    """Return the place of a figure; more is written behind its name when it is not final or not there."""
    return visit.page.locator(f"[class*='st-key-tile-{name.replace('.', '-')}']").first


async def shown(visit: Visit, name: str) -> str:
    """Return the value that stands in the place of a figure."""
    value = tile(visit, name).get_by_test_id("stMetricValue")
    return (await value.inner_text(timeout=40_000)).strip()


async def grave(visit: Visit) -> list[str]:
    """Return what axe finds serious or worse, each with the first place where it does."""
    found = (await Axe().run(visit.page)).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
    ]


async def walk(visit: Visit) -> None:
    """Look at every page at a desk and on a tablet."""
    for board in BOARDS:
        await visit.page.set_viewport_size(DESK)
        await go_to(visit, board.key)
        await all_have_a_place(visit, board)
        assert await grave(visit) == [], board.key
        await visit.page.set_viewport_size(TABLET)
        assert await too_wide(visit) <= 0, board.key


async def all_have_a_place(visit: Visit, board: Board) -> None:
    """Every figure stands in its place: with a value, or with the reason why there is none."""
    for name in (name for part in board.parts if isinstance(part, Tiles) for name in part.names):
        if await shown(visit, name) == "–":
            why = tile(visit, name).get_by_test_id("stMetricDelta")
            assert (await why.inner_text(timeout=40_000)).strip(), name


async def too_wide(visit: Visit) -> Any:
    """Return by how much the page is wider than the screen."""
    return await visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
