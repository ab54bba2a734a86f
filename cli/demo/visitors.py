"""Enquiries as they come from outside: by signed webhooks of both platforms, and by the API."""

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import httpx

from cli.demo import enquiries, hours, market, staff, world
from cli.demo.client import AWAY, Client
from cli.demo.market import Arrival
from cli.demo.names import People, Person
from crm import clock
from crm.settings import settings
from ingestion.sources.loopback import Graph, webhook

BY_DAY, BY_NIGHT = 4.0, 9.0
"""Seconds between two enquiries, on average, from eight to midnight in Istanbul and in the small hours."""


@dataclass
class Visitors:
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
                body = {"source": source, "name": name, "secrets": secrets(source), "team_id": self.teams[team]}
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
            {**fields, "country": person.country, **enquiries.answers(arrival)}, at=arrival.acquired_at,
            form_id=arrival.campaign.form, campaign_id=arrival.campaign.id, adset_id=arrival.adset.id,
            ad_id=arrival.ad.id, platform=self.rng.choice(("fb", "ig")), custom_disclaimer_responses=boxes,
        )  # fmt: skip
        secret = secrets("meta")["app_secret"]
        body, headers = webhook(graph.leads[lead_id], app_secret=secret, at=arrival.acquired_at)
        await self._knock("meta", person, body, headers)

    async def _by_google(self, arrival: Arrival) -> None:
        assert arrival.adset
        assert arrival.ad
        person = arrival.person
        columns = {"FULL_NAME": person.name, "PHONE_NUMBER": person.phone, "EMAIL": person.email}
        columns |= {"COUNTRY": person.country, **enquiries.answers(arrival)}
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
            "google_key": secrets("google")["google_key"],
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


def _team(country: str) -> str:
    home, abroad = staff.TEAMS
    return home if country == "TR" else abroad


def secrets(source: str) -> dict[str, str]:
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
        "geography": person.city,
        "attributes": enquiries.answers(arrival),
        "tags": [campaign.treatment],
        "consents": [{"channel": channel, "status": status} for channel, status in arrival.consents],
        "acquired_at": arrival.acquired_at.isoformat(),
        "team_id": team_id,
    }
    return {key: value for key, value in body.items() if value is not None}
