"""A running firm to be hurt: API and worker as processes of their own, senders of webhooks, a count at the end."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from cli.keeper import free_port
from crm import db
from crm.inbox import connections
from crm.inbox.connections import Source
from crm.routing import operations as routing
from ingestion.sources import loopback
from tests.conftest import Tenant

META = {"app_secret": "meta-app-secret", "verify_token": "meta-verify-token", "access_token": "meta-access-token"}
GOOGLE = {"google_key": "google-shared-key"}
SANTRAL = Path(sys.executable).parent / "santral"
PATIENCE = 180.0
"""Seconds for what takes a few on an idle machine."""


class Processes:
    """API and worker; each can be killed and started again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.commands = {"api": [sys.executable, "-m", "api"], "worker": [str(SANTRAL), "worker"]}

    def start(self, name: str) -> None:
        environment = os.environ | {"SANTRAL_API_PORT": str(self.port)}
        command = ["setpriv", "--pdeathsig", "KILL", "--", *self.commands[name]]
        self.running[name] = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    def kill(self, name: str) -> None:
        """Kill without a chance to say good-bye."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    async def ready(self) -> None:
        """Wait until the API answers that it can work."""
        async with httpx.AsyncClient() as client, asyncio.timeout(PATIENCE):
            while True:
                try:
                    if (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)


@contextmanager
def processes() -> Iterator[Processes]:
    """Start API and worker; leave none behind."""
    found = Processes()
    try:
        for name in found.commands:
            found.start(name)
        yield found
    finally:
        for name in list(found.running):
            found.kill(name)


async def connect(tenant: Tenant, *, now: datetime) -> None:
    """Give the firm a connection to each source, and its agent room for every lead."""
    for source, secrets in ((Source.meta, META), (Source.google, GOOGLE)):
        await db.run(
            tenant.admin,
            lambda tx, source=source, secrets=secrets: connections.create(
                tx, source=source, name=source.value, secrets=secrets, now=now
            ),
        )
    await db.run(
        tenant.admin,
        lambda tx: routing.set_member(
            tx, tenant.team_id, tenant.sales_agent.user_id, weight=1, capacity=100_000, now=now
        ),
    )


@dataclass
class Burst:
    """Webhooks on their way. `acknowledged` holds the outside ids that got a 200."""

    graph: loopback.Graph
    url: str
    chance: random.Random
    sent: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0

    def webhook(self, n: int) -> tuple[str, str, bytes, dict[str, str]]:
        """Return outside id, path, body and headers of one webhook; every other comes from Meta."""
        if n % 2:
            body = {
                **GOOGLE,
                "lead_id": f"google-{n}",
                "user_column_data": [{"column_id": "EMAIL", "string_value": f"g{n}@example.com"}],
            }
            return f"google-{n}", "/webhooks/google", json.dumps(body).encode(), {}
        lead_id = self.graph.put({"email": f"m{n}@example.com", "full_name": "Ada"}, form_id="9")
        body, headers = loopback.webhook(self.graph.leads[lead_id], app_secret=META["app_secret"], at=datetime.now(UTC))
        return lead_id, "/webhooks/meta", body, headers

    async def send(self, numbers: Sequence[int], *, pause: float) -> None:
        """Send webhooks one after the other, as a source does: most are repeated until they are acknowledged, some are
        given up at the first failure, and some are delivered again although they were acknowledged."""
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
            for n in numbers:
                external_id, path, body, headers = self.webhook(n)
                self.sent.append(external_id)
                patience = 1 if n % 5 == 0 else 600
                for _ in range(patience):
                    try:
                        if (await client.post(path, content=body, headers=headers)).status_code == 200:
                            self.acknowledged.add(external_id)
                            break
                    except httpx.HTTPError:
                        pass
                    self.refused += 1
                    await asyncio.sleep(0.1)
                if self.chance.random() < 0.2 and external_id in self.acknowledged:
                    with_luck = client.post(path, content=body, headers=headers)
                    await asyncio.gather(with_luck, return_exceptions=True)
                await asyncio.sleep(pause)

    async def reached(self, how_many: int, *, within: float = PATIENCE) -> None:
        """Wait until so many were acknowledged."""
        async with asyncio.timeout(within):
            while len(self.acknowledged) < how_many:
                await asyncio.sleep(0.005)

    async def run(self, *, senders: int, each: int, pause: float) -> None:
        """Let several senders send side by side."""
        await asyncio.gather(*(self.send(range(s * each, (s + 1) * each), pause=pause) for s in range(senders)))


async def settled(tenant: Tenant, *, within: float) -> None:
    """Wait until nothing is pending in the inbox and no lead waits for an agent."""
    async with asyncio.timeout(within):
        while True:
            async with db.transaction(tenant.system) as tx:
                left = await tx.fetchval(
                    "select (select count(*) from crm.inbox_message where status = 'pending')"
                    "     + (select count(*) from crm.lead where owner_id is null)"
                )
            if left == 0:
                return
            await asyncio.sleep(0.1)


async def leads(tenant: Tenant) -> Counter[str]:
    """Return how often each outside id is a lead, counted by rows and, which must be the same, by events."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select external_id from crm.lead")
        created = await tx.fetch(
            "select l.external_id from crm.event_log e join crm.lead l on l.id = e.aggregate_id"
            " where e.event_type = 'lead.created'"
        )
        given = await tx.fetchval("select count(*) from crm.lead_assignment")
        failed = await tx.fetchval("select count(*) from crm.inbox_message where status = 'failed'")
    found = Counter(row["external_id"] for row in rows)
    assert found == Counter(row["external_id"] for row in created)
    assert given == len(rows), "every lead was given out, and once"
    assert failed == 0
    return found


async def hold_to_account(tenant: Tenant, burst: Burst, *, within: float = PATIENCE) -> None:
    """What was acknowledged is exactly one lead, and nothing is there that nobody sent."""
    assert burst.refused > 0, "the kill came into the middle"
    await settled(tenant, within=within)
    found = await leads(tenant)
    assert set(found.values()) == {1}
    assert burst.acknowledged <= set(found) <= set(burst.sent)
