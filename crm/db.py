"""The database at the edge: one tenant, one transaction, on a connection that row-level security binds."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from crm import errors
from crm.actor import Actor
from crm.settings import APP_ROLE, settings

T = TypeVar("T")

RACES = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.UniqueViolationError)
"""What two honest transactions can do to each other: the loser starts again and finds the winner's rows."""


GONE = (
    OSError,
    TimeoutError,
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # spoken to in the instant in which it was being closed
)
"""How a database that went away shows, to those who wait for it to come back."""

LASTING = ("0A", "21", "22", "23", "42", "44", "P0")
"""Classes of SQLSTATE in which the server refuses what was said to it, as often as it is said."""
UNREADY = ("42P01", "42703", "42501")
"""Among them: a table, a column or a right that is not there yet, while the product is being renewed."""


def is_gone(error: BaseException) -> bool:
    """Tell whether trouble passes by itself: a database, or another part, that is away for a while; else a defect."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state in UNREADY or not state.startswith(LASTING)
    if isinstance(error, (ValueError, DataError, IntegrityError, ProgrammingError)):  # an argument that is none, too
        return False
    return isinstance(error, GONE) or (isinstance(error, errors.CrmError) and error.retryable)


after_events: set[Callable[[], None]] = set()
"""Who wants to know, without waiting, that a transaction of this process committed events (crm.events.bell)."""


class Tx:
    """One open transaction of one tenant. SQL on the driver for what is hot, `session` (ORM) where nobody waits."""

    __slots__ = ("_connection", "_driver", "_session", "actor", "audits", "events", "idle")

    def __init__(self, connection: AsyncConnection, driver: asyncpg.Connection, actor: Actor) -> None:
        self._connection = connection
        self._driver = driver
        self._session: AsyncSession | None = None
        self.actor = actor
        self.events = 0
        self.audits = 0
        self.idle = False

    @property
    def session(self) -> AsyncSession:
        """The ORM's unit of work on this same transaction; it is flushed before the commit."""
        if self._session is None:
            self._session = AsyncSession(self._connection, expire_on_commit=False)
        return self._session

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection of this same transaction, for Core statements built at run time."""
        return self._connection

    @property
    def driver(self) -> asyncpg.Connection:
        """The asyncpg connection, for COPY and cursors."""
        return self._driver

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows of a statement with `$1` placeholders; cast each one."""
        rows: list[asyncpg.Record] = await self._driver.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row, or None."""
        return await self._driver.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        return await self._driver.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement and return the server's word on it (`UPDATE 1`)."""
        return str(await self._driver.execute(sql, *args))

    async def executemany(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement once for each row of arguments, in one round trip."""
        await self._driver.executemany(sql, rows)

    async def flush(self) -> None:
        """Send what the ORM holds back."""
        if self._session is not None:
            await self._session.flush()

    def recorded(self, *, events: int = 0, audits: int = 0) -> None:
        """Note that a statement of the caller's own wrote so many event and audit rows."""
        self.events += events
        self.audits += audits

    def unchanged(self) -> None:
        """Note that the operation found nothing to change."""
        self.idle = True


_encode = json.JSONEncoder(default=str, ensure_ascii=False).encode


def to_json(value: Any) -> str:
    """Return a value as JSON text, the form in which statements take json arguments; ids and times become text."""
    return _encode(value)


@cache
def engine() -> AsyncEngine:
    """Return this process's pool of connections under the app role, which row-level security binds.

    Autocommit keeps SQLAlchemy from opening transactions: `transaction` opens each one itself, together with its
    tenant, in one round trip.
    """
    config = settings()
    return create_async_engine(
        config.role_url(APP_ROLE),
        isolation_level="AUTOCOMMIT",
        pool_size=config.pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_use_lifo=True,  # the connection used last has everything it needs at hand
        json_serializer=to_json,
        connect_args={
            # Planning the statement that stores leads costs more than running it; its plan depends on no value.
            "server_settings": {
                "search_path": "crm,jobs",
                "application_name": "santral",
                "jit": "off",
                "plan_cache_mode": "force_generic_plan",
            },
            "statement_cache_size": 256,
        },
    )


async def close() -> None:
    """Close the pool; the next use opens a new one."""
    if engine.cache_info().currsize:
        await engine().dispose()
        engine.cache_clear()


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """Return the asyncpg connection under SQLAlchemy's; one that the server closed meanwhile is replaced first.

    SQLAlchemy does not see what we ask its driver directly, so it would hand out dead connections for ever.
    """
    driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
    while driver.is_closed():
        await connection.invalidate()
        driver = (await connection.get_raw_connection()).driver_connection
    return driver


async def ask(sql: str, *args: Any) -> list[asyncpg.Record]:
    """Run one read outside any tenant: only the doorways of the first migration answer there."""
    async with engine().connect() as connection:
        rows: list[asyncpg.Record] = await (await driver_of(connection)).fetch(sql, *args)
    return rows


@asynccontextmanager
async def bound(connection: AsyncConnection, tenant_id: UUID) -> AsyncIterator[asyncpg.Connection]:
    """Open a transaction that row-level security binds to a tenant; commit when the block ends, else roll back."""
    driver = await driver_of(connection)
    # A UUID's text holds only hex digits and dashes, so it is safe inside the statement.
    await driver.execute(f"begin; set local app.tenant_id = '{tenant_id}'")
    try:
        yield driver
        await driver.execute("commit")
    except BaseException:
        if not driver.is_closed():
            await driver.execute("rollback")
        raise


@asynccontextmanager
async def transaction(actor: Actor) -> AsyncIterator[Tx]:
    """Open one transaction for the actor's tenant; commit when the block ends, roll back when it raises."""
    async with engine().connect() as connection, bound(connection, actor.tenant_id) as driver:
        tx = Tx(connection, driver, actor)
        yield tx
        await tx.flush()
    if tx.events:
        for tell in after_events:
            tell()


async def run(actor: Actor, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Run `work` in a transaction of its own and start it again when it lost a race (deadlock, racing duplicates)."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(RACES),
        stop=stop_after_attempt(5),
        wait=wait_random_exponential(multiplier=0.01, max=0.5),
        reraise=True,
    ):
        with attempt:
            async with transaction(actor) as tx:
                return await work(tx)
    raise AssertionError("unreachable: the last attempt returns or raises")
