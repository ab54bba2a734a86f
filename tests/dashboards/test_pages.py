"""The pages in a real browser: they show what the API says, no more and no less, and lead down to one lead."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from cli import demo
from cli.demo import month
from cli.demo.market import Market
from crm import db, tenancy
from crm.actor import Actor
from crm.calls import history
from crm.calls.story import Outcome
from tests.dashboards import keys, saved, walk
from tests.dashboards.conftest import Screens, Visit
from tests.dashboards.told import Api, turkish
from tests.dbt_project.telephony import past
from tests.pipeline import Build

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LEADS, SEED = 150, 3
LOGIN = {str(login.role): login.email for login in demo.LOGINS}
HOLD = """
insert into ops.quarantine (tenant_id, feed, set_key, label, rules, reasons, reasons_tr, weight, status, since,
                            judged_at)
select tenant_id, 'raw/leads', 'meta/bahar', 'meta/bahar', '{leads.ad}', '{no ad id}', '{reklam kimliği yok}', 8,
       'held', now(), now()
  from crm.tenant
"""
ALERT = """
insert into ops.alert (subject, owner, severity, failures, causes, said, first_at, last_at, told_at)
values ('raw/leads', 'team:sales-operations', 'error', 3, '{test:keeps_to_the_rules}', 'held', now(), now(), now())
"""


@pytest.fixture
async def people() -> Market:
    """The month in the database, some calls of another system, something held and told of; and who its leads are."""
    until = datetime.now(UTC)
    await month.load(LEADS, days=10, seed=SEED, until=until)
    tenant_id = await tenancy.by_slug("lale")
    assert tenant_id
    begun = until - timedelta(days=3)
    waits = [(5.0, Outcome.answered)] * 12 + [(40.0, Outcome.answered)] * 4 + [(90.0, Outcome.abandoned)] * 3
    calls = [
        past(f"c{n}", begun + timedelta(minutes=n), outcome, wait_s, talk_s=100 + n if outcome == "answered" else None)
        for n, (wait_s, outcome) in enumerate(waits)
    ]
    async with db.transaction(Actor.system(tenant_id)) as tx:
        await history.store(tx, calls, now=until)
    return Market(leads=LEADS, since=until - timedelta(days=10), until=until, seed=SEED)


def hold(owner: str) -> None:
    """Let a gate hold something back, and tell of it."""
    with psycopg.connect(owner.replace("+asyncpg", ""), autocommit=True) as connection:
        connection.execute(HOLD)
        connection.execute(ALERT)


class TestPages:
    """One world and one browser for all pages: a visit costs seconds, its setting more."""

    async def test_show_what_the_api_says_and_keep_what_is_chosen(
        self, database: str, people: Market, build: Build, screens: Screens, visit: Visit
    ) -> None:
        api = await asyncio.to_thread(Api, screens.api_url, LOGIN["admin"])  # whose first question takes its time
        await self._say_what_is_missing(visit, screens)
        await build()
        hold(database)

        await walk.go_to(visit, "company")
        await walk.is_told(visit, api, walk.BOARDS[0], {})
        await saved.files_are_true(visit, api)
        await keys.is_walked(
            visit, "Çıkış", "Kenar çubuğunu kapat", "Gün", "Arkasındakileri göster: Gelen başvuru",
            "Grafiği kaydet (PNG)", "Ekip",
        )  # fmt: skip
        await self._open_what_is_behind(visit)
        await self._choose_meta_by_week(visit)
        await walk.walk(visit, api, {"platform": ["meta"]})
        await self._lead_down_to_a_timeline(visit, api)
        self._keep_to_themselves(visit, people, await visit.page.content())
        await self._let_in_what_is_held(visit, api)
        await walk.go_to(visit, "company")
        assert await walk.shown(visit, "funnel_reached.lead") == turkish(self._of_meta(api)["lead"])
        assert chosen(visit) == {"platform": ["meta"], "grain": ["week"]}
        assert visit.complaints == []

        await self._show_a_link_to_its_reader(visit, self._of_meta(api)["lead"])
        await self._are_silent_with_the_api(visit, screens)

    @staticmethod
    async def _say_what_is_missing(visit: Visit, screens: Screens) -> None:
        await visit.open(f"{screens.url}/funnel")
        await visit.sign_in(LOGIN["admin"], "not the password")
        await visit.page.get_by_test_id("stAlert").wait_for(timeout=90_000)
        await visit.sign_in(LOGIN["sales_agent"], demo.password())
        await visit.shows(re.compile("Bu sayfa rolünüze açık değil"))
        await visit.page.get_by_role("button", name="Çıkış").click()
        await visit.page.locator("input[type=password]").wait_for(timeout=90_000)
        await visit.sign_in(LOGIN["admin"], demo.password())
        await visit.shows(re.compile("Rakamlar henüz hazır değil"))

    @staticmethod
    async def _open_what_is_behind(visit: Visit) -> None:
        """A figure opens the leads behind it; where these are more than were counted, it says so."""
        for name, is_wider in (("Gelen başvuru", False), ("Satışa dönen başvuru", True)):
            await visit.page.get_by_role("button", name=f"Arkasındakileri göster: {name}").click()
            dialog = visit.page.get_by_role("dialog")
            await dialog.get_by_test_id("stDataFrame").wait_for(timeout=90_000)
            assert (await dialog.get_by_text("rakamdan geniş olabilir").count() > 0) is is_wider
            await visit.page.keyboard.press("Escape")
            await dialog.wait_for(state="hidden")

    @staticmethod
    async def _choose_meta_by_week(visit: Visit) -> None:
        await (
            visit.page.get_by_role("button", name="Hafta", exact=True)
            .or_(visit.page.get_by_role("radio", name="Hafta", exact=True))
            .click()
        )
        await visit.page.get_by_role("combobox", name=re.compile("Platform")).click()
        await visit.page.get_by_role("option", name="Meta", exact=True).click()
        await visit.page.wait_for_url(re.compile("platform=meta"), timeout=90_000)
        await visit.page.keyboard.press("Escape")  # the list stays open for more, and hides all else
        await walk.settled(visit)

    @staticmethod
    def _of_meta(api: Api) -> dict[str, int]:
        return api.funnel(filters=[{"dim": "platform", "values": ["meta"]}])

    async def _lead_down_to_a_timeline(self, visit: Visit, api: Api) -> None:
        await visit.page.set_viewport_size({"width": 1440, "height": 3800})
        await walk.go_to(visit, "funnel")
        for stage in ("contacted", "qualified", "proposal", "sale"):
            # The charts are drawings: what they say is read from their marks.
            count = re.compile(f"^{re.escape(turkish(self._of_meta(api)[stage]))}$")
            await visit.page.locator("svg text").filter(has_text=count).first.wait_for()
        newest = api.get("/leads", limit=1, filter=["is_test:is:false", "platform:in:meta"])[0]
        table = visit.page.get_by_test_id("stDataFrame").last
        await table.scroll_into_view_if_needed()
        place = await table.bounding_box()
        assert place
        await visit.page.mouse.click(place["x"] + 17, place["y"] + 35 + 17)
        await visit.page.get_by_role("heading", name=newest["contact"]["name"]).wait_for(timeout=90_000)
        await visit.shows(newest["status"]["label"])
        await visit.shows("Başvuru geldi")

    @staticmethod
    def _keep_to_themselves(visit: Visit, people: Market, content: str) -> None:
        """Neither the page nor anything sent to it holds a phone number or an address of a lead."""
        said = visit.received() + content.encode()
        assert "••• ••• ••".encode() in visit.received(), "the masks came this way, so would the numbers"
        for arrival in people.arrivals:
            assert arrival.person.phone.encode()[3:] not in said
            assert arrival.person.email.encode() not in said

    @staticmethod
    async def _let_in_what_is_held(visit: Visit, api: Api) -> None:
        """What is held says why; let in after a question, it is held no more."""
        await walk.go_to(visit, "quality")
        await visit.shows("reklam kimliği yok")
        alert = visit.page.get_by_role("table", name="Uyarılar").locator("tbody tr")
        told = api.get("/alerts")[0]
        assert told["sentence_tr"] in await alert.inner_text()
        await visit.page.get_by_role("button", name="Sayılara al", exact=True).click()
        await visit.page.get_by_role("button", name="Evet, sayılara al").click()
        await visit.shows(re.compile("bir sonraki çalışmada sayılacak"))
        await visit.page.get_by_role("button", name="Sayılara al", exact=True).wait_for(state="hidden", timeout=90_000)
        assert [held for held in api.get("/quarantine") if held["status"] == "held"] == []

    @staticmethod
    async def _show_a_link_to_its_reader(visit: Visit, leads: int) -> None:
        """A link shows in English, and in the dark, what its sender saw in Turkish; an analyst sees no person."""
        link = visit.page.url.replace("/?", "/funnel?") + "&lang=en"
        await visit.page.emulate_media(color_scheme="dark")
        await visit.page.goto(link)
        await visit.sign_in(LOGIN["analyst"], demo.password())
        assert await visit.tile("Leads received") == f"{leads:,}"
        assert chosen(visit) == {"platform": ["meta"], "grain": ["week"], "lang": ["en"]}
        await visit.shows("Your role sees numbers and no people, so the list of leads stays closed.")
        assert await walk.flaws(visit) == []
        assert await visit.page.evaluate("document.documentElement.lang") == "en"
        await visit.page.get_by_role("button", name="Clear", exact=True).click()
        await visit.page.wait_for_url(lambda url: "platform" not in url, timeout=90_000)
        assert visit.complaints == []

    @staticmethod
    async def _are_silent_with_the_api(visit: Visit, screens: Screens) -> None:
        screens.api.kill()
        screens.api.wait()
        await visit.page.get_by_role("link", name="Campaigns", exact=True).click()
        await visit.shows(re.compile("The API does not answer"))


def chosen(visit: Visit) -> dict[str, list[str]]:
    """Return what the address of the page says."""
    return parse_qs(urlsplit(visit.page.url).query)
