"""The pages in a real browser: they show what the API says, no more and no less, and lead down to one lead."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cli import demo
from cli.demo import month
from cli.demo.market import Market
from dashboards import words
from tests.dashboards import walk
from tests.dashboards.conftest import Screens, Visit
from tests.pipeline import Build

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LEADS, SEED = 150, 3
LOGIN = {str(login.role): login.email for login in demo.LOGINS}


class Api:
    """What the API answers an account."""

    def __init__(self, url: str, email: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        answer = self._http.post("/auth/login", json={"email": email, "password": demo.password()}).json()
        self._http.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def kpis(self, *metrics: str, **question: Any) -> list[dict[str, Any]]:
        """Return the rows of a question about the thirty days up to today, as the page asks."""
        today = datetime.now(words.ZONE).date()
        days = {"from": (today - timedelta(days=29)).isoformat(), "to": (today + timedelta(days=1)).isoformat()}
        return self._http.post("/kpis/query", json={"metrics": metrics, **days, **question}).json()["rows"]

    def funnel(self, **question: Any) -> dict[str, int]:
        """Return how many cycles reached each stage."""
        rows = self.kpis("funnel_reached", **question)
        return {row["stage"]: row["funnel_reached"] for row in rows}

    def leads(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return a page of leads."""
        return self._http.get("/leads", params=wanted).json()["items"]


def turkish(value: float, digits: int = 0) -> str:
    """Return a number as a Turkish reader writes it, by hand rather than by the code under test."""
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


@pytest.fixture
async def people() -> Market:
    """The month in the database, and who its leads are."""
    until = datetime.now(UTC)
    await month.load(LEADS, days=10, seed=SEED, until=until)
    return Market(leads=LEADS, since=until - timedelta(days=10), until=until, seed=SEED)


class TestFunnel:
    async def test_shows_what_the_api_says_down_to_a_timeline(
        self, database: str, people: Market, build: Build, screens: Screens, visit: Visit
    ) -> None:
        await build()
        api = await asyncio.to_thread(Api, screens.api_url, LOGIN["admin"])
        funnel, (rates,) = api.funnel(), api.kpis("conversion_rate")
        (speed,) = api.kpis("speed_to_lead_s")

        await visit.open(screens.url)
        await visit.sign_in(LOGIN["admin"], demo.password())

        await self._overview(visit, funnel)
        await walk.walk(visit)
        await visit.page.set_viewport_size({"width": 1440, "height": 2800})
        await walk.go_to(visit, "funnel")
        assert await visit.tile("Gelen lead") == turkish(funnel["lead"])
        assert await visit.tile("Satışa dönen lead") == turkish(funnel["sale"])
        assert await visit.tile("Satışa dönüşüm oranı") == f"%{turkish(100 * rates['conversion_rate'], 1)}"
        assert await visit.tile("Beş dakika içinde aranan") == f"%{turkish(100 * speed['speed_to_lead_s_share_5m'], 1)}"
        await visit.shows("geçici")
        for stage in ("contacted", "qualified", "proposal", "sale"):
            # The charts are drawings: what they say is read from their marks.
            count = re.compile(f"^{re.escape(turkish(funnel[stage]))}$")
            await visit.page.locator("svg text").filter(has_text=count).first.wait_for()

        await self._drill_down(visit, api)
        self._keeps_to_itself(visit, people, await visit.page.content())
        assert visit.complaints == []

    @staticmethod
    async def _overview(visit: Visit, funnel: dict[str, int]) -> None:
        """The overview shows the same figures, and opens the leads behind one."""
        assert await walk.shown(visit, "funnel_reached.lead") == turkish(funnel["lead"])
        assert await walk.shown(visit, "funnel_reached.sale") == turkish(funnel["sale"])
        assert "geçici" in await walk.tile(visit, "conversion_rate").inner_text()
        await visit.page.get_by_role("button", name="Arkasındakileri göster: Gelen lead").click()
        await visit.page.get_by_role("dialog").get_by_test_id("stDataFrame").wait_for(timeout=40_000)
        await visit.page.keyboard.press("Escape")
        await visit.page.get_by_role("dialog").wait_for(state="hidden")

    async def _drill_down(self, visit: Visit, api: Api) -> None:
        newest = api.leads(limit=1, is_test=False)[0]
        table = visit.page.get_by_test_id("stDataFrame").last
        await table.scroll_into_view_if_needed()
        place = await table.bounding_box()
        assert place
        await visit.page.mouse.click(place["x"] + 17, place["y"] + 35 + 17)
        await visit.page.get_by_role("heading", name=newest["contact"]["name"]).wait_for(timeout=40_000)
        await visit.shows(newest["status"]["label"])
        await visit.shows("Lead geldi")

    @staticmethod
    def _keeps_to_itself(visit: Visit, people: Market, content: str) -> None:
        """Neither the page nor anything sent to it holds a phone number or an address of a lead."""
        said = visit.received() + content.encode()
        assert "••• ••• ••".encode() in visit.received(), "the masks came this way, so would the numbers"
        for arrival in people.arrivals:
            assert arrival.person.phone.encode()[3:] not in said
            assert arrival.person.email.encode() not in said

    async def test_a_filter_narrows_everything_and_lives_in_the_address(
        self, database: str, people: Market, build: Build, screens: Screens, visit: Visit
    ) -> None:
        await build()
        api = await asyncio.to_thread(Api, screens.api_url, LOGIN["analyst"])
        of_meta = api.funnel(filters=[{"dim": "platform", "values": ["meta"]}])

        await visit.open(f"{screens.url}/?lang=English&platform=Meta")
        await visit.sign_in(LOGIN["analyst"], demo.password())
        assert await visit.tile("Leads received") == f"{of_meta['lead']:,}"
        assert "platform=Meta" in visit.page.url
        await visit.page.get_by_text("Türkçe", exact=True).click()
        await visit.shows("Genel bakış")
        assert await visit.tile("Gelen lead") == turkish(of_meta["lead"])
        await visit.page.get_by_role("link", name="Satış hunisi").click()
        await visit.shows("Rolünüz sayıları görür, kişileri değil; lead listesi bu nedenle kapalı.")
        assert visit.complaints == []


class TestStates:
    async def test_says_plainly_what_is_missing(
        self, database: str, people: Market, screens: Screens, visit: Visit
    ) -> None:
        await visit.open(screens.url)
        await visit.sign_in(LOGIN["admin"], "not the password")
        await visit.page.get_by_test_id("stAlert").wait_for(timeout=40_000)
        await visit.sign_in(LOGIN["admin"], demo.password())
        await visit.shows(re.compile("Rakamlar henüz hazır değil"))
        await visit.page.get_by_role("button", name="Çıkış").click()
        await visit.page.locator("input[type=password]").wait_for(timeout=40_000)
        await visit.sign_in(LOGIN["sales_agent"], demo.password())
        await visit.shows(re.compile("Bu sayfa rolünüze açık değil"))
        await visit.page.get_by_role("link", name="API sağlığı").click()
        assert await visit.tile("İstek") != "0"
        screens.api.kill()
        screens.api.wait()
        await visit.page.get_by_role("link", name="Santral", exact=True).click()
        await visit.shows(re.compile("API yanıt vermiyor"))
