"""Trying again what may pass, and never what cannot: the one place that tells them apart.

A refused connection, a lock that two wanted, a server that restarts: the same work succeeds a moment later. A wrong
statement, a broken rule, a refused permission fails the same way for ever: repeating it hides it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import dagster as dg
import httpx
import psycopg

TRIES = 3
"""Times a step is tried again."""
PAUSE = 5.0
"""Seconds before the first of them; twice as many before each next one."""

TRANSIENT = (
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
    psycopg.errors.TooManyConnections,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
    asyncpg.PostgresConnectionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    httpx.TransportError,
    ConnectionError,
    TimeoutError,
)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same work may succeed a moment later."""
    if isinstance(error, TRANSIENT):
        return True
    # A connection that was refused or lost has no SQLSTATE; a refused password, say, has one.
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None


@contextmanager
def transient(tried: int = 0) -> Iterator[None]:
    """Have Dagster try a step again when what goes wrong inside may pass; what cannot pass fails at once, for good.

    `tried`: how often it was tried again so far (`context.retry_number`).
    """
    try:
        yield
    except (dg.RetryRequested, dg.Failure):
        raise
    except Exception as error:
        if is_transient(error):
            raise dg.RetryRequested(max_retries=TRIES, seconds_to_wait=PAUSE * 2**tried) from error
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error
