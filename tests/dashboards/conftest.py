"""The dashboards as people meet them: a real API, a real Streamlit, a real Chromium."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright

from cli import home
from cli.keeper import free_port
from tests.pipeline import build, parsed

__all__ = ["build", "parsed"]

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def serving(command: list[str], env: dict[str, str], health: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it answers its health check before the block begins."""
    with open(log, "ab") as out:
        child = subprocess.Popen([sys.executable, *command], env=env, stdout=out, stderr=out, cwd=home.CHECKOUT)
        try:
            deadline = time.monotonic() + 90
            while True:
                try:
                    if httpx.get(health, timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                assert child.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, f"{health} does not answer: {log.read_text()[-3000:]}"
                time.sleep(0.3)
            yield child
        finally:
            child.kill()
            child.wait()


@dataclass
class Screens:
    """The addresses of both servers; `api` can be killed."""

    url: str
    api_url: str
    api: subprocess.Popen[bytes]


@pytest.fixture
def screens(database: str, tmp_path: Path) -> Iterator[Screens]:
    """Serve the API and the dashboards on this test's database."""
    api, page = free_port(), free_port()
    api_url = f"http://127.0.0.1:{api}"
    env = dict(os.environ) | {"SANTRAL_API_PORT": str(api), "SANTRAL_API_URL": api_url}
    streamlit = ["-m", "streamlit", "run", "dashboards/app.py", "--server.headless=true", f"--server.port={page}"]
    streamlit += ["--server.address=127.0.0.1", "--server.fileWatcherType=none"]
    with ExitStack() as stack:
        process = stack.enter_context(serving(["-m", "api"], env, f"{api_url}/readyz", tmp_path / "api.log"))
        url = f"http://127.0.0.1:{page}"
        stack.enter_context(serving(streamlit, env, f"{url}/_stcore/health", tmp_path / "streamlit.log"))
        yield Screens(url, api_url, process)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; without one the test is skipped."""
    where = shutil.which("chromium")
    if where is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=where, args=QUIET)
        yield opened
        await opened.close()


@dataclass
class Visit:
    """One person's visit: the page, what it complained of, and everything the server sent to it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    async def open(self, url: str) -> None:
        """Go to an address and wait for the sign-in."""
        await self.page.goto(url)
        await self.page.locator("input[type=password]").wait_for(timeout=90_000)

    async def sign_in(self, email: str, password: str) -> None:
        """Fill in the form and send it."""
        await self.page.get_by_label(re.compile("^(E-posta|E-mail)")).fill(email)
        await self.page.locator("input[type=password]").fill(password)
        await self.page.get_by_role("button", name=re.compile("^(Giriş|Sign in)$")).click()

    def text(self, words: str | re.Pattern[str]) -> Locator:
        """Return the first visible thing that says exactly this."""
        return self.page.get_by_text(words, exact=True).locator("visible=true").first

    async def shows(self, words: str | re.Pattern[str]) -> None:
        """Wait until the page says this."""
        await self.text(words).wait_for(timeout=90_000)

    async def tile(self, label: str) -> str:
        """Return the value of a head-line figure."""
        tile = self.page.get_by_test_id("stMetric").filter(has_text=label).first
        await tile.wait_for(timeout=90_000)
        return (await tile.get_by_test_id("stMetricValue").inner_text()).strip()

    def received(self) -> bytes:
        """Return everything the server has sent."""
        return b"".join(self.sent)


@pytest.fixture
async def visit(browser: Browser) -> Visit:
    """A visit at a desk, tall enough to show the whole page."""
    context = await browser.new_context(viewport={"width": 1440, "height": 2800}, locale="tr-TR")
    made = Visit(await context.new_page())

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error":
            made.complaints.append(message.text)

    def keep(frame: str | bytes) -> None:
        made.sent.append(frame if isinstance(frame, bytes) else frame.encode())

    made.page.on("console", complain)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    made.page.on("requestfailed", lambda request: made.complaints.append(f"failed: {request.url}"))
    made.page.on("websocket", lambda socket: socket.on("framereceived", keep))
    return made
