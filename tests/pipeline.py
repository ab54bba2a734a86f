"""Building the marts in tests: the project is parsed once a run, whatever database a test has."""

import asyncio
import fcntl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path

import asyncpg
import dagster as dg
import pytest

from crm import db
from crm.actor import Actor
from kpis import project
from orchestration import definitions, publishing, transform
from tests.conftest import settled, shelf

GOOD = ("success", "pass", "no-op")
Build = Callable[..., Awaitable[None]]


@cache
def loaded() -> dg.Definitions:
    """Return everything Dagster knows of, loaded once by each worker of a run; the project must be parsed."""
    return definitions.defs()


@pytest.fixture
def parsed(database: str) -> Path:
    """The parsed project, which this test's home shares with the run's others; made by the first that asks."""
    with open(shelf() / ".parsing", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return project.target()


@pytest.fixture
def build(parsed: Path) -> Build:
    """`await build()` runs `dbt build` on this test's database and publishes what it built; all must succeed.

    `by_firm`: domains that are built as they are when the rows of a firm break a table.
    """

    def work(arguments: Sequence[str], by_firm: Sequence[str] | None) -> None:
        found = list(transform.run([*transform.BUILD, *arguments], by_firm=by_firm))
        failed = [f"{node.node_name}: {result.message}" for node, result in found if result.status not in GOOD]
        assert not failed, failed
        assert found
        published = publishing.publish_at_hand({node.node_name for node, _ in found})
        assert not published.problems, published.problems

    async def run(*arguments: str, by_firm: Sequence[str] | None = None) -> None:
        await settled()  # a build reads up to the horizon, and tests beside this one hold it back
        await asyncio.to_thread(work, arguments, by_firm)

    return run


async def rows(tenant: Actor, sql: str) -> list[asyncpg.Record]:
    """Return what a tenant's people see of the marts."""
    async with db.transaction(tenant) as tx:
        return await tx.fetch(sql)
