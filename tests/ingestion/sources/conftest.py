"""The sources as they answer on loopback: a small ASGI application, a Graph API, a Google Ads API with its tokens."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crm import db
from crm.inbox import connections
from crm.inbox.connections import Source
from crm.settings import settings
from ingestion.sources import loopback, loopback_ads

META = {
    "app_id": "123456789012345",
    "app_secret": "meta-app-secret",
    "verify_token": "meta-verify-token",
    "access_token": "meta-access-token",
}
GOOGLE = {
    "google_key": "google-shared-key",
    "customer_id": "123-456-7890",
    "developer_token": "developer-token",
    "client_id": "client.apps.example",
    "client_secret": "client-secret",
    "refresh_token": "refresh-token",
}


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an application in this process for as long as the block lasts; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    server.capture_signals = nullcontext  # the test run's own signals stay its own
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def graph(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[loopback.Graph]:
    """A Graph API under this process's settings."""
    server = loopback.Graph(access_token=META["access_token"])
    async with serving(server.app) as url:
        monkeypatch.setenv("SANTRAL_GRAPH_URL", url)
        settings.cache_clear()
        yield server
    settings.cache_clear()


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that this process's gRPC trusts; it reads which ones only once."""
    place = loopback_ads.certificate(tmp_path_factory.mktemp("tls"))
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(place)
    return place


class OAuth:
    """Gives out access tokens for the refresh token; `refuse_with` makes it say no."""

    def __init__(self) -> None:
        self.given = 0
        self.refuse_with: str | None = None
        self.app = Starlette(routes=[Route("/token", self._give, methods=["POST"])])

    async def _give(self, request: Request) -> JSONResponse:
        form = await request.form()
        if self.refuse_with or form.get("refresh_token") != GOOGLE["refresh_token"]:
            return JSONResponse({"error": self.refuse_with or "invalid_grant"}, 400)
        self.given += 1
        return JSONResponse({"access_token": "google-access-token", "expires_in": 3599, "token_type": "Bearer"})


@pytest.fixture
async def oauth(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OAuth]:
    """Google's token server under this process's settings."""
    server = OAuth()
    async with serving(server.app) as url:
        monkeypatch.setenv("SANTRAL_GOOGLE_TOKEN_URL", f"{url}/token")
        settings.cache_clear()
        yield server
    settings.cache_clear()


@pytest.fixture
async def ads(trusted: Path, oauth: OAuth, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[loopback_ads.Ads]:
    """A Google Ads API under this process's settings."""
    server = loopback_ads.Ads("google-access-token", GOOGLE["developer_token"])
    with loopback_ads.serving(server, trusted) as place:
        monkeypatch.setenv("SANTRAL_GOOGLE_ADS_ENDPOINT", place)
        settings.cache_clear()
        yield server
    settings.cache_clear()


async def connect(tenant, source, now):
    secrets = META if source is Source.meta else GOOGLE
    return await db.run(
        tenant.admin,
        lambda tx: connections.create(tx, source=source, name=source.value, secrets=secrets, now=now),
    )


@pytest.fixture
async def meta_connection(tenant, now):
    """A connection to Meta that may do everything."""
    return await connect(tenant, Source.meta, now)


@pytest.fixture
async def google_connection(tenant, now):
    """A connection to Google that may do everything."""
    return await connect(tenant, Source.google, now)
