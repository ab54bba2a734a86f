"""The HTTP door: the application, made from whatever routers `api/routers/` holds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter, FastAPI

import api.routers
from api import openapi, problems, telemetry, warming
from api.boards import Boards
from api.dispatch import Index
from api.middleware import Frame
from api.realtime import Hub
from crm import db, requests, vault
from crm.events import bell
from crm.settings import Settings, settings
from crm.users.revocations import Revocations

DESCRIPTION = "CRM and contact centre. Errors of every route have one shape; lists page by signed cursors."


def routers() -> Iterator[APIRouter]:
    """Yield the `router` of every module in `api/routers/`, by name of module."""
    for module in sorted(iter_modules(api.routers.__path__), key=lambda found: found.name):
        router = getattr(import_module(f"api.routers.{module.name}"), "router", None)
        if router is not None:
            yield router


def create_app(config: Settings | None = None) -> FastAPI:
    """Return the application; its lifespan starts and stops what works in the background."""
    config = config or settings()
    writer, spans = requests.Writer(), telemetry.config(config)
    app = FastAPI(
        title="Santral",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=spans,
    )
    app.state.telemetry = spans
    app.state.requests = writer
    app.state.hub = Hub()
    app.state.boards = Boards()
    app.state.revocations = Revocations()
    app.add_middleware(
        Frame,
        rate=config.rate_limit,
        sink=writer.take,
        revocations=app.state.revocations,
        tracing=bool(config.otlp_endpoint),
    )
    problems.install(app)
    for router in routers():
        # Their routes stand in the application's own list: one match per request, not one per router.
        app.router.routes.extend(router.routes)
    if not config.otlp_endpoint:  # spans take their route from the framework's own search
        app.router.routes.insert(0, Index(app.router.routes))
    openapi.install(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts = (app.state.requests, app.state.hub, app.state.boards)
    tasks = [asyncio.create_task(each.run()) for each in parts]
    warm = warming.soon(app)
    try:
        async with bell.ringing():
            yield
    finally:
        warm.cancel()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await telemetry.close(app.state.telemetry)
        await vault.close()
        await db.close()
