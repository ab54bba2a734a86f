"""Reading the event log without losing rows of late commits.

A sequence number is taken before its transaction commits, so `id > last` loses what commits late. Every event carries
the id of its transaction; below `pg_snapshot_xmin(pg_current_snapshot())`, the horizon, everything has ended.
Batch readers take what lies below the horizon. Live readers take all they can see from their watermark on, remember
what they delivered, and move the watermark only to the horizon.
"""

from collections.abc import AsyncIterator

import asyncpg

from crm import db
from crm.events.log import Event

COLUMNS = """tenant_id, id, tx_id::text::bigint as tx_id, aggregate_type, aggregate_id, event_type, payload_json,
  occurred_at, created_at, actor_user_id, causation_id"""


def _event(row: asyncpg.Record) -> Event:
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
            yield [_event(row) for row in rows]
            last = rows[-1]
            await db.ask(ADVANCE, self.name, str(last["tx_id"]), last["id"])


class LiveReader:
    """Reads as soon as things commit, each event once; the position lives in this object only.

    `watermark`: every transaction below it has been read in full. `window`: what was delivered at or above it.
    """

    def __init__(self, *, watermark: int | None = None, window: dict[int, int] | None = None) -> None:
        self.watermark = watermark
        self.window = dict(window or {})

    async def start(self) -> None:
        """Begin at this moment: what committed before is not delivered."""
        rows = await db.ask("select (crm.event_horizon())::text::bigint as horizon")
        self.watermark = rows[0]["horizon"]
        self.window = {row["id"]: row["tx_id"] for row in await self._visible()}

    async def _visible(self) -> list[asyncpg.Record]:
        return await db.ask(
            f"select {COLUMNS} from crm.events_from($1::text::xid8)",
            str(self.watermark),
        )

    async def read(self) -> list[Event]:
        """Return the events that became visible since the last call, ordered by transaction and id.

        The horizon is taken first: whatever lies below it had ended by then, so the read after it sees all of that.
        """
        if self.watermark is None:
            await self.start()
            return []
        horizon = (await db.ask("select (crm.event_horizon())::text::bigint as horizon"))[0]["horizon"]
        rows = await self._visible()
        fresh = [row for row in rows if row["id"] not in self.window]
        self.window.update((row["id"], row["tx_id"]) for row in fresh)
        self.watermark = horizon
        self.window = {key: tx for key, tx in self.window.items() if tx >= horizon}
        return [_event(row) for row in fresh]
