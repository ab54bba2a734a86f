"""Commit-safe reading: many writers, long ones among them, and no event lost or doubled."""

import asyncio
import json
import random
from collections import Counter
from contextlib import AsyncExitStack

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import db, events, ids
from crm.chores import GONE
from crm.events import BatchReader, LiveReader

INSERT = """
insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, occurred_at)
values ($1::uuid, 'test', $2::uuid, 'test.written', now()) returning id
"""


class Writers:
    """Connections past the pool, so that many transactions can be open at once."""

    def __init__(self, tenant_id, connections):
        self.tenant_id = tenant_id
        self.free = connections
        self.committed: list[int] = []

    async def write(self, how_many, *, hold=0.0, rolls_back=False, subtransactions=False):
        """Write events in one transaction, slowly if asked, and commit or roll back."""
        connection = self.free.pop()
        written = []
        transaction = connection.transaction()
        await transaction.start()
        for n in range(how_many):
            if subtransactions:
                written += await self._in_subtransaction(connection, rolls_back=n % 3 == 2)
            else:
                written.append(await connection.fetchval(INSERT, self.tenant_id, ids.new()))
            await asyncio.sleep(hold / how_many)
        if rolls_back:
            await transaction.rollback()
        else:
            await transaction.commit()
            self.committed += written
        self.free.append(connection)

    async def _in_subtransaction(self, connection, *, rolls_back):
        inner = connection.transaction()
        await inner.start()
        written = await connection.fetchval(INSERT, self.tenant_id, ids.new())
        if rolls_back:
            await inner.rollback()
            return []
        await inner.commit()
        return [written]


@pytest.fixture
async def writers(database, tenant):
    async with AsyncExitStack() as stack:

        async def open_connections(how_many):
            connections = [await asyncpg.connect(database) for _ in range(how_many)]
            for connection in connections:
                stack.push_async_callback(connection.close)
            return Writers(tenant.id, connections)

        yield open_connections


async def read_all(reader, *, until):
    """Read again and again until `until` is done, and once more after it."""
    found = []
    while not until.done():
        found += [event.id for event in await reader.read()]
        await asyncio.sleep(0.002)
    return found + [event.id for event in await reader.read()]


async def batches(reader, *, until=None, at_least=0):
    """Read batches until `until` is done, once more after it, and on until there were so many events.

    The horizon is the whole server's: tests beside this one hold it back with their own transactions.
    """
    found = []
    async with asyncio.timeout(60):
        while True:
            last = until is None or until.done()
            async for batch in reader.batches():
                found += [(event.tx_id, event.id) for event in batch]
            if last and len(found) >= at_least:
                return found
            await asyncio.sleep(0.005)


async def crowd(writers, *, seed, seconds, connections):
    """Let every connection write transactions of all kinds for a while."""
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds

    async def one(is_slow):
        while loop.time() < deadline:
            await writers.write(
                chance.randint(1, 4),
                hold=seconds * chance.random() if is_slow else chance.choice([0, 0, 0.01]),
                rolls_back=chance.random() < 0.15,
                subtransactions=chance.random() < 0.3,
            )

    await asyncio.gather(*(one(n < connections // 8) for n in range(connections)))


class TestManyWriters:
    async def test_nothing_is_lost_or_doubled_by_either_reader(self, writers):
        of_crowd = await writers(50)
        live, batch = LiveReader(), BatchReader("test", limit=97)
        await live.start()

        writing = asyncio.ensure_future(crowd(of_crowd, seed=7, seconds=2, connections=50))
        seen_live, seen_batch, _ = await asyncio.gather(
            read_all(live, until=writing), batches(batch, until=writing), writing
        )
        seen_batch += await batches(batch, at_least=len(of_crowd.committed) - len(seen_batch))
        await live.close()

        assert len(of_crowd.committed) > 300
        assert Counter(seen_live) == Counter(of_crowd.committed)
        assert Counter(id for _, id in seen_batch) == Counter(of_crowd.committed)
        assert seen_batch == sorted(seen_batch)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 4)),
        st.tuples(st.just("write"), st.integers(0, 4)),
        st.tuples(st.just("savepoint"), st.integers(0, 4)),
        st.tuples(st.just("undo"), st.integers(0, 4)),
        st.tuples(st.just("commit"), st.integers(0, 4)),
        st.tuples(st.just("rollback"), st.integers(0, 4)),
        st.tuples(st.just("read"), st.none()),
    ),
    max_size=40,
)


class Story:
    """Five connections that begin, write, undo, commit and roll back in a given order; a model of what is visible."""

    def __init__(self, tenant_id, connections):
        self.tenant_id = tenant_id
        self.connections = connections
        self.open: dict[int, list[list[int]]] = {}
        self.visible: list[int] = []

    async def do(self, step, which):
        connection, levels = self.connections[which], self.open.get(which)
        if step == "begin" and levels is None:
            await connection.execute("begin")
            self.open[which] = [[]]
        elif step == "write":
            written = await connection.fetchval(INSERT, self.tenant_id, ids.new())
            (self.visible if levels is None else levels[-1]).append(written)
        elif step == "savepoint" and levels:
            await connection.execute("savepoint s")
            levels.append([])
        elif step == "undo" and levels and len(levels) > 1:
            await connection.execute("rollback to savepoint s; release savepoint s")
            levels.pop()
        elif step == "commit" and levels:
            await connection.execute("commit")
            self.visible += [each for level in self.open.pop(which) for each in level]
        elif step == "rollback" and levels:
            await connection.execute("rollback")
            del self.open[which]


class TestAnyInterleaving:
    async def test_a_live_read_delivers_exactly_what_became_visible(self, database, tenant):
        connections = [await asyncpg.connect(database) for _ in range(5)]
        loop = asyncio.get_running_loop()

        async def follow(steps):
            story, reader, seen = Story(tenant.id, connections), LiveReader(), []
            await reader.start()
            for step, which in steps:
                if step == "read":
                    seen += [event.id for event in await reader.read()]
                    assert Counter(seen) == Counter(story.visible)
                else:
                    await story.do(step, which)
            seen += [event.id for event in await reader.read()]
            for which in story.open:
                await connections[which].execute("rollback")
            await reader.close()
            assert Counter(seen) == Counter(story.visible)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(STEPS)
        def any_order(steps):
            asyncio.run_coroutine_threadsafe(follow(steps), loop).result(20)

        await asyncio.to_thread(any_order)
        for connection in connections:
            await connection.close()


class TestLiveReader:
    async def test_delivers_while_another_transaction_stays_open(self, writers, tenant, now):
        few = await writers(2)
        reader = LiveReader()
        await reader.start()
        slow = asyncio.ensure_future(few.write(1, hold=0.3))
        await asyncio.sleep(0.05)

        async with db.transaction(tenant.system) as tx:
            await events.record(tx, "test", ids.new(), "test.written", {"code": "x"}, at=now)
        at_once = await reader.read()
        await slow
        late = await reader.read()

        assert [event.payload for event in at_once] == [{"code": "x"}]
        assert [event.id for event in late] == few.committed
        assert await reader.read() == []
        await reader.close()

    async def test_touches_only_what_is_new_however_long_another_stays_open(self, large_log, tenant):
        held = await asyncpg.connect(large_log)
        transaction = held.transaction()
        await transaction.start()
        await held.execute(INSERT, tenant.id, ids.new())
        await fill(large_log, tenant)

        seen = await held.fetchval("select pg_current_snapshot()::text")

        assert await pages_touched(large_log, f"crm.events_since('{seen}'::pg_snapshot)") < 100
        await transaction.rollback()
        await held.close()

    async def test_begins_anew_after_it_was_cut_off(self, database, tenant):
        reader = LiveReader()
        await reader.start()
        admin = await asyncpg.connect(database)
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'santral_app' and datname = current_database()"
        )

        with pytest.raises(GONE):
            await reader.read()

        await reader.start()
        admin_id = await admin.fetchval(INSERT, tenant.id, ids.new())
        assert [event.id for event in await reader.read()] == [admin_id]
        await reader.close()
        await admin.close()


async def fill(database, tenant, how_many=20000):
    """Write so many events in one transaction, a few hundred pages of table."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, occurred_at)"
        " select $1::uuid, 'test', gen_random_uuid(), 'test.written', now() from generate_series(1, $2::int)",
        tenant.id,
        how_many,
    )
    await connection.execute("analyze crm.event_log")  # so few transactions tempt the planner to read it all
    await connection.close()


@pytest.fixture
async def large_log(database, tenant):
    await fill(database, tenant)
    return database


async def pages_touched(database, function):
    """Return how many pages a doorway of the log reads to answer, as a plan of no particular argument."""
    connection = await asyncpg.connect(database)
    await connection.execute(f"select count(*) from {function}")
    plan = await connection.fetchval(f"explain (analyze, buffers, format json) select count(*) from {function}")
    await connection.close()
    node = json.loads(plan)[0]["Plan"]
    return node["Shared Hit Blocks"] + node["Shared Read Blocks"]


class TestBatchReader:
    async def test_a_crash_repeats_the_batch_it_interrupted(self, writers):
        few = await writers(1)
        for _ in range(5):
            await few.write(1)

        first = []
        while not first:
            async for batch in BatchReader("test", limit=2).batches():
                first = [event.id for event in batch]
                break  # dies in the middle of its work
        again = [id for _, id in await batches(BatchReader("test", limit=2), at_least=5)]

        assert again[: len(first)] == first
        assert again == few.committed

    async def test_stops_below_a_transaction_that_is_open(self, writers):
        few = await writers(2)
        await few.write(1)
        slow = asyncio.ensure_future(few.write(1, hold=0.3))
        await asyncio.sleep(0.1)
        await few.write(1)

        early = await batches(BatchReader("test"))
        await slow
        late = await batches(BatchReader("test"), at_least=3 - len(early))

        assert [id for _, id in early] in ([], few.committed[:1])
        assert sorted(id for _, id in early + late) == sorted(few.committed)

    async def test_readers_have_positions_of_their_own(self, writers):
        few = await writers(1)
        await few.write(3)

        one, other = [await batches(BatchReader(name), at_least=3) for name in ("one", "other")]

        assert one == other
        assert len(one) == 3

    async def test_touches_one_batch_of_a_large_log(self, large_log):
        assert await pages_touched(large_log, "crm.events_below_horizon('0'::xid8, 0, 100)") < 100
