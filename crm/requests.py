"""The request log (OBS-3): one row per request, written in batches beside the work, read as API health."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import structlog

from crm import db, logs
from crm.actor import Actor
from crm.db import Tx

log = structlog.get_logger("crm.requests")

Line = tuple[UUID, datetime, str, str, int, float, UUID | None, UUID]
"""Tenant, instant (UTC), route template, method, status, milliseconds, user, trace id."""

EVERY = 1.0
"""Seconds between two writings."""
AT_MOST = 50_000
"""Lines held while the database does not answer; what comes after is dropped and counted."""

INSERT = """
insert into crm.request_log (tenant_id, at, route, method, status_code, duration_ms, user_id, trace_id)
select * from unnest(
  $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::int[], $6::real[], $7::uuid[], $8::uuid[])
"""


async def write(lines: Sequence[Line]) -> None:
    """Store lines of the request log, one statement and transaction for each tenant among them."""
    for tenant_id, of_tenant in groupby(sorted(lines, key=itemgetter(0)), key=itemgetter(0)):
        columns = list(zip(*of_tenant, strict=True))
        async with db.transaction(Actor.system(tenant_id)) as tx:
            await tx.execute(INSERT, *columns)


def _words(line: Line) -> dict[str, object]:
    """Return a line as it is printed."""
    tenant_id, at, route, method, status, ms, user_id, trace_id = line
    return {
        "event": "request", "level": "info", "timestamp": at, "method": method, "route": route, "status": status,
        "ms": round(ms, 2), "trace_id": trace_id.hex, "tenant_id": tenant_id, "user_id": user_id,
    }  # fmt: skip


class Writer:
    """Takes lines without waiting; prints them and writes them to the table once a second.

    A process that dies loses the last second of its request log: it is a measurement, not a record of the business.
    """

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._unwritten: list[Line] = []
        self._dropped = 0

    def take(self, line: Line) -> None:
        """Hold one line until the next writing."""
        if len(self._lines) < AT_MOST:
            self._lines.append(line)
        else:
            self._dropped += 1

    async def flush(self) -> None:
        """Print and write what is held; when the database refuses, hold it for the next time."""
        fresh, self._lines = self._lines, []
        logs.write(_words(line) for line in fresh)
        lines, self._unwritten = [*self._unwritten, *fresh][:AT_MOST], []
        if not lines:
            return
        try:
            await write(lines)
        except Exception as error:  # whatever it is, requests go on without their log
            log.warning("request_log_not_written", lines=len(lines), dropped=self._dropped, error=type(error).__name__)
            self._unwritten = lines

    async def run(self) -> None:
        """Write once a second until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                await self.flush()
        finally:
            await self.flush()


HEALTH = """
select route, method, count(*)::int as requests,
       count(*) filter (where status_code >= 500)::int as errors,
       percentile_cont(0.5) within group (order by duration_ms)::float8 as p50_ms,
       percentile_cont(0.95) within group (order by duration_ms)::float8 as p95_ms
  from crm.request_log
 where tenant_id = $1::uuid and at >= $2::timestamptz and at < $3::timestamptz
 group by route, method
 order by requests desc, route, method
"""


async def health(tx: Tx, *, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Return requests, server errors, median and p95 in milliseconds of each route of the actor's tenant."""
    rows = await tx.fetch(HEALTH, tx.actor.tenant_id, since, until)
    return [dict(row) for row in rows]


async def forget(tx: Tx, *, before: datetime) -> int:
    """Delete the tenant's rows older than an instant; return how many they were."""
    done = await tx.execute(
        "delete from crm.request_log where tenant_id = $1::uuid and at < $2::timestamptz", tx.actor.tenant_id, before
    )
    return int(done.split()[-1])
