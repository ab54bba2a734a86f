"""The sales floor alive: every agent at a desk in quick time, working what distribution gives out.

`PACE` of an agent's minutes pass in one of ours, so that screens move.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx

from cli.demo import world
from cli.demo.acts import Act
from cli.demo.agenda import Agent, Case
from cli.demo.calling import Calling
from cli.demo.client import Client
from cli.demo.desk import Desk
from cli.demo.market import Arrival
from cli.demo.names import Person
from crm import clock
from crm.leads.rules import Status

PACE = 90
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
    calling: Calling = field(default_factory=Calling)
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
        self.calling.leads[number] = item["id"]
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
                await self.calling.do(client, queue.popleft())
            await asyncio.sleep(0.5)
