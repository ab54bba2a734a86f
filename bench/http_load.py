"""A small HTTP/1.1 load: keep-alive connections, one request at a time on each, latency of every request.

It runs in a process of its own and writes raw bytes, so that the client takes as little of the two cores as it can.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What a run measured: requests a second, the latency of each in seconds, and how many were not 2xx."""

    rate: float
    latencies: list[float]
    refused: int


def request(method: str, path: str, *, token: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return one request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(port: int, requests: Sequence[bytes], *, clients: int) -> Load:
    """Send every request once, over so many connections at a time, from a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (port, list(requests), clients))


def _run(port: int, requests: list[bytes], clients: int) -> Load:
    try:
        import uvloop

        return uvloop.run(_send_all(port, requests, clients))
    except ImportError:
        return asyncio.run(_send_all(port, requests, clients))


async def _send_all(port: int, requests: list[bytes], clients: int) -> Load:
    waiting = iter(requests)
    latencies: list[float] = []
    refused = 0

    async def client() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for one in waiting:
            begun = time.perf_counter()
            writer.write(one)
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            length = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            latencies.append(time.perf_counter() - begun)
            refused += head[9:10] != b"2"
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(len(requests) / (time.perf_counter() - begun), latencies, refused)
