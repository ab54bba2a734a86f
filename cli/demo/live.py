"""Live traffic, as the outside world makes it: through HTTP only. Enquiries come by signed webhooks and by the API;
agents sign in, pick up what distribution gave them and work it at a pace at which screens move.

Agents live in quick time: `PACE` of their minutes pass in one of ours. What does not answer is asked again, for as long
as it takes: the API may restart, and so may we. SIGTERM ends it.
"""

import asyncio
import itertools
import json
import logging
import signal
from collections import deque
from collections.abc import Awaitable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import uvicorn
import uvloop

from cli.demo import hours, market, staff, world
from cli.demo.acts import Act, Cancel, LookAfter, Move, Offer, Refusal, Reopen, Sale, Talk
from cli.demo.agenda import Agent, Case
from cli.demo.desk import Desk
from cli.demo.market import Arrival
from cli.demo.names import People, Person
from crm import clock
from crm.leads.rules import Status
from crm.money import Money
from crm.settings import settings
from ingestion.sources.loopback import FIRST_ID, Graph, webhook

log = logging.getLogger(__name__)

AWAY = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
"""The API is not there, or went away in the middle."""
PACE = 90
BY_DAY, BY_NIGHT = 4.0, 9.0
"""Seconds between two enquiries, on average, from eight to midnight in Istanbul and in the small hours."""
LOOK = 1.5
"""Seconds between two looks at what distribution gave out."""
STEP_OF = {
    Status.assigned: "attempt",
    Status.no_answer: "attempt",
    Status.contacted: "advise",
    Status.interested: "advise",
    Status.qualified: "offer",
    Status.proposal: "close",
}
"""What an agent does next with a lead that was in hand before we came."""
INHERITED = 25
"""Leads of each such status that an agent goes on with."""


class Client:
    """One account of the API. Every call goes on until it is answered; an expired session is opened anew."""

    def __init__(self, http: httpx.AsyncClient, email: str) -> None:
        self._http, self._email = http, email
        self._token = ""

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """Return the JSON of an answer; None when the API refuses, which in a demo is no reason to stop."""
        headers = more.pop("headers", {})
        for pause in itertools.chain((0.3, 1, 2), itertools.repeat(4)):
            try:
                if not self._token:
                    await self._sign_in()
                signed = {"Authorization": f"Bearer {self._token}", **headers}
                answer = await self._http.request(method, path, headers=signed, **more)
            except AWAY:
                await asyncio.sleep(pause)
                continue
            if answer.status_code == 401:
                self._token = ""
                continue
            if answer.status_code == 429 or answer.status_code >= 500:
                await asyncio.sleep(pause)
                continue
            if answer.is_error:
                log.warning("%s %s: %s", method, path.split("?")[0], answer.status_code)
                return None
            return answer.json() if answer.content else None
        raise AssertionError("unreachable: the pauses never end")

    async def create(self, path: str, body: dict[str, Any]) -> Any:
        """Post what creates something, once, however often it is sent."""
        return await self.call("POST", path, json=body, headers={"Idempotency-Key": str(uuid4())})

    async def _sign_in(self) -> None:
        body = {"email": self._email, "password": staff.password()}
        while not self._token:
            answer = await self._http.post("/auth/login", json=body)
            if answer.is_success:
                self._token = answer.json()["access_token"]
            else:
                await asyncio.sleep(3)


@dataclass
class World:
    """Whoever fills in forms."""

    http: httpx.AsyncClient
    office: Client
    rng: Random
    graph: Graph | None
    doors: dict[tuple[str, str], str] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)

    async def settle(self) -> None:
        """Make the connections to Meta and Google, one for each team, where they are not there yet."""
        teams = (await self.office.call("GET", "/teams"))["items"]
        self.teams = {team["name"]: team["id"] for team in teams}
        known = {each["name"]: each["id"] for each in (await self.office.call("GET", "/connections"))["items"]}
        for source, team in itertools.product(("meta", "google"), staff.TEAMS):
            name = f"{source.title()} · {team}"
            if name not in known:
                body = {"source": source, "name": name, "secrets": _secrets(source), "team_id": self.teams[team]}
                made = await self.office.create("/connections", body)
                known[name] = made["id"]
            self.doors[source, team] = known[name]

    async def live(self) -> None:
        """Send enquiries for ever."""
        people = People(self.rng)
        while True:
            hour = clock.utc_now().astimezone(hours.ZONE).hour
            await asyncio.sleep(self.rng.expovariate(1 / (BY_DAY if hour >= 8 else BY_NIGHT)))
            await self._enquire(people)

    async def _enquire(self, people: People) -> None:
        running = [each for each in world.campaigns() if each.ends == 1]
        campaign = self.rng.choices(running, [each.share for each in running])[0]
        country = self.rng.choices(list(campaign.countries), list(campaign.countries.values()))[0]
        adset = self.rng.choice(campaign.adsets) if campaign.adsets else None
        now = clock.utc_now()
        said, told = market.consents(self.rng), market.answers(self.rng, campaign)
        arrival = Arrival(
            0, now, now, people.somebody(country), campaign, adset, self.rng.choice(adset.ads) if adset else None,
            self.rng.choice(adset.keywords) if adset and adset.keywords else None, said, told,
        )  # fmt: skip
        if campaign.platform == "meta" and self.graph:
            await self._by_meta(self.graph, arrival)
        elif campaign.platform == "google":
            await self._by_google(arrival)
        else:
            await self.office.create("/leads", _body(arrival, self.teams[_team(country)]))

    async def _by_meta(self, graph: Graph, arrival: Arrival) -> None:
        assert arrival.adset
        assert arrival.ad
        person = arrival.person
        boxes = [
            {"checkbox_key": f"{channel}_consent", "is_checked": "1" if status == "granted" else "0"}
            for channel, status in arrival.consents
        ]
        fields = {"full_name": person.name, "phone_number": person.phone, "email": person.email}
        lead_id = graph.put(
            {**fields, "country": person.country, **arrival.answers}, at=arrival.acquired_at,
            form_id=arrival.campaign.form, campaign_id=arrival.campaign.id, adset_id=arrival.adset.id,
            ad_id=arrival.ad.id, platform=self.rng.choice(("fb", "ig")), custom_disclaimer_responses=boxes,
        )  # fmt: skip
        secret = _secrets("meta")["app_secret"]
        body, headers = webhook(graph.leads[lead_id], app_secret=secret, at=arrival.acquired_at)
        await self._knock("meta", person, body, headers)

    async def _by_google(self, arrival: Arrival) -> None:
        assert arrival.adset
        assert arrival.ad
        person = arrival.person
        columns = {"FULL_NAME": person.name, "PHONE_NUMBER": person.phone, "EMAIL": person.email}
        columns |= {"COUNTRY": person.country, **arrival.answers}
        columns |= {
            f"{channel}_consent": "yes" if status == "granted" else "no" for channel, status in arrival.consents
        }
        message = {
            "lead_id": f"demo-{uuid4().hex}",
            "user_column_data": [{"column_id": key, "string_value": value} for key, value in columns.items()],
            "api_version": "1.0",
            "form_id": arrival.campaign.form,
            "campaign_id": arrival.campaign.id,
            "adgroup_id": arrival.adset.id,
            "creative_id": arrival.ad.id,
            "google_key": _secrets("google")["google_key"],
            "gcl_id": f"EAIaIQ{self.rng.getrandbits(80):x}",
            "is_test": False,
        }
        await self._knock("google", person, json.dumps(message).encode(), {"Content-Type": "application/json"})

    async def _knock(self, source: str, person: Person, body: bytes, headers: dict[str, str]) -> None:
        """Deliver a webhook, again and again like the platforms do, until it is taken."""
        path = f"/webhooks/{source}/{self.doors[source, _team(person.country)]}"
        while True:
            with suppress(*AWAY):
                answer = await self.http.post(path, content=body, headers=headers)
                if answer.status_code < 500 and answer.status_code != 429:
                    return
            await asyncio.sleep(3)


@dataclass
class Floor:
    """The agents, each at a desk in quick time."""

    office: Client
    http: httpx.AsyncClient
    rng: Random
    began: datetime = field(default_factory=clock.utc_now)
    desks: dict[str, Desk] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    queues: dict[str, deque[Act]] = field(default_factory=dict)
    leads: dict[int, str] = field(default_factory=dict)
    quotes: dict[int, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    numbers: Iterable[int] = field(default_factory=itertools.count)

    async def settle(self) -> None:
        """Let every agent who takes leads sign in, and go on with what they had in hand."""
        agents = (await self.office.call("GET", "/dashboard/agents"))["items"]
        accounts = (await self.office.call("GET", "/users", params={"limit": 200}))["items"]
        emails = {account["id"]: account["email"] for account in accounts}
        for row in agents:
            if row["id"] not in emails:
                continue
            awake = Agent(
                row["name"], emails[row["id"]], row["team_name"], self.rng.uniform(0.8, 1.2),
                self.rng.uniform(0.8, 1.4), row["weight"], row["capacity"], opens=0, closes=24, sundays=True,
            )  # fmt: skip
            self.desks[row["id"]] = Desk(awake, self.began, self.began + timedelta(days=3650))
            self.clients[row["id"]] = Client(self.http, awake.email)
            self.queues[row["id"]] = deque()
        for status in STEP_OF:
            page = await self._look(status.value, min(200, INHERITED * len(self.desks)))
            for item in page:
                self._take(item, self.now() + timedelta(minutes=self.rng.uniform(0, 1500)))

    def now(self) -> datetime:
        """The agents' own time."""
        return self.began + (clock.utc_now() - self.began) * PACE

    async def live(self) -> None:
        """Look for fresh leads and work, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            for user_id in self.desks:
                group.create_task(self._work(user_id))

    async def _look(self, status: str, limit: int) -> list[dict[str, Any]]:
        params = {
            "fields": "id,owner,status,platform,campaign,geography",
            "filter": ["is_test:is:false", f"status:in:{status}"],
            "limit": limit,
        }
        page = await self.office.call("GET", "/leads", params=params)
        return page["items"] if page else []

    async def _watch(self) -> None:
        while True:
            for item in await self._look("assigned", 100):
                self._take(item, self.now())
            await asyncio.sleep(LOOK)

    def _take(self, item: dict[str, Any], due: datetime) -> None:
        owner = item["owner"] and item["owner"]["id"]
        if item["id"] in self.known or owner not in self.desks:
            return
        self.known.add(item["id"])
        number = next(iter(self.numbers))
        self.leads[number] = item["id"]
        status = Status(item["status"]["code"])
        campaigns = {campaign.id: campaign for campaign in world.campaigns()}
        campaign = campaigns.get(item["campaign"] or "site", campaigns["site"])
        country = item["geography"] if item["geography"] in world.countries() else next(iter(campaign.countries))
        person = Person("", "", "", country, "", "")
        arrival = Arrival(number, due, due, person, campaign, None, None, None, (("whatsapp", "granted"),))
        case = Case(arrival, Random(self.rng.random()), step=STEP_OF[status], status=status)
        case.attempts = 0 if status is Status.assigned else 1
        self.desks[owner].take(case, due)

    async def _work(self, user_id: str) -> None:
        desk, queue, client = self.desks[user_id], self.queues[user_id], self.clients[user_id]
        while True:
            queue.extend(desk.work(self.now()))
            while queue and queue[0].at <= self.now():
                await self._do(client, queue.popleft())
            await asyncio.sleep(0.5)

    async def _do(self, client: Client, act: Act) -> None:
        path = f"/leads/{self.leads[act.lead]}"
        match act:
            case Talk():
                body = {"channel": act.channel, "direction": act.direction, "outcome": act.outcome, "note": act.note}
                await client.create(f"{path}/activities", {key: value for key, value in body.items() if value})
            case Move():
                body = {"status": act.to, **({"reason": act.reason} if act.reason else {})}
                await client.call("POST", f"{path}/status", json=body)
            case Offer():
                until = clock.utc_now() + timedelta(days=act.valid_days)
                offer = {**_money(act.money), "procedure_type": act.treatment, "valid_until": until.isoformat()}
                if made := await client.create(f"{path}/quotes", offer):
                    self.quotes[act.lead] = made["id"]
            case Refusal():
                if quote := self.quotes.pop(act.lead, None):
                    no = {"answer": "declined", "reason": act.reason}
                    await client.call("POST", f"{path}/quotes/{quote}/answer", json=no)
            case Sale():
                quote = self.quotes.pop(act.lead, None)
                sale = {**_money(act.money), "takes_place_on": act.takes_place_on.isoformat()}
                await client.create(f"{path}/sale", sale | ({"quote_id": quote} if quote else {}))
            case Cancel():
                await client.call("POST", f"{path}/sale/cancel", json={"reason": act.reason})
            case Reopen():
                await client.create(f"{path}/reopen", {"reason": act.reason})
            case LookAfter():
                await self._look_after(client, path, act)

    async def _look_after(self, client: Client, path: str, act: LookAfter) -> None:
        found = await client.call("GET", f"{path}/follow-ups") or {"check_ins": []}
        for check_in in found["check_ins"]:
            if check_in["day"] == act.day and check_in["status"] == "pending":
                verb, body = ("skip", {"reason": act.skipped}) if act.skipped else ("done", {})
                await client.call("POST", f"/check-ins/{check_in['id']}/{verb}", json=body)


def _money(money: Money) -> dict[str, str]:
    return {"amount": str(money.amount), "currency": money.currency}


def _team(country: str) -> str:
    home, abroad = staff.TEAMS
    return home if country == "TR" else abroad


def _secrets(source: str) -> dict[str, str]:
    """Return the secrets agreed on with a platform that is ourselves: derived, so that no restart loses them."""
    names = {"meta": ("app_secret", "verify_token", "access_token"), "google": ("google_key",)}[source]
    return {name: settings().derived(f"demo {source} {name}").hex()[:40] for name in names}


def _body(arrival: Arrival, team_id: str) -> dict[str, Any]:
    person, campaign = arrival.person, arrival.campaign
    body = {
        "name": person.name,
        "phone": person.phone,
        "email": person.email,
        "country": person.country,
        "language": person.language,
        "source": campaign.form if campaign.platform in ("organic", "referral") else campaign.platform,
        "platform": campaign.platform,
        "campaign": campaign.id if arrival.adset else None,
        "adset": arrival.adset.id if arrival.adset else None,
        "ad": arrival.ad.id if arrival.ad else None,
        "form": campaign.form,
        "geography": person.country,
        "attributes": dict(arrival.answers),
        "tags": [campaign.treatment],
        "consents": [{"channel": channel, "status": status} for channel, status in arrival.consents],
        "acquired_at": arrival.acquired_at.isoformat(),
        "team_id": team_id,
    }
    return {key: value for key, value in body.items() if value is not None}


def _loopback() -> tuple[str, int] | None:
    """Return where our own Graph API shall listen, or None when the real one is meant."""
    there = urlsplit(settings().graph_url)
    return (there.hostname, there.port) if there.hostname in ("127.0.0.1", "localhost") and there.port else None


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is part of."""

    def capture_signals(self) -> AbstractContextManager[None]:
        return nullcontext()


async def _serve(graph: Graph, host: str, port: int) -> None:
    await _Server(uvicorn.Config(graph.app, host=host, port=port, log_level="warning", lifespan="off")).serve()


async def _live(seed: int) -> None:
    now = clock.utc_now()
    rng = Random(f"live {seed} {now.isoformat()}")
    place = _loopback()
    # Ids go on where an earlier run stopped: the platform never gives one twice.
    graph = Graph(access_token=_secrets("meta")["access_token"], first_id=FIRST_ID + int(now.timestamp() * 1000))
    async with httpx.AsyncClient(base_url=settings().api_url, timeout=20) as http:
        office = Client(http, staff.LOGINS[0].email)
        outside = World(http, office, rng, graph if place else None)
        floor = Floor(office, http, rng)
        jobs: list[Awaitable[None]] = [_serve(graph, *place)] if place else []

        async def everyone() -> None:
            await outside.settle()
            await floor.settle()
            await asyncio.gather(outside.live(), floor.live())

        await asyncio.gather(everyone(), *jobs)


async def _until_stopped(seed: int) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(_live(seed))
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


def run(seed: int) -> None:
    """Keep the demo alive until SIGTERM or Ctrl-C."""
    print("live traffic runs; Ctrl-C ends it", flush=True)
    uvloop.run(_until_stopped(seed))
