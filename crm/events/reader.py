"""Reading the event log without losing rows of late commits.

A sequence number is taken before its transaction commits, so `id > last` loses what commits late. Every event carries
the id of its transaction instead. Batch readers take what lies below `pg_snapshot_xmin(pg_current_snapshot())`, the
horizon: everything there has ended. Live readers remember the snapshot of their last read and take the events of
transactions that had not ended in it: each costs one look at the index, however long another transaction stays open.
"""

from collections.abc import AsyncIterator

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from crm import db
from crm.events.log import Event

COLUMNS = """tenant_id, id, tx_id::text::bigint as tx_id, aggregate_type, aggregate_id, event_type, payload_json,
  occurred_at, created_at, actor_user_id, causation_id"""


def as_event(row: asyncpg.Record) -> Event:
    """Return a row of `COLUMNS` as an event."""
    return Event(
        row["tenant_id"], row["id"], row["tx_id"], row["aggregate_type"], row["aggregate_id"], row["event_type"],
        row["payload_json"], row["occurred_at"], row["created_at"], row["actor_user_id"], row["causation_id"],
    )  # fmt: skip


POSITION = "select tx_id::text::bigint as tx_id, id from crm.event_position($1::text)"
ADVANCE = "select crm.advance_event_position($1::text, $2::text::xid8, $3::bigint)"


class BatchReader:
    """Reads the whole log, all tenants, up to the horizon; its position is durable under its name.

    `async for batch in reader.batches()` yields lists of events in commit-safe order; the position moves past a batch
    only when the next one is asked for, so that a crash repeats a batch and never skips one.
    """

    def __init__(self, name: str, *, limit: int = 1000) -> None:
        self.name = name
        self.limit = limit

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Yield what is new until nothing is left below the horizon."""
        while True:
            position = (await db.ask(POSITION, self.name))[0]
            rows = await db.ask(
                f"select {COLUMNS} from crm.events_below_horizon($1::text::xid8, $2::bigint, $3::int)",
                str(position["tx_id"]), position["id"], self.limit,
            )  # fmt: skip
            if not rows:
                return
            yield [as_event(row) for row in rows]
            last = rows[-1]
            await db.ask(ADVANCE, self.name, str(last["tx_id"]), last["id"])


SINCE = f"""
select pg_current_snapshot()::text as seen, {COLUMNS}
  from (values (1)) as always left join crm.events_since($1::text::pg_snapshot) on true
"""


class LiveReader:
    """Reads as soon as things commit, each event once; the position lives in this object only.

    It keeps one connection of the pool: a server that crashes may give the ids of transactions it forgot to new ones,
    and losing the connection is how we hear of it. Any failure of `read` ends the reader; `start` begins it anew.
    """

    def __init__(self) -> None:
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection | None = None
        self.seen = ""
        """What was read: the snapshot (pg_snapshot) of the last look."""

    async def start(self) -> None:
        """Begin at this moment: what committed before is not delivered."""
        await self.close()
        self._connection = await db.engine().connect()
        self._driver = await db.driver_of(self._connection)
        self.seen = await self._driver.fetchval("select pg_current_snapshot()::text")

    async def read(self) -> list[Event]:
        """Return the events that became visible since the last call, ordered by transaction and id.

        A reader that was not started starts. One whose read failed must be started again, and its owner must find
        out in another way what happened in between.
        """
        if self._driver is None:
            await self.start()
            return []
        try:
            rows = await self._driver.fetch(SINCE, self.seen)
        except BaseException:
            await self.close()
            raise
        self.seen = rows[0]["seen"]
        found = [as_event(row) for row in rows if row["id"] is not None]
        return sorted(found, key=lambda event: (event.tx_id, event.id))

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()
