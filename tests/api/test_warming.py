"""What takes seconds the first time is made before somebody asks."""

import asyncio
import gc
import threading

import pytest

from api import warming
from api.app import create_app
from kpis import catalogue
from tests.pipeline import parsed

__all__ = ["parsed"]


def waiting() -> list[threading.Thread]:
    """Return the threads that will make it."""
    return [each for each in threading.enumerate() if each.name == "warming"]


class TestSoon:
    @pytest.mark.usefixtures("parsed")
    async def test_makes_metrics_and_the_description(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(warming, "AFTER_S", 0.0)
        catalogue.definitions.cache_clear()
        app, kept = create_app(), gc.get_freeze_count()

        await asyncio.to_thread(warming.soon(app).join)

        assert app.openapi_schema
        assert gc.get_freeze_count() > kept
        assert catalogue.definitions.cache_info().currsize == 1

    @pytest.mark.usefixtures("database")
    async def test_begins_with_the_process_and_is_given_up_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(warming, "AFTER_S", 3600.0)
        app = create_app()

        async with app.router.lifespan_context(app):
            [timer] = waiting()
        await asyncio.to_thread(timer.join)

        assert app.openapi_schema is None
