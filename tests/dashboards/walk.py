"""Walking all pages in one visit: each figure is the API's, read out well, no page wider than the screen."""

import asyncio
import re
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator

from dashboards import boards, own_words, words
from dashboards.layout import Board, Table
from tests.dashboards.conftest import Visit
from tests.dashboards.told import Api, Filters

BOARDS = (
    boards.COMPANY, boards.FUNNEL, boards.CAMPAIGNS, boards.RESPONSE, boards.QUEUES, boards.AGENTS, boards.COMPLIANCE,
    boards.PLATFORM, boards.QUALITY,
)  # fmt: skip
OTHERS = ("experiments", "floor", "health")
DESK, TABLET = {"width": 1440, "height": 2600}, {"width": 900, "height": 2600}
NAMES = "[...document.querySelectorAll('[aria-label]')].map(each => each.ariaLabel)"
ENGLISH = re.compile("|".join([*(f"{re.escape(text)}(:|$)" for text in own_words.OWN), *own_words.AROUND]))
RUNNING = "[data-testid=stStatusWidget], [data-stale=true], [data-test-script-state=running]"


async def settled(visit: Visit) -> None:
    """Wait until the page has drawn what it had to draw."""
    await visit.page.wait_for_function(f"!document.querySelector('{RUNNING}')", timeout=90_000)


async def go_to(visit: Visit, key: str) -> None:
    """Follow a link of the sidebar."""
    name = words.WORDS[key][0]
    await visit.page.get_by_role("link", name=name, exact=True).click()
    await visit.page.get_by_role("heading", name=name, exact=True, level=1).wait_for(timeout=90_000)
    await settled(visit)


def tile(visit: Visit, name: str) -> Locator:
    """Return the place of a figure; more is written behind its name when it is not final or not there."""
    key = f"st-key-tile-{name.replace('.', '-')}"
    return visit.page.locator(f".{key}, .{key}-provisional, .{key}-absent").first


async def shown(visit: Visit, name: str) -> str:
    """Return the value that stands in the place of a figure."""
    value = tile(visit, name).get_by_test_id("stMetricValue")
    return (await value.inner_text(timeout=90_000)).strip()


async def is_told(visit: Visit, api: Api, board: Board, filters: Filters) -> None:
    """Every figure and every table of a page says what the API answers; where there is no figure stands why."""
    told = await asyncio.to_thread(api.tiles, board, filters)
    seen = {name: await shown(visit, name) for name in told}
    wrong = {name: (seen[name], told[name]) for name in told if seen[name] != told[name]}
    assert wrong == {}, (board.key, wrong)
    for name in (name for name, text in told.items() if text == "–"):
        why = tile(visit, name).get_by_test_id("stMetricDelta")
        assert (await why.inner_text(timeout=90_000)).strip(), name
    for part in board.parts:
        if isinstance(part, Table):
            await _table_is_told(visit, api, part, filters)


async def _table_is_told(visit: Visit, api: Api, part: Table, filters: Filters) -> None:
    told = await asyncio.to_thread(api.table, part, filters)
    heading = visit.page.get_by_role("heading", name=words.WORDS[part.title][0], exact=True, level=2)
    around = visit.page.get_by_test_id("stVerticalBlock").filter(has=heading).last
    if not told:
        assert await around.get_by_test_id("stDataFrame").count() == 0, part.title
        return
    seen = await _cells(around.get_by_test_id("stDataFrame"))
    columns = len(seen[0])  # those that there is room for; the rest is to be scrolled to
    wrong = set(seen) - {each[:columns] for each in told}
    assert wrong == set(), (part.title, wrong, told)


async def _cells(table: Locator) -> list[tuple[str, ...]]:
    """Return the cells of a table, which is a drawing, from what it tells who cannot see it; without the names."""
    rows = table.locator("table tr")
    await rows.nth(1).wait_for(state="attached", timeout=90_000)
    texts: list[list[str]] = await rows.evaluate_all("all => all.map(row => [...row.children].map(c => c.textContent))")
    return [tuple(text.strip().removeprefix("◌ ") for text in row[1:]) for row in texts[1:]]


async def flaws(visit: Visit) -> list[str]:
    """Return whatever axe finds, each with the first place where it does."""
    found = (await Axe().run(visit.page)).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


async def walk(visit: Visit, api: Api, filters: Filters) -> None:
    """Look at every page at a desk and on a tablet: figures, reading aloud, width."""
    for board in BOARDS:
        await visit.page.set_viewport_size(DESK)
        await go_to(visit, board.key)
        has_all = {dim: values for dim, values in filters.items() if dim in board.dims}
        await is_told(visit, api, board, has_all)
        await reads_well(visit, board.key)
    for key in OTHERS:
        await visit.page.set_viewport_size(DESK)
        await go_to(visit, key)
        await reads_well(visit, key)
    await is_sorted(visit)  # the last page lists how long the API took


async def is_sorted(visit: Visit) -> None:
    """A click above a column sorts by values, not by how they are written."""
    await visit.page.set_viewport_size(DESK)
    table = visit.page.get_by_test_id("stDataFrame").first
    await table.locator("table th").nth(5).wait_for(state="attached", timeout=90_000)  # there is room for all again
    await settled(visit)
    place = await table.bounding_box()
    assert place
    await visit.page.mouse.click(place["x"] + place["width"] - 60, place["y"] + 17)
    deadline = asyncio.get_running_loop().time() + 60
    while (values := await _last_column(table)) != sorted(values):
        assert asyncio.get_running_loop().time() < deadline, values
        await asyncio.sleep(0.3)
    assert len(set(values)) > 2


async def _last_column(table: Locator) -> list[float]:
    return [float(row[-1].replace(".", "").replace(",", ".")) for row in await _cells(table)]


async def reads_well(visit: Visit, key: str) -> None:
    """Axe finds nothing, and a tablet shows the page without moving it sideways."""
    assert await flaws(visit) == [], key
    assert await visit.page.evaluate("document.documentElement.lang") == "tr", key
    assert [name for name in await visit.page.evaluate(NAMES) if ENGLISH.match(name)] == [], key
    await visit.page.set_viewport_size(TABLET)
    assert await too_wide(visit) <= 0, key


async def too_wide(visit: Visit) -> Any:
    """Return by how much the page is wider than the screen."""
    return await visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
