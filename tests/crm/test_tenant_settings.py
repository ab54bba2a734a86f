"""Settings: typed, dated, audited, and all of them in one list."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import Field

from crm import db, tenancy, tenant_settings
from crm.tenant_settings import BadSetting, MovedOn, Setting, UnknownSetting
from tests import settings_page
from tests.conftest import Tenant

DAY = timedelta(days=1)


@pytest.fixture
def limit() -> Iterator[Setting[int]]:
    yield tenant_settings.declare("test.limit", Annotated[int, Field(ge=1, le=9)], 3, tr="Sınır", en="Limit")
    del tenant_settings.REGISTRY["test.limit"]


@pytest.fixture
def secret() -> Iterator[Setting[str]]:
    yield tenant_settings.declare("test.secret", str, "", tr="Gizli", en="Secret", secret=True)
    del tenant_settings.REGISTRY["test.secret"]


async def change(tenant: Tenant, key: str, new: Any, now: datetime, **more: Any) -> None:
    await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, key, new, now=now, **more))


async def value(tenant: Tenant, setting: Setting[Any], at: datetime) -> Any:
    return await db.run(tenant.system, lambda tx: tenant_settings.value(tx, setting, at=at))


async def audited(tenant: Tenant) -> list[dict[str, Any]]:
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select metadata_json from crm.audit_log where action = 'settings.change' order by id")
    return [row[0] for row in rows]


class TestValue:
    async def test_is_what_was_set_by_then(self, tenant: Tenant, now: datetime, limit: Setting[int]) -> None:
        await change(tenant, "test.limit", 8, now, valid_from=now + 2 * DAY)
        await change(tenant, "test.limit", 5, now)

        found = [await value(tenant, limit, now + n * DAY) for n in (-1, 0, 1, 2)]

        assert found == [3, 5, 5, 8]

    async def test_of_the_firm_itself_is_in_its_row_too(self, tenant: Tenant, now: datetime) -> None:
        before = await value(tenant, tenancy.TIMEZONE, now)
        await change(tenant, "tenant.timezone", "Europe/Berlin", now + DAY)

        async with db.transaction(tenant.system) as tx:
            column = await tx.fetchval("select timezone from crm.tenant")
        assert (before, column) == ("Europe/Istanbul", "Europe/Berlin")
        assert [await value(tenant, tenancy.TIMEZONE, now + n * DAY) for n in (0, 1)] == [before, column]


class TestValues:
    async def test_are_what_each_would_be_alone(
        self, tenant: Tenant, now: datetime, limit: Setting[int], secret: Setting[str]
    ) -> None:
        await change(tenant, "test.limit", 7, now)
        await change(tenant, "tenant.timezone", "Europe/Berlin", now)
        asked = (secret, limit, tenancy.TIMEZONE)

        for at in (now - DAY, now):
            found = await db.run(tenant.system, lambda tx, at=at: tenant_settings.values(tx, *asked, at=at))
            assert found == [await value(tenant, each, at) for each in asked]

        assert found == ["", 7, "Europe/Berlin"]


class TestChange:
    @pytest.mark.parametrize("wrong", [0, 10, "many", "4", True, 4.0, None, [1], 1e999])
    async def test_refuses_another_kind(self, tenant: Tenant, now: datetime, limit: Setting[int], wrong: Any) -> None:
        with pytest.raises(BadSetting) as refusal:
            await change(tenant, "test.limit", wrong, now)

        assert set(refusal.value.fields) == {"value"}

    @pytest.mark.parametrize("wrong", ["a\x00b", "\ud800"])
    async def test_refuses_what_cannot_be_kept(
        self, tenant: Tenant, now: datetime, secret: Setting[str], wrong: str
    ) -> None:
        with pytest.raises(BadSetting):
            await change(tenant, "test.secret", wrong, now)

    async def test_keeps_a_backslash(self, tenant: Tenant, now: datetime, secret: Setting[str]) -> None:
        await change(tenant, "test.secret", "a\\u0000b", now)

        assert await value(tenant, secret, now) == "a\\u0000b"

    async def test_leaves_the_past_alone(self, tenant: Tenant, now: datetime, limit: Setting[int]) -> None:
        with pytest.raises(BadSetting) as refusal:
            await change(tenant, "test.limit", 4, now, valid_from=now - DAY)

        assert set(refusal.value.fields) == {"valid_from"}

    async def test_of_the_firm_itself_is_not_planned(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(BadSetting):
            await change(tenant, "tenant.currency", "EUR", now, valid_from=now + DAY)

    async def test_is_refused_when_somebody_was_faster(
        self, tenant: Tenant, now: datetime, limit: Setting[int]
    ) -> None:
        await change(tenant, "test.limit", 4, now, version=0)

        with pytest.raises(MovedOn):
            await change(tenant, "test.limit", 5, now + DAY, version=0)
        await change(tenant, "test.limit", 5, now + DAY, version=1)

    async def test_keeps_a_plan_that_says_what_would_hold_anyway(
        self, tenant: Tenant, now: datetime, limit: Setting[int]
    ) -> None:
        for _ in range(2):
            await change(tenant, "test.limit", 3, now, valid_from=now + 2 * DAY)
        await change(tenant, "test.limit", 8, now, valid_from=now + DAY)

        assert [await value(tenant, limit, now + n * DAY) for n in range(3)] == [3, 8, 3]
        assert len(await audited(tenant)) == 2

    async def test_audits_old_and_new(self, tenant: Tenant, now: datetime, limit: Setting[int]) -> None:
        await change(tenant, "test.limit", 4, now)
        await change(tenant, "test.limit", 4, now + DAY)

        assert [(row["key"], row["old"], row["new"]) for row in await audited(tenant)] == [("test.limit", 3, 4)]

    async def test_audits_no_value_of_a_secret(self, tenant: Tenant, now: datetime, secret: Setting[str]) -> None:
        await change(tenant, "test.secret", "hush", now)

        assert "hush" not in repr(await audited(tenant))

    async def test_of_what_there_is_not(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(UnknownSetting):
            await change(tenant, "no.such", 1, now)


DECLARED = """
import importlib, pkgutil, sys
if sys.argv[1] == "api":
    import api.app
    api.app.create_app()
else:
    import crm
    for found in pkgutil.walk_packages(crm.__path__, "crm."):
        if not found.name.startswith("crm.migrations"):
            importlib.import_module(found.name)
from crm.tenant_settings import REGISTRY
print(*sorted(REGISTRY))
"""


def declared(by: str) -> list[str]:
    """Return the settings that a process of its own knows."""
    done = subprocess.run([sys.executable, "-c", DECLARED, by], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


class TestRegistry:
    def test_is_the_page_of_the_documentation(self, database: str) -> None:
        page = subprocess.run(
            [sys.executable, "-m", "tests.settings_page"], capture_output=True, text=True, check=True
        ).stdout  # fmt: skip

        assert settings_page.PATH.read_text() == page, f"run python -m tests.settings_page > {settings_page.PATH}"

    def test_of_the_http_door_is_the_whole(self, database: str) -> None:
        everything = declared("crm")

        assert "tenant.name" in everything
        assert declared("api") == everything, "name the declaring module in api/routers/settings.py"

    def test_shows_every_default_as_json_of_its_own_kind(self) -> None:
        for setting in tenant_settings.REGISTRY.values():
            assert setting.kind.json_schema()
            if setting.column is None:
                assert setting.kind.validate_python(setting.shown(setting.default)) == setting.default
            assert set(setting.labels) == {"tr", "en"}
            assert all(setting.labels.values())
