"""`santral dialer` killed with calls up: the one beside it takes over, and no call is lost or dialled twice."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crm import clock, db
from crm.calls import wishes
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange
from tests.conftest import Tenant
from tests.crm.agents.floor import signed_on
from tests.dialer.floor import PATIENT, SECRET, Floor, may_call_always

SANTRAL = Path(sys.executable).parent / "santral"


class Dialers:
    """Two dialer processes; the first to have the lock is at work."""

    def __init__(self, exchange: Exchange, tenant: str) -> None:
        self.environment = os.environ | {
            "SANTRAL_AMI_HOST": exchange.host, "SANTRAL_AMI_PORT": str(exchange.port), "SANTRAL_AMI_USERNAME": "bridge",
            "SANTRAL_AMI_SECRET": SECRET.get_secret_value(), "SANTRAL_AMI_TENANT": tenant,
        }  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start one more."""
        command = ["setpriv", "--pdeathsig", "KILL", "--", str(SANTRAL), "dialer"]
        self.running.append(subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL))

    def kill_first(self) -> None:
        """Kill the one that was started first without a chance to say good-bye."""
        process = self.running.pop(0)
        process.kill()
        process.wait()


@contextmanager
def dialers(exchange: Exchange, tenant: str) -> Iterator[Dialers]:
    """Have dialers, none at first; all are gone afterwards."""
    those = Dialers(exchange, tenant)
    try:
        yield those
    finally:
        while those.running:
            those.kill_first()


@pytest.mark.parametrize("phase", ["ringing", "connected"])
async def test_the_one_beside_it_takes_over(tenant: Tenant, phase: str):
    await may_call_always(tenant, clock.utc_now())
    people: dict[str, Party] = {}
    async with Exchange(
        username="bridge", secret=SECRET, people=lambda who: people.get(who, PATIENT), speed=5
    ) as exchange:
        with dialers(exchange, "acme") as those:
            floor = Floor(tenant, exchange, None, None, people)  # type: ignore[arg-type]
            those.start()
            await until_connected(exchange)
            those.start()
            await signed_on(tenant, clock.utc_now(), endpoint="PJSIP/agent-1")
            people["PJSIP/905321234567@carrier"] = Party(rings_s=15, stays_s=10_000)
            placed = await floor.click(await floor.lead("+905321234567"))
            await floor.until_status(placed.call_id, phase)

            before = set(exchange._clients)
            those.kill_first()
            await until_connected(exchange, besides=before)
            await floor.until(placed.call_id, lambda row: row["connected_at"])
            await asyncio.sleep(1)  # they talk
            assert (await floor.call(placed.call_id))["status"] == "connected"
            await db.run(tenant.sales_agent, lambda tx: wishes.hang_up(tx, placed.call_id, now=clock.utc_now()))
            row = await floor.until(placed.call_id, lambda row: row["ended_at"])

            assert (row["outcome"], row["talk_s"] > 0) == ("answered", True)
            ids = [str(each["uniqueid"]) for each in exchange.board.book]
            assert ids.count(str(placed.call_id)) == 1
            await db.close()


async def until_connected(exchange: Exchange, besides: Collection[object] = ()) -> None:
    """Wait until somebody has logged in, besides those who had."""
    async with asyncio.timeout(60):
        while not any(is_known for client, is_known in exchange._clients.items() if client not in besides):
            await asyncio.sleep(0.05)
