"""`kill -9` in the middle of building and of publishing marts: run again, they hold what they would have held."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from hypothesis import settings

from crm.leads.rules import Status
from orchestration import warehouse
from tests.conftest import Tenant, settled
from tests.dbt_project import golden
from tests.pipeline import Build, build, parsed

__all__ = ["build", "parsed"]

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

LEADS = ("--select", "tag:leads", "--exclude-resource-type", "test")
BUILDING = f"""
from orchestration import publishing, transform, warehouse
with warehouse.one_writer():
    publishing.begin({{"leads"}})
    found = list(transform.run([*transform.BUILD, *{LEADS!r}]))
    failed = [f"{{node.node_name}}: {{result.message}}" for node, result in found if result.status != "success"]
    publishing.end({{"leads"}}, failed=failed)
    assert not failed, failed
    assert not (problems := publishing.publish().problems), problems
"""
"""As the pipeline does it, without Dagster around it."""
TABLES = ("fct_lead_stage_interval", "fct_lead_cycle", "fct_lead_assignment_interval", "fct_activity", "fct_sla_timer")
AT_RANDOM = 25 if settings.default is not None and settings.default.max_examples > 100 else 0
"""How many more times the long runs kill, at any moment."""
BEGINNING_S = 6
"""About how long a process needs before it builds."""
State = tuple[str, ...]


def start() -> subprocess.Popen[bytes]:
    """Build and publish, in a process of its own."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-c", BUILDING])


def state(connection: psycopg.Connection, schema: str) -> State:
    """Return the hash of each table's rows, all of one moment."""
    hashes = ", ".join(
        f"(select md5(coalesce(string_agg(t::text, ';' order by t::text), '')) from {schema}.{name} as t)"
        for name in TABLES
    )
    row = connection.execute(f"select {hashes}").fetchone()
    assert row is not None
    return tuple(row)


@contextmanager
def watched() -> Iterator[set[State]]:
    """Read what is published over and over meanwhile; yields what was seen."""
    seen: set[State] = set()
    stop = threading.Event()

    def look() -> None:
        with warehouse.connect() as connection:
            while not stop.wait(0.02):
                seen.add(state(connection, "published"))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield seen
    finally:
        stop.set()
        reader.join()


def kill_at(table: str) -> None:
    """Start a build, let it come to where it writes a table, and kill it there."""
    waits = "select exists (select from pg_locks where not granted and relation = to_regclass(%s))"
    with warehouse.connect() as holder, warehouse.connect() as looker, holder.transaction():
        holder.execute(f"lock table {table} in share row exclusive mode")  # who reads goes on
        process, deadline = start(), time.monotonic() + 240
        while looker.execute(waits, (table,)).fetchone() == (False,):
            assert process.poll() is None, "it ended before it came there"
            assert time.monotonic() < deadline, "it does not come there"
            time.sleep(0.01)
        process.kill()
        process.wait()


def kill_after(seconds: float) -> None:
    """Start a build and kill it some time later, wherever it is."""
    process = start()
    time.sleep(seconds)
    process.kill()
    process.wait()


async def _finish() -> float:
    """Build and publish, undisturbed, in this process, which is there already; return how many seconds it took."""
    began = time.monotonic()
    await asyncio.to_thread(exec, BUILDING, {})
    return time.monotonic() - began


async def test_of_building_and_of_publishing(build: Build, tenant: Tenant):
    leads, desk = await golden.play(tenant), golden.Desk(tenant)
    await build(*LEADS)
    await desk.lead("google")
    await desk.call(leads["eight"], 90, outcome="answered")
    await desk.move(leads["five"], Status.recycled, day=20)
    await settled()
    with warehouse.connect() as connection, watched() as seen:
        before = state(connection, "published")

        await asyncio.to_thread(kill_at, "marts.fct_lead_cycle")
        half_built = state(connection, "marts")
        await asyncio.to_thread(kill_at, "published.fct_lead_cycle")
        half_published = state(connection, "published")
        took = await _finish()
        after, were_seen = state(connection, "published"), set(seen)

        assert half_built[0] != before[0], "what comes before the table it died in was built"
        assert half_built[1] == before[1], "that table was not"
        assert half_published == before, "what was moved before it died is not seen"
        assert before != after
        assert were_seen <= {before, after}, "readers see the one or the other"
        if AT_RANDOM:
            after = await _at_random(desk, connection, took)
    await build("--full-refresh", "--select", *TABLES, "--exclude-resource-type", "test")

    with warehouse.connect() as connection:
        assert state(connection, "published") == state(connection, "marts") == after


async def _at_random(desk: golden.Desk, connection: psycopg.Connection, took: float) -> State:
    """Kill builds at any moment, with news before each; return what is published by the one that is left alone."""
    chance = random.Random(3)
    for n in range(AT_RANDOM):
        lead = await desk.lead("meta")
        await desk.call(lead, 60 * n, outcome="answered")
        await asyncio.to_thread(kill_after, chance.uniform(0, took + BEGINNING_S))
    await settled()
    await _finish()
    return state(connection, "published")
