"""The demo's telephones: agents sign on, customers call in by the exchange, agents call theirs and write calls up; a
campaign dials who was not reached."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cli.demo.client import Client

QUEUE = "sales"
AT_PHONES = 6
"""Agents who sign on; the others work by other means."""
BEAT_S = 10.0
LOOK_S = 2.0
IDLE_S = 240.0
"""Mean seconds for which a free agent waits before calling somebody themselves."""
SETTINGS = {
    "labels": {"tr": "Satış", "en": "Sales"},
    "hours": "always",
    "max_wait_s": 180,
}
CAMPAIGN = {"code": "unreached", "name": "Ulaşılamayanlar", "mode": "progressive", "queue": QUEUE, "most_lines": 1}
"""A call only for who is ready, and one at a time: whoever answers is not to find that a caller was quicker."""
UNREACHED = ["is_test:is:false", "status:in:no_answer"]
LOAD_S = 300.0
SPOKEN = ("information", "information", "interested", "interested", "appointment", "not_interested")
"""What comes of conversations."""
CALLED = ("assigned", "no_answer", "contacted")


@dataclass
class Phones:
    """The telephones of some agents (`clients`, by user id)."""

    office: Client
    clients: Mapping[str, Client]
    rng: Random
    at_work: list[Client] = field(default_factory=list)

    async def settle(self) -> None:
        """Make the queue, give telephones to agents and sign them on; what is there already stays."""
        listed = await self.office.call("GET", "/queue")
        if listed is not None and QUEUE not in [each["code"] for each in listed["items"]]:
            await self.office.create("/queue", {"code": QUEUE, "settings": SETTINGS})
        for number, (user_id, client) in enumerate(sorted(self.clients.items())[:AT_PHONES], start=1):
            telephone = {"endpoint": f"PJSIP/agent-{number}"}
            await self.office.call("PUT", f"/pbx/agents/{user_id}/endpoint", json=telephone)
            if await client.call("POST", "/pbx/agent/session"):
                self.at_work.append(client)

    async def live(self) -> None:
        """Keep everybody at their telephone, for ever."""
        async with asyncio.TaskGroup() as group:
            if self.at_work:
                group.create_task(self._dial())
            for client in self.at_work:
                group.create_task(self._beat(client))
                group.create_task(self._work(client))

    async def _beat(self, client: Client) -> None:
        while True:
            await client.call("POST", "/pbx/agent/beat")
            await asyncio.sleep(BEAT_S)

    async def _dial(self) -> None:
        """Let a campaign run, and put into it now and then who was not reached meanwhile."""
        while True:
            listed = await self.office.call("GET", "/dialer/campaigns") or {"items": []}
            made = next((each for each in listed["items"] if each["code"] == CAMPAIGN["code"]), None)
            if made or (made := await self.office.create("/dialer/campaigns", CAMPAIGN)):
                await self.office.call("POST", f"/dialer/campaigns/{made['id']}/load", json={"filter": UNREACHED})
                if made["status"] == "draft":
                    await self.office.call("POST", f"/dialer/campaigns/{made['id']}/start")
            await asyncio.sleep(LOAD_S)

    async def _work(self, client: Client) -> None:
        """Write up calls that are over; when nothing has happened for a while, call one of one's own leads."""
        patience = self.rng.expovariate(1 / IDLE_S)
        while True:
            await asyncio.sleep(LOOK_S)
            status = await client.call("GET", "/pbx/agent/status")
            match status and status["state"]:
                case "wrap_up":
                    await asyncio.sleep(self.rng.uniform(3, 12))
                    await self._write_up(client, status["call_id"])
                case "available":
                    patience -= LOOK_S
                case "offline":
                    await client.call("POST", "/pbx/agent/session")
                case "paused" if status["reason"] and status["pending"] is None:
                    await client.call("PUT", "/pbx/agent/status", json={"state": "available"})
            if patience < 0:
                patience = self.rng.expovariate(1 / IDLE_S)
                await self._call_somebody(client)

    async def _call_somebody(self, client: Client) -> None:
        params: dict[str, Any] = {
            "fields": "id", "limit": 50,
            "filter": ["is_test:is:false", "owner:is:me", f"status:in:{','.join(CALLED)}"],
        }  # fmt: skip
        page = await client.call("GET", "/leads", params=params)
        if page and page["items"]:
            lead = self.rng.choice(page["items"])
            await client.create(f"/leads/{lead['id']}/call", {})

    async def _write_up(self, client: Client, call_id: str | None) -> None:
        if call_id:
            say = {"code": self.rng.choice(SPOKEN)}
            await client.call("PUT", f"/cdr/{call_id}/disposition", json=say)
