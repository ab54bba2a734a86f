"""The dashboards in a real browser on the demo month: from turning to a page until all its figures stand there.

Each page is turned to ROUNDS times in one visit: first with nothing kept, then as people go to and fro. Needs Chromium.
Set BENCH_LEADS for another size.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from playwright.async_api import Page, async_playwright

from api import warming
from bench import product, report
from cli import demo
from cli.demo import month
from cli.keeper import free_port
from dashboards import words
from orchestration import publishing, transform

LEADS = int(os.environ.get("BENCH_LEADS", "2500"))
ROUNDS = 3
PAINTED_S = 2.0
READY_S = 15.0
"""So long the API at most makes itself ready, once it begins to; people come to one that stands."""
PAGES = ("company", "funnel", "campaigns", "sla", "experiments", "floor", "service", "people", "compliance",
         "platform_health", "quality", "health")  # fmt: skip
RUNNING = "[data-testid=stSkeleton], [data-stale=true], [data-test-script-state=running]"
STANDS = f"""title => document.querySelector('h1')?.textContent === title && !document.querySelector('{RUNNING}')
  && document.querySelector('[data-testid=stMetricValue], .floor, [data-testid=stAlert]')
  && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(chart => chart.querySelector('svg, canvas'))
  && [...document.querySelectorAll('[data-testid=stDataFrame]')].every(table => table.querySelector('canvas'))"""
"""All is there: under the page's title stand figures, charts and tables are drawn, and nothing is still to come."""


def main() -> None:
    """Print the figures."""
    if shutil.which("chromium") is None:
        report.remark("there is no Chromium: not measured")
        return
    with product.database():
        product.run(month.load(LEADS, until=datetime.now(UTC)))
        built = list(transform.run([*transform.BUILD]))
        publishing.publish_at_hand({node.node_name for node, _ in built})
        with product.api() as api, _dashboards(api) as port:
            time.sleep(warming.AFTER_S + READY_S)
            spent = asyncio.run(_turned(f"http://127.0.0.1:{port}"))
    _report("page painted, first look, s (slowest page)", {page: each[:1] for page, each in spent.items()})
    _report("page painted, again, s (slowest page)", {page: each[1:] for page, each in spent.items()})


def _report(name: str, spent: dict[str, list[float]]) -> None:
    slowest = max(spent, key=lambda page: report.median_of(spent[page]))
    report.figure(name, spent[slowest], PAINTED_S, at_least=False)
    report.remark(", ".join(f"{page} {report.median_of(each):.2f}" for page, each in spent.items()))


@contextmanager
def _dashboards(api: int) -> Iterator[int]:
    """Serve the dashboards of an API; yield their port."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "dashboards/app.py", "--server.headless=true",
               f"--server.port={port}", "--server.address=127.0.0.1", "--server.fileWatcherType=none"]  # fmt: skip
    env = os.environ | {"SANTRAL_API_URL": f"http://127.0.0.1:{api}"}
    served = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        product.wait_for(f"http://127.0.0.1:{port}/_stcore/health", served)
        yield port
    finally:
        served.kill()
        served.wait()


async def _turned(url: str) -> dict[str, list[float]]:
    """Return for each page how many seconds each turning to it took."""
    admin = next(login.email for login in demo.LOGINS if str(login.role) == "admin")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await (await browser.new_context(viewport={"width": 1440, "height": 2200})).new_page()
        await page.goto(f"{url}/experiments")
        await page.locator("input[type=password]").wait_for(timeout=60_000)
        await page.get_by_label(re.compile("^E-posta")).fill(admin)
        await page.locator("input[type=password]").fill(demo.password())
        await page.get_by_role("button", name="Giriş").click()
        await page.get_by_role("heading", level=1, name=words.WORDS["experiments"][0]).wait_for(timeout=60_000)
        spent: dict[str, list[float]] = {key: [] for key in PAGES}
        for _ in range(ROUNDS):
            for key in PAGES:
                spent[key].append(await _turn(page, words.WORDS[key][0]))
        await browser.close()
    return spent


async def _turn(page: Page, title: str) -> float:
    began = time.perf_counter()
    await page.get_by_role("link", name=title, exact=True).click()
    await page.wait_for_function(STANDS, arg=title, polling="raf", timeout=60_000)
    return time.perf_counter() - began
