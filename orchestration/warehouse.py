"""The database as the pipeline sees it: every tenant, no personal data, one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from crm.settings import PIPELINE_ROLE, settings

ONE_WRITER = 7_241_970
"""Advisory lock of whoever builds marts."""


@contextmanager
def connect() -> Iterator[psycopg.Connection]:
    """Open a connection under the pipeline's role; each statement is its own transaction."""
    url = settings().role_url(PIPELINE_ROLE, driver="psycopg").set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


@contextmanager
def one_writer() -> Iterator[None]:
    """Wait for other builds of the marts (a schedule, a command) to end, and hold off new ones while the block lasts.

    Two at once would both read from one watermark and write the same rows. The lock dies with its connection.
    """
    with connect() as connection:
        connection.execute("select pg_advisory_lock(%s)", (ONE_WRITER,))
        yield
