"""Real PostgreSQL for every test: one server a run, one database a test, cloned from a migrated template."""

import asyncio
import base64
import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import hypothesis
import psycopg
import pytest
from sqlalchemy.engine import make_url
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from cli.postgres import server
from crm import db, ids, migrations, vault
from crm.actor import Actor
from crm.settings import settings
from crm.users import rules

HOME = "SANTRAL_TEST_HOME"
TEMPLATE = "santral_template"
KEYS = "santral_test_keys"
NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
"""A Tuesday, half past twelve in Istanbul."""


hypothesis.settings.register_profile("quick", deadline=None)  # how long an example takes says nothing of the code
hypothesis.settings.load_profile("quick")
hypothesis.settings.register_profile("soak", max_examples=10_000, deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """Give the run (all its workers) one folder for its server."""
    os.environ.setdefault("SANTRAL_ENVIRONMENT", "demo")
    os.environ.setdefault("SANTRAL_SECRET", base64.b64encode(b"a secret for tests, 32 bytes ok!").decode())
    if HOME not in os.environ:
        os.environ[HOME] = tempfile.mkdtemp(prefix="santral-test-", dir=_quick_place())
        os.chmod(os.environ[HOME], 0o755)
        config.stash[_OWNER] = Path(os.environ[HOME])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what one worker does alone begin first, and the many short ones come last: nobody waits at the end."""
    items.sort(key=lambda item: (item.get_closest_marker("xdist_group") is None, item.path.is_relative_to(_SHORT)))


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage: it lives as long as the run, a million objects."""
    gc.collect()
    gc.freeze()


_SHORT = Path(__file__).parent / "crm"


def _quick_place() -> str | None:
    """Return a folder in memory where there is one with room: each test makes and removes some six hundred files."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 8 << 30
    return str(memory) if has_room else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's folder; the server stopped with its last user."""
    if home := config.stash.get(_OWNER, None):
        os.environ.pop(HOME, None)
        target = home / "postgres"
        if target.is_symlink():
            shutil.rmtree(target.resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


_OWNER: pytest.StashKey[Path] = pytest.StashKey()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The owner's address of the run's server, without durability: its data dies with the run."""
    with server(Path(os.environ[HOME]), fast=True) as url:
        yield url


def at(url: str, database: str) -> str:
    """Return the same server's address for another database."""
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a migrated, empty database to clone; made by the first worker that asks."""
    with open(Path(os.environ[HOME]) / "template", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if lock.tell() == 0:
            with pytest.MonkeyPatch.context() as patch:
                _point_at(patch, server_url, TEMPLATE)
                asyncio.run(migrations.prepare())
            lock.write("ready")
    return TEMPLATE


def _point_at(patch: pytest.MonkeyPatch, server_url: str, name: str) -> None:
    patch.setenv("DATABASE_URL", at(server_url, name))
    patch.setenv("SANTRAL_KEYS_DATABASE_URL", at(server_url, KEYS))
    settings.cache_clear()


@pytest.fixture(scope="session")
def maintenance(server_url: str) -> Iterator[psycopg.Connection]:
    """One connection of the server's owner a worker, to make and remove databases: a new one each time costs more."""
    with psycopg.connect(at(server_url, "postgres"), autocommit=True) as connection:
        yield connection


@retry(retry=retry_if_exception_type(psycopg.errors.ObjectInUse), stop=stop_after_delay(20), wait=wait_fixed(0.1))
def clone(maintenance: psycopg.Connection, name: str, template: str) -> None:
    """Clone a database; whoever looks into it at this moment (autovacuum, a session that is closing) soon leaves."""
    maintenance.execute(f'create database "{name}" template {template} strategy file_copy')


@pytest.fixture
async def database(
    maintenance: psycopg.Connection, server_url: str, template: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[str]:
    """A database of this test's own under `DATABASE_URL`, which child processes inherit; yields the owner's address."""
    name = f"t_{ids.new().hex}"
    clone(maintenance, name, template)
    _point_at(monkeypatch, server_url, name)
    monkeypatch.setenv("SANTRAL_HOME", str(_home(tmp_path)))
    settings.cache_clear()
    yield at(server_url, name)
    await db.close()
    await vault.close()
    settings.cache_clear()
    maintenance.execute(f'drop database "{name}" with (force)')


def _home(folder: Path) -> Path:
    """Return a home with the project that tests of the run share: parsing it takes ten seconds."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "dbt").symlink_to(shelf())
    return home


def shelf() -> Path:
    """Return the folder of what all tests of the run share of the parsed project."""
    found = Path(os.environ[HOME]) / "dbt"
    found.mkdir(exist_ok=True)
    return found


@pytest.fixture
def now() -> datetime:
    """The instant at which tests happen."""
    return NOW


@dataclass(frozen=True)
class Tenant:
    """A small firm: one team, one person of each role (the agent takes leads), all by their actors."""

    id: UUID
    team_id: UUID
    actors: dict[str, Actor]

    @property
    def system(self) -> Actor:
        """The system acting for this tenant."""
        return Actor.system(self.id)

    def __getattr__(self, role: str) -> Actor:
        """Return the actor of a role: `tenant.admin`, `tenant.sales_agent`."""
        try:
            return self.actors[role]
        except KeyError:
            raise AttributeError(role) from None


async def make_tenant(slug: str, *, now: datetime = NOW) -> Tenant:
    """Create a tenant with a default team and one user of each role."""
    tenant_id, team_id = ids.new(), ids.new()
    actors = {
        role: Actor(tenant_id, ids.new(), team_id, frozenset({role}), rules.permissions_of([role]))
        for role in rules.ROLES
    }
    async with db.transaction(Actor.system(tenant_id)) as tx:
        await tx.execute(
            "insert into crm.tenant (tenant_id, slug, name, created_at)"
            " values ($1::uuid, $2::text, $2::text, $3::timestamptz)",
            tenant_id, slug, now,
        )  # fmt: skip
        await tx.execute(
            "insert into crm.team (tenant_id, id, name, is_default, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, 'Sales', true, $3::timestamptz, $3::timestamptz)",
            tenant_id, team_id, now,
        )  # fmt: skip
        await tx.execute(
            "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at)"
            " select $1::uuid, id, role || '@' || $4::text || '.example', role, array[role], $5::uuid,"
            " $6::timestamptz, $6::timestamptz from unnest($2::uuid[], $3::text[]) as u (id, role)",
            tenant_id, [actor.user_id for actor in actors.values()], list(actors), slug, team_id, now,
        )  # fmt: skip
        await tx.execute(
            "insert into crm.routing_member (tenant_id, team_id, user_id, updated_at)"
            " values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz)",
            tenant_id, team_id, actors["sales_agent"].user_id, now,
        )  # fmt: skip
    return Tenant(tenant_id, team_id, actors)


@pytest.fixture
async def tenant(database: str) -> Tenant:
    """One small firm in this test's database."""
    return await make_tenant("acme")


@pytest.fixture
async def other_tenant(tenant: Tenant) -> Tenant:
    """A second firm beside the first, to be kept apart from it."""
    return await make_tenant("rival")


async def settled() -> None:
    """Wait until batch readers may read whatever is committed now, but for what this test itself holds open.

    Their horizon is the whole server's: transactions of tests beside this one, in databases of their own, hold it back.
    """
    [now_known] = await db.ask(
        "select least(pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
        " (select min(backend_xid::text::bigint) from pg_stat_activity where datname = current_database())) as goal"
    )
    async with asyncio.timeout(60):
        while True:
            [seen] = await db.ask("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon")
            if seen["horizon"] >= now_known["goal"]:
                return
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of real data; tests on it skip with a reason where it is not at hand."""
    folder = os.environ.get("SANTRAL_SAMPLE_DATA")
    if not folder or not (Path(folder) / "data").is_dir():
        pytest.skip("SANTRAL_SAMPLE_DATA does not name a folder with data/")
    return Path(folder) / "data"
