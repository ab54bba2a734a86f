"""What the platform measures of itself, kept by the minute: whether it answers, and how long events wait to be read.

Numbers are made of it by the pipeline (KPI.md section 7). They are measurements, not records of the business: a process
that dies loses those of its last minute.
"""

from bisect import bisect_left
from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from crm import db, ids, tenant_settings
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.db import Tx
from crm.events import Event

LAG_BOUNDS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000)
"""Upper bounds of the buckets in which waiting is counted; one more bucket holds what is above them."""


class Maintenance(BaseModel):
    """A time announced beforehand in which the product may be away: `[begins, ends)`."""

    model_config = ConfigDict(extra="forbid")

    begins: AwareDatetime
    ends: AwareDatetime


MAINTENANCE: tenant_settings.Setting[list[Maintenance]] = tenant_settings.declare(
    "platform.maintenance", list[Maintenance], [],
    tr="Duyurulan bakım zamanları", en="Announced times of maintenance",
)  # fmt: skip


async def note_probe(tx: Tx, *, is_ok: bool, duration_ms: float, now: datetime) -> None:
    """Note what a probe of the API found in the minute of `now` (UTC); the first probe of a minute counts.

    Nothing is noted until a probe was answered well: what still starts for the first time is not down.
    """
    announced = await tenant_settings.value(tx, MAINTENANCE, at=now)
    is_announced = any(each.begins <= now < each.ends for each in announced)
    await tx.execute(
        "insert into crm.probe (tenant_id, minute_at, is_ok, duration_ms, is_maintenance)"
        " select $1::uuid, $2::timestamptz, $3::bool, $4::real, $5::bool"
        " where $3::bool or exists (select from crm.probe where tenant_id = $1::uuid) on conflict do nothing",
        tx.actor.tenant_id, minute_of(now), is_ok, duration_ms, is_announced,
    )  # fmt: skip


def minute_of(instant: datetime) -> datetime:
    """Return the minute an instant is in."""
    return instant.replace(second=0, microsecond=0)


KEEP = """
insert into crm.event_lag_1m as held (tenant_id, minute_at, reader_id, counts)
values ($1::uuid, $2::timestamptz, $3::uuid, $4::int[])
on conflict (tenant_id, minute_at, reader_id) do update
  set counts = array(select a + b from unnest(held.counts, excluded.counts) as each(a, b))
"""


async def keep_lags(tx: Tx, reader_id: UUID, minute: datetime, counts: list[int]) -> None:
    """Add to what a reader counted of a minute: events by how long they had waited (`LAG_BOUNDS_MS`)."""
    await tx.execute(KEEP, tx.actor.tenant_id, minute, reader_id, counts)


async def forget(tx: Tx, *, before: datetime) -> None:
    """Delete the tenant's measurements of minutes before an instant (UTC); the marts keep what was made of them."""
    for table in ("probe", "event_lag_1m"):
        await tx.execute(
            f"delete from crm.{table} where tenant_id = $1::uuid and minute_at < $2::timestamptz",
            tx.actor.tenant_id, before,
        )  # fmt: skip


class Lags(Chore):
    """Counts how long events had waited when this process read them, and writes the counts once a minute."""

    name = "lags"
    every = 60.0

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.reader_id = ids.new()
        self._counts: dict[UUID, dict[datetime, list[int]]] = defaultdict(dict)

    def hear(self, event: Event) -> None:
        """Count an event by the milliseconds since it was recorded."""
        now = self.clock()
        waited_ms = (now - event.created_at) / timedelta(milliseconds=1)
        empty = [0] * (len(LAG_BOUNDS_MS) + 1)
        self._counts[event.tenant_id].setdefault(minute_of(now), empty)[bisect_left(LAG_BOUNDS_MS, waited_ms)] += 1

    async def work(self, tenant_id: UUID) -> None:
        """Write what was counted of a tenant since the last time."""
        counted = self._counts.pop(tenant_id, {})
        if counted:
            async with db.transaction(Actor.system(tenant_id)) as tx:
                for minute, counts in counted.items():
                    await keep_lags(tx, self.reader_id, minute, counts)
