"""`kill -9` in the middle of a burst of webhooks: what was acknowledged becomes exactly one lead, given out once."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli import account, cluster, keeper
from crm import clock, db, migrations, vault
from crm.settings import settings
from ingestion.sources import loopback
from tests.conftest import make_tenant
from tests.ingestion.sources.conftest import serving
from tests.kill import firm

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes


@pytest.fixture
async def graph(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[loopback.Graph]:
    """A Graph API on loopback, in the environment of the processes to come."""
    server = loopback.Graph(access_token=firm.META["access_token"])
    async with serving(server.app) as url:
        monkeypatch.setenv("SANTRAL_GRAPH_URL", url)
        settings.cache_clear()
        yield server


async def test_of_the_worker_and_of_the_api(tenant, graph):
    await firm.connect(tenant, now=clock.utc_now())
    with firm.processes() as processes:
        burst = firm.Burst(graph, f"http://127.0.0.1:{processes.port}", random.Random(3))
        await processes.ready()

        sending = asyncio.create_task(burst.run(senders=6, each=30, pause=0.02))
        await burst.reached(30)
        processes.kill("worker")
        processes.start("worker")
        await burst.reached(60)
        processes.kill("api")
        processes.start("api")
        await sending

        assert len(burst.acknowledged) > 100
        await firm.hold_to_account(tenant, burst)


@pytest.mark.parametrize(
    ("senders", "each"),
    [(20, 15), pytest.param(50, 200, marks=pytest.mark.soak)],
    ids=["three-hundred", "ten-thousand"],
)
async def test_as_fast_as_they_come(tenant, graph, senders, each):
    """Everybody sends without a pause; worker and API die in the middle, and whoever was answered is a lead."""
    await firm.connect(tenant, now=clock.utc_now())
    whole, patience = senders * each, 60 + senders * each / 10
    with firm.processes() as processes:
        burst = firm.Burst(graph, f"http://127.0.0.1:{processes.port}", random.Random(5))
        await processes.ready()

        began = time.monotonic()
        sending = asyncio.create_task(burst.run(senders=senders, each=each, pause=0))
        await burst.reached(whole // 4, within=patience)
        processes.kill("worker")
        await burst.reached(whole // 2, within=patience)
        processes.kill("api")
        processes.start("api")
        await sending
        taken = time.monotonic() - began
        processes.start("worker")

        await firm.hold_to_account(tenant, burst, within=patience)
        seconds = time.monotonic() - began
        assert len(burst.acknowledged) >= whole * 0.8, "every fifth is given up at its first failure"
    print(f"{len(burst.acknowledged)} acknowledged in {taken:.0f} s, leads of agents after {seconds:.0f} s, none lost")


class Postgres:
    """A durable server of this test's own, that can be killed and comes back on its port with its data."""

    def __init__(self, home: Path, port: int) -> None:
        self.base = (home / "postgres").resolve()
        self.port = port
        self.again: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kill the postmaster; its children follow when they notice."""
        os.kill(int((self.base / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def start(self) -> None:
        """Start it again as it was started before, on what is on the disk."""
        user = account.runtime_user()
        binaries = cluster.reachable_binaries(self.base, user)
        command = keeper.command(self.base, binaries, port=self.port, fast=False)
        self.again = subprocess.Popen(command, stderr=subprocess.DEVNULL, **account.run_as(user))

    def stop(self) -> None:
        if self.again:
            self.again.send_signal(signal.SIGINT)
            self.again.wait(30)


@pytest.fixture
async def durable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Postgres]:
    """A migrated server with fsync on under DATABASE_URL."""
    home = tmp_path / "home"
    with cluster.server(home) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.delenv("SANTRAL_KEYS_DATABASE_URL", raising=False)
        monkeypatch.setenv("SANTRAL_HOME", str(home))
        settings.cache_clear()
        await migrations.prepare()
        postgres = Postgres(home, settings().owner_url().port)
        yield postgres
        await db.close()
        await vault.close()
        postgres.stop()
    settings.cache_clear()
    # As root the server's files are not below the closed temporary folder but where its account can reach them.
    shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)


async def test_of_postgres(durable, graph):
    tenant = await make_tenant("acme")
    await firm.connect(tenant, now=clock.utc_now())
    with firm.processes() as processes:
        burst = firm.Burst(graph, f"http://127.0.0.1:{processes.port}", random.Random(3))
        await processes.ready()

        sending = asyncio.create_task(burst.run(senders=6, each=25, pause=0.02))
        await burst.reached(40)
        durable.kill()
        await asyncio.sleep(0.5)
        durable.start()
        await sending

        assert len(burst.acknowledged) > 80
        await firm.hold_to_account(tenant, burst)
        assert all(process.poll() is None for process in processes.running.values()), "both outlived it"
