"""What the frame around every request costs: the same route in a bare FastAPI and in ours, in process, in turns.

CPU time, so that a busy machine blurs it less. No network, no database: what is left is framework and frame.
"""

import asyncio
import time
from typing import Any

from fastapi import FastAPI, Response

from api.app import create_app
from api.deps import GuardedRoute, Router, permission
from api.dispatch import Index
from bench import product, report
from crm import clock, ids
from crm.users import tokens

ROUNDS, CALLS = 7, 2000
TARGET = 2.0


def main() -> None:
    """Print the figure."""
    with product.database():
        bare, ours, token = _bare(), _ours(), _token()
        asyncio.run(_time(bare, token))
        asyncio.run(_time(ours, token))
        pairs = [(asyncio.run(_time(bare, token)), asyncio.run(_time(ours, token))) for _ in range(ROUNDS)]
    report.figure("frame over bare FastAPI, CPU of a GET", [b / a for a, b in pairs], TARGET, at_least=False)
    own = report.median_of([b - a for a, b in pairs])
    report.remark(f"{own:.0f} µs a request of our own: token, permission, trace, rate, headers, metrics, request log")


async def _answer() -> Response:
    return Response(b"{}", media_type="application/json")


def _bare() -> FastAPI:
    app = FastAPI()
    app.get("/bench")(_answer)
    return app


def _ours() -> FastAPI:
    app, router = create_app(), Router("/bench")
    router.get("")(permission("lead.create")(_answer))
    app.router.routes.extend(router.routes)
    app.router.routes[0] = Index(route for route in app.routes if isinstance(route, GuardedRoute))
    return app


def _token() -> str:
    return tokens.issue(tenant=ids.new(), user=ids.new(), team=None, roles=["admin"], now=clock.utc_now())


async def _time(app: FastAPI, token: str) -> float:
    """Return the microseconds of CPU that one call takes."""
    headers = [(b"host", b"santral"), (b"authorization", f"Bearer {token}".encode()), (b"accept", b"*/*")]
    statuses: set[int] = set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.add(message["status"])

    started = time.process_time()
    for _ in range(CALLS):
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/bench", "raw_path": b"/bench", "root_path": "", "query_string": b"", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("santral", 80), "state": {},
        }  # fmt: skip
        await app(scope, receive, send)
    assert statuses == {200}, f"every call must succeed, got {statuses}"
    return (time.process_time() - started) / CALLS * 1e6
