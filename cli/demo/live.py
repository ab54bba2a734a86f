"""Live traffic, as the outside world makes it: through HTTP only. Enquiries come by signed webhooks and by the API;
agents sign in, pick up what distribution gave them and work it at a pace at which screens move.

What does not answer is asked again, for as long as it takes: the API may restart, and so may we. SIGTERM ends it.
"""

import asyncio
import signal
from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext, suppress
from random import Random
from urllib.parse import urlsplit

import httpx
import uvicorn
import uvloop

from cli.demo import staff
from cli.demo.client import Client
from cli.demo.floor import Floor
from cli.demo.phones import Phones
from cli.demo.visitors import Visitors, secrets
from crm import clock
from crm.settings import settings
from ingestion.sources.loopback import FIRST_ID, Graph


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
    graph = Graph(access_token=secrets("meta")["access_token"], first_id=FIRST_ID + int(now.timestamp() * 1000))
    async with httpx.AsyncClient(base_url=settings().api_url, timeout=20) as http:
        office = Client(http, staff.LOGINS[0].email)
        outside = Visitors(http, office, rng, graph if place else None)
        floor = Floor(office, http, rng)
        jobs: list[Awaitable[None]] = [_serve(graph, *place)] if place else []

        async def everyone() -> None:
            await outside.settle()
            await floor.settle()
            phones = Phones(office, floor.clients, rng)
            if settings().ami_host:
                await phones.settle()
            await asyncio.gather(outside.live(), floor.live(), phones.live())

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
