"""The floor in a real browser: queues, agents, campaigns and the day as the API tells them, while calls come and go."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator

from cli import demo
from dashboards import words
from tests.conftest import Tenant
from tests.dashboards.conftest import Screens, Visit
from tests.dashboards.floor import SPENT, let_in, lively

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


class Door:
    """The API, as one of the firm's people."""

    def __init__(self, url: str, role: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=30)
        self._who = {"email": f"{role}@acme.example", "password": demo.password()}

    async def ask(self, path: str, method: str = "GET", **more: Any) -> Any:
        """Return what is answered."""
        if "Authorization" not in self._http.headers:
            token = (await self._http.post("/auth/login", json=self._who)).json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        answer = await self._http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json()

    async def queue(self, code: str) -> dict[str, Any]:
        """Return a queue's line of the board."""
        return next(line for line in (await self.ask("/queue/board"))["queues"] if line["code"] == code)


async def agrees(shown: Callable[[], Awaitable[Any]], told: Callable[[], Awaitable[Any]]) -> None:
    """Wait until the page shows what the API tells; both move."""
    for _ in range(40):
        seen, said = await shown(), await told()
        if seen == said:
            return
        await asyncio.sleep(0.5)
    assert seen == said


async def enter(visit: Visit, screens: Screens, role: str, name: str = "Santral") -> None:
    """Sign in and go to the floor."""
    await visit.open(screens.url)
    await visit.sign_in(f"{role}@acme.example", demo.password())
    await visit.page.get_by_role("link", name=name, exact=True).click()
    await visit.page.get_by_role("heading", name=name, exact=True).wait_for(timeout=40_000)


def card(visit: Visit, name: str) -> Locator:
    return visit.page.locator(f"li.card[aria-label='{name}']")


async def figure(of: Locator, label: str) -> str:
    """Return the value under a label of a card, without what is said on hover."""
    place = of.locator("dl > div").filter(has=of.page.locator("dt", has_text=label)).locator("dd").first
    return await bare(place)


async def bare(place: Locator) -> str:
    """Return a text as it is read out: without signs for the eye, and what is said on hover."""
    said: str = await place.evaluate(
        "e => { const c = e.cloneNode(true);"
        " c.querySelectorAll('[role=tooltip], [aria-hidden]').forEach(t => t.remove()); return c.textContent.trim() }",
        timeout=40_000,
    )
    return said


async def cells(rows: Locator) -> list[list[str]]:
    """Return the texts of rows of a table."""
    return [[await bare(cell) for cell in await row.locator("th, td").all()] for row in await rows.all()]


def percent(value: float | None) -> str:
    """Return a ratio as a Turkish reader writes it, by hand rather than by the code under test."""
    return "–" if value is None else f"%{100 * value:.1f}".replace(".", ",")


async def seconds(of: Locator) -> int:
    minutes, _, rest = (await figure(of, "En uzun bekleme")).partition(":")
    return 60 * int(minutes) + int(rest)


class TestFloor:
    async def test_shows_what_the_api_says_while_it_moves(self, tenant: Tenant, screens: Screens, visit: Visit) -> None:
        await let_in(tenant, "admin")
        door = Door(screens.api_url, "admin")
        async with lively(tenant):
            await enter(visit, screens, "admin")
            vip = card(visit, "Özel hat")
            await vip.wait_for(timeout=40_000)

            await self._queues(visit, door, vip)
            await self._agents(visit, door)
            await self._campaigns(visit, door)
            await self._day(visit, door)
            assert visit.complaints == []
            await self._says_when_the_api_is_silent(visit, screens, vip)

    async def _queues(self, visit: Visit, door: Door, vip: Locator) -> None:
        async def shown() -> tuple[str, str, str]:
            under = await vip.locator("dl > div").last.locator("dd.quiet").inner_text()
            return await figure(vip, "Bekleyen"), await figure(vip, "Servis seviyesi"), under

        async def told() -> tuple[str, str, str]:
            line = await door.queue("vip")
            return str(line["depth"]), percent(line["service_level"]), f"son 30 dk, n = {line['n']}"

        await agrees(shown, told)
        await agrees(lambda: figure(vip, "Bekleyen"), self._two)
        assert "1 molada" in await vip.inner_text()
        before = await seconds(vip)
        await agrees(lambda: self._later(vip, before), self._yes)

    @staticmethod
    async def _later(vip: Locator, before: int) -> bool:
        return await seconds(vip) > before

    @staticmethod
    async def _yes() -> bool:
        return True

    @staticmethod
    async def _two() -> str:
        return "2"

    async def _agents(self, visit: Visit, door: Door) -> None:
        rows = visit.page.get_by_role("table", name="Temsilciler").locator("tbody tr")
        states = {"available": "hazır", "ringing": "çalıyor", "on_call": "görüşmede", "wrap_up": "görüşme sonrası",
                  "paused": "molada", "offline": "çevrimdışı", "reserved": "ayrıldı"}  # fmt: skip

        async def shown() -> dict[str, str]:
            return {row[0]: row[1] for row in await cells(rows)}

        async def told() -> dict[str, str]:
            items = (await door.ask("/dashboard/agents"))["items"]
            return {item["name"]: states[item["telephone"]["state"]] for item in items if item["telephone"]}

        await agrees(shown, told)
        found = {row[0]: row for row in await cells(rows)}
        assert found["Emre Koç"][3] == "Yemek"
        assert re.fullmatch(r"\d+:\d\d", found["Emre Koç"][2])

    async def _campaigns(self, visit: Visit, door: Door) -> None:
        page = await door.ask("/dialer/campaigns")
        [campaign] = [item for item in page["items"] if item["code"] == SPENT]
        budget = await door.ask(f"/dialer/campaigns/{campaign['id']}/budget")
        month = next(each for each in budget["windows"] if each["window"] == "month")
        summer = card(visit, "Yaz")

        [shift, row] = await cells(summer.locator("tbody tr"))

        assert shift[:4] == ["Vardiya", "0", "0", "–"], "no answer is no rate"
        assert row[:4] == ["Son 30 gün", str(month["answered"]), str(month["abandoned"]), percent(month["rate"])]
        assert row[4] == f"tavan %3,0▲ {percent(month['upper'])}"
        assert row[5] == str(month["allowed_more"])
        assert budget["reason"] == "month.spent"
        said = await summer.inner_text()
        assert "öngörülü" in said
        assert "Hazır her temsilci için bir arama. Son 30 günün hata payı bitti." in said
        bar = summer.get_by_role("img", name=re.compile("Son 30 gün: 640 karşılayandan 19 karşılıksız"))
        assert await bar.count() == 1
        assert "Kendiliğinden arama yok" in await card(visit, "Kış").inner_text()
        await agrees(lambda: self._allowed(visit), lambda: self._verdict(door, "spring"))

    @staticmethod
    async def _allowed(visit: Visit) -> str:
        """Return the sentence about what the running campaign may do."""
        said = await bare(card(visit, "Bahar").locator("p").last)
        assert not re.search(r"[a-z]_[a-z]|within", said), "no code shows through"
        return said.partition(".")[0].partition(":")[0]

    @staticmethod
    async def _verdict(door: Door, code: str) -> str:
        [campaign] = [each for each in (await door.ask("/dialer/campaigns"))["items"] if each["code"] == code]
        assert campaign["status"] == "running"
        says = {
            "full": "Kendi temposunda arayabilir",
            "progressive": "Hazır her temsilci için bir arama",
            "zero": "Kendiliğinden arama yok; temsilciler elle sürdürebilir",
        }
        return says[(await door.ask(f"/dialer/campaigns/{campaign['id']}/budget"))["allowed"]]

    async def _day(self, visit: Visit, door: Door) -> None:
        rows = visit.page.get_by_role("table", name="Bugün, kuyruklara göre").locator("tbody tr")
        today = datetime.now(words.ZONE).date().isoformat()
        asked = {"since": today, "until": today, "by": "queue"}

        async def shown() -> dict[str, list[str]]:
            return {row[0]: row[1:5] for row in await cells(rows) if row[0] != "Toplam"}

        async def told() -> dict[str, list[str]]:
            items = (await door.ask("/queue/statistics", params=asked))["items"]
            names = {"vip": "Özel hat", "sales": "Satış"}
            return {
                names[item["queue"]]: [
                    str(item["offered"]), str(item["answered"]), str(item["abandoned"]), percent(item["service_level"])
                ]
                for item in items
            }  # fmt: skip

        await agrees(shown, told)
        assert (await shown())["Özel hat"][2] == "1", "one hung up"

    async def _says_when_the_api_is_silent(self, visit: Visit, screens: Screens, vip: Locator) -> None:
        screens.api.kill()
        screens.api.wait()
        await visit.page.get_by_role("alert").filter(has_text="API yanıt vermiyor").wait_for(timeout=40_000)
        stood = await seconds(vip)
        await asyncio.sleep(4)  # longer than the page takes to ask again
        assert await seconds(vip) == stood, "nothing runs on by itself"
        assert await visit.page.locator(".floor.late").count() > 0


class TestEmptyFloor:
    async def test_says_what_to_do_and_shows_what_was_done(
        self, tenant: Tenant, screens: Screens, visit: Visit
    ) -> None:
        await let_in(tenant, "admin", "sales_agent", "analyst")
        door = Door(screens.api_url, "admin")
        await enter(visit, screens, "admin")
        await visit.shows(re.compile("Henüz kuyruk yok"))
        await visit.shows(re.compile("Süren ya da hazırlanan arama kampanyası yok"))
        shown = visit.page.locator("pre")
        commands = [await each.inner_text() for each in await shown.all()]
        queue, _, campaign = (json.loads(re.search(r"-d '(.*)'", each, re.S)[1]) for each in commands)  # type: ignore[index]

        await door.ask("/queue", "POST", json=queue)
        await door.ask(f"/pbx/agents/{tenant.sales_agent.user_id}/endpoint", "PUT", json={"endpoint": "PJSIP/agent-7"})
        await door.ask("/dialer/campaigns", "POST", json=campaign)

        sales = card(visit, "Satış")
        await sales.wait_for(timeout=40_000)
        assert await figure(sales, "Servis seviyesi") == "–", "no call is no nought"
        level = sales.locator("dd .tip").last
        await level.hover()
        await sales.get_by_text("Son 30 dakikada yanıtlanması gereken çağrı olmadı.").wait_for(timeout=10_000)
        await visit.shows("sales_agent")
        await visit.shows("taslak")
        assert await shown.count() == 0
        assert visit.complaints == []

        await self._roles(visit)

    async def _roles(self, visit: Visit) -> None:
        await visit.page.get_by_role("button", name="Çıkış").click()
        await visit.sign_in("sales_agent@acme.example", demo.password())
        await visit.shows("Kampanyalar ve günün rakamları müdürlere ve denetçilere açıktır.")
        assert await card(visit, "Bahar").count() == 0
        await visit.page.get_by_role("button", name="Çıkış").click()
        await visit.sign_in("analyst@acme.example", demo.password())
        await visit.page.get_by_role("link", name="API sağlığı").wait_for(timeout=40_000)
        # What the one before saw fades out.
        await visit.page.get_by_role("link", name="Santral", exact=True).wait_for(state="hidden", timeout=40_000)
