"""The application in process, and a client for each role of a small firm."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from crm import clock
from crm.actor import Actor
from crm.settings import settings
from crm.users import tokens
from tests.conftest import Tenant

Client = httpx.AsyncClient
SignIn = Callable[[Actor | None], httpx.AsyncClient]


def token_of(actor: Actor) -> str:
    """Return a fresh access token for an actor of the tests."""
    assert actor.user_id is not None
    return tokens.issue(
        tenant=actor.tenant_id, user=actor.user_id, team=actor.team_id, roles=sorted(actor.roles), now=clock.utc_now()
    )


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Print warnings and worse in one line each; a line for every request hides what a failed test has to say."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
    )


@pytest.fixture
async def app(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """The whole application on this test's database, its background work running."""
    monkeypatch.setenv("SANTRAL_RATE_LIMIT", "1000000/minute")
    settings.cache_clear()
    app = create_app()
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def sign_in(app: FastAPI) -> AsyncIterator[SignIn]:
    """`sign_in(tenant.sales_agent)` returns a client with that person's token; `sign_in(None)` one without."""
    clients: list[httpx.AsyncClient] = []

    def client_of(actor: Actor | None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token_of(actor)}"} if actor else {}
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 4711))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://santral", headers=headers))
        return clients[-1]

    yield client_of
    for client in clients:
        await client.aclose()


@pytest.fixture
def admin(sign_in: SignIn, tenant: Tenant) -> httpx.AsyncClient:
    """A client signed in as the firm's administrator."""
    return sign_in(tenant.admin)


@pytest.fixture
def agent(sign_in: SignIn, tenant: Tenant) -> httpx.AsyncClient:
    """A client signed in as the firm's sales agent."""
    return sign_in(tenant.sales_agent)


@pytest.fixture
def nobody(sign_in: SignIn) -> httpx.AsyncClient:
    """A client that is not signed in."""
    return sign_in(None)


@pytest.fixture
async def live(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The application behind a real uvicorn on a free port; yields `127.0.0.1:port`."""
    monkeypatch.setenv("SANTRAL_RATE_LIMIT", "1000000/minute")
    settings.cache_clear()
    server = uvicorn.Server(uvicorn.Config(create_app(), port=0, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving
