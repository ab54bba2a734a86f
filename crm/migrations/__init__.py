"""Bringing a server from nothing to ready: roles, databases, tables, the job queue's own schema.

`prepare` is idempotent, quick when nothing is to be done, and safe to call from several processes at once: an advisory
lock lets one work while the others wait.
"""

import asyncio
import re
from functools import cache
from pathlib import Path

import asyncpg
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from crm import errors
from crm.settings import APP_ROLE, BI_ROLES, PIPELINE_ROLE, Settings, settings

LOCK = 7_241_969
"""Advisory lock of whoever prepares this server."""
OLDEST = 15
HERE = Path(__file__).parent


class Unusable(errors.Unavailable):
    """The database cannot be used."""

    code = "database.unusable"


async def prepare(config: Settings | None = None) -> None:
    """Create what is missing of roles, databases and tables, and upgrade what is old.

    :raises Unusable: when the server refuses, is older than 15, or the owner may not create roles.
    """
    config = config or settings()
    await _create_database(config.owner_url())
    connection = await _connect(config.owner_url())
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await _create_roles(connection, config)
        await _create_if_missing(connection, config.dagster_database)
        await _create_database(config.keys_url())
        await _keep_to_ourselves(config.owner_url(config.dagster_database))
        await _keep_to_ourselves(config.keys_url(), APP_ROLE)
        await _upgrade(config.owner_url(), "versions")
        await _upgrade(config.keys_url(), "keys")
    except asyncpg.InsufficientPrivilegeError as error:
        raise Unusable(f"the owner in DATABASE_URL may not create roles and databases: {error}") from error
    finally:
        await connection.close()


async def upgrade(to: str = "head", config: Settings | None = None) -> None:
    """Move the main database's tables up to a revision."""
    await _upgrade((config or settings()).owner_url(), "versions", to=to)


async def downgrade(to: str = "base", config: Settings | None = None) -> None:
    """Move the main database's tables down to a revision; for development: data of dropped tables is gone."""
    await _upgrade((config or settings()).owner_url(), "versions", to=to, down=True)


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


async def _connect(url: URL) -> asyncpg.Connection:
    try:
        connection = await asyncpg.connect(_dsn(url), timeout=20)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        where = url.set(drivername="postgresql").render_as_string(hide_password=True)
        raise Unusable(f"no PostgreSQL answers as {where} ({error}): check DATABASE_URL and that it runs") from error
    if connection.get_server_version().major < OLDEST:
        version = connection.get_server_version().major
        await connection.close()
        raise Unusable(f"this is PostgreSQL {version}; Santral needs {OLDEST} or newer: name another in DATABASE_URL")
    return connection


async def _create_database(url: URL) -> None:
    """Create the database an address names when it does not exist yet."""
    try:
        await (await asyncpg.connect(_dsn(url), timeout=20)).close()
    except asyncpg.InvalidCatalogNameError:
        server = await _connect(url.set(database="postgres"))
        try:
            await _create_if_missing(server, str(url.database))
        finally:
            await server.close()
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return  # _connect says it in a sentence


async def _create_if_missing(connection: asyncpg.Connection, name: str) -> None:
    if await connection.fetchval("select 1 from pg_database where datname = $1", name):
        return
    try:
        await connection.execute(f'create database "{name}"')
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return  # another process was quicker


async def _keep_to_ourselves(url: URL, *roles: str) -> None:
    """Let nobody else into a database: PostgreSQL lets every login of the server in, those of BI tools among them."""
    connection = await _connect(url)
    try:
        if await connection.fetchval("select has_database_privilege('public', current_database(), 'connect')"):
            for role in roles:
                await connection.execute(f'grant connect, temporary on database "{url.database}" to {role}')
            await connection.execute(f'revoke connect, temporary on database "{url.database}" from public')
    finally:
        await connection.close()


async def _create_roles(connection: asyncpg.Connection, config: Settings) -> None:
    for role in BI_ROLES:  # nobody signs in as these: each consumer's login is a member of one
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", role):
            await connection.execute(f"create role {role} nologin nobypassrls")
    for role in (APP_ROLE, PIPELINE_ROLE):
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", role):
            await connection.execute(f"create role {role} login nobypassrls")
        if not await _signs_in(config, role):
            await connection.execute(f"alter role {role} password '{config.password_of(role)}'")


async def _signs_in(config: Settings, role: str) -> bool:
    url = config.role_url(role).set(database="postgres")
    try:
        await (await asyncpg.connect(_dsn(url), timeout=20)).close()
    except (asyncpg.PostgresError, OSError):
        return False
    return True


async def _upgrade(url: URL, folder: str, *, to: str = "head", down: bool = False) -> None:
    wanted = head(folder) if to == "head" else to
    if down or await _revision(url) != wanted:
        await asyncio.to_thread(_upgrade_now, url.set(drivername="postgresql+psycopg"), folder, to, down)


async def _revision(url: URL) -> str | None:
    """Return the revision at which a database is."""
    connection = await _connect(url)
    try:
        found: str | None = await connection.fetchval("select version_num from public.santral_version")
        return found
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()


def _upgrade_now(url: URL, folder: str, to: str, down: bool) -> None:
    # Alembic is loaded when there is something to do: it takes as long as a fifth of all a command loads.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("version_locations", str(HERE / folder))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = "santral_version"
    with create_engine(url, poolclass=NullPool).connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, to)
        connection.commit()


@cache
def head(folder: str = "versions") -> str:
    """Return the newest revision that this version of the product knows: the one its last file says it is."""
    newest = max((HERE / folder).glob("[0-9]*.py"))
    [revision] = re.findall(r'^revision = "(.+)"$', newest.read_text(), re.MULTILINE)
    return str(revision)
