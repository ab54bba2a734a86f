"""How a connection's source behaves: failures in a row, the alert about them, and until when it is left in peace."""

from datetime import datetime, timedelta
from random import uniform
from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm import events, tenant_settings
from crm.db import Tx
from crm.operation import operation

ALERT_AFTER = tenant_settings.declare(
    "connection.alert_after",
    Annotated[int, Field(ge=1, le=1000)],
    5,
    tr="Bağlantı uyarısından önce art arda hata sayısı",
    en="Failures in a row before a connection raises an alert",
)


LONGEST_REST = 300.0
"""Seconds for which a source that keeps failing is left in peace, at most."""


SOON = timedelta(minutes=1)
"""What is tried again within this time anyway is left to it, and so is what somebody works on now."""


def rest_after(failures_too_many: int) -> timedelta:
    """Return how long to leave a failing source in peace: twice as long after each failure, and varied."""
    return timedelta(seconds=min(LONGEST_REST, 2.0 ** min(failures_too_many, 20)) * uniform(0.5, 1.0))


@operation("inbox.process")
async def failed(tx: Tx, connection_id: UUID, reason: str, *, wait: timedelta | None = None, now: datetime) -> None:
    """Count a failure of a connection's source; the one that makes the streak long enough raises one alert.

    `wait`: nobody asks the source for that long. A source that keeps failing is left in peace for growing times, too.
    """
    row = await tx.fetchrow(
        """insert into crm.connection_health as h
                  (tenant_id, connection_id, failures, failing_since, last_error, blocked_until, updated_at)
           values ($1::uuid, $2::uuid, 1, $4::timestamptz, $3::text, $5::timestamptz, $4::timestamptz)
           on conflict (tenant_id, connection_id) do update
              set failures = h.failures + 1, failing_since = coalesce(h.failing_since, excluded.failing_since),
                  last_error = excluded.last_error, updated_at = excluded.updated_at,
                  blocked_until = greatest(h.blocked_until, excluded.blocked_until)
           returning failures, failing_since, alerted_at""",
        tx.actor.tenant_id, connection_id, reason, now, now + wait if wait else None,
    )  # fmt: skip
    assert row is not None
    too_many = row["failures"] - await tenant_settings.value(tx, ALERT_AFTER, at=now)
    if too_many >= 0:
        await _block(tx, connection_id, now + rest_after(too_many), now)
    if row["alerted_at"] is None and too_many >= 0:
        await _set_alerted(tx, connection_id, now)
        detail = {"reason": reason, "failures": row["failures"], "since": row["failing_since"]}
        await events.record(tx, "connection", connection_id, "connection.failing", detail, at=now)
    else:
        tx.unchanged()  # a count, which is no news to anybody


async def _set_alerted(tx: Tx, connection_id: UUID, at: datetime) -> None:
    await tx.execute(
        "update crm.connection_health set alerted_at = $3::timestamptz"
        " where tenant_id = $1::uuid and connection_id = $2::uuid",
        tx.actor.tenant_id, connection_id, at,
    )  # fmt: skip


@operation("inbox.process")
async def answered(tx: Tx, connection_id: UUID, *, pause: timedelta | None = None, now: datetime) -> None:
    """End a streak of failures: the source answered. `pause`: it did, and wants to be left in peace for a while.

    Nothing is written for a source that was well before and wants no pause.
    """
    if pause:
        await _block(tx, connection_id, now + pause, now)
    ended = await tx.fetchrow(
        """update crm.connection_health h
              set failures = 0, failing_since = null, last_error = null, alerted_at = null, updated_at = $3::timestamptz
             from (select failures, failing_since, alerted_at from crm.connection_health
                    where tenant_id = $1::uuid and connection_id = $2::uuid and failures > 0 for update) was
            where h.tenant_id = $1::uuid and h.connection_id = $2::uuid
           returning was.failures, was.failing_since, was.alerted_at""",
        tx.actor.tenant_id, connection_id, now,
    )  # fmt: skip
    if ended is None or ended["alerted_at"] is None:
        tx.unchanged()
        return
    await _wake(tx, connection_id, now)
    detail = {"failures": ended["failures"], "since": ended["failing_since"]}
    await events.record(tx, "connection", connection_id, "connection.recovered", detail, at=now)


async def _wake(tx: Tx, connection_id: UUID, now: datetime) -> None:
    """Let messages that an outage put off for long be tried now; the others come soon by themselves."""
    await tx.execute(
        """update crm.inbox_message set next_attempt_at = $3::timestamptz
            where tenant_id = $1::uuid and connection_id = $2::uuid and status = 'pending' and last_error is not null
              and next_attempt_at > $4::timestamptz""",
        tx.actor.tenant_id, connection_id, now, now + SOON,
    )  # fmt: skip


async def _block(tx: Tx, connection_id: UUID, until: datetime, now: datetime) -> None:
    await tx.execute(
        """insert into crm.connection_health as h (tenant_id, connection_id, blocked_until, updated_at)
           values ($1::uuid, $2::uuid, $3::timestamptz, $4::timestamptz)
           on conflict (tenant_id, connection_id) do update
              set blocked_until = greatest(h.blocked_until, excluded.blocked_until),
                  updated_at = excluded.updated_at""",
        tx.actor.tenant_id, connection_id, until, now,
    )  # fmt: skip


async def unblock(tx: Tx, connection_id: UUID) -> None:
    """Let a source be asked again at once, within the operation that replaces its secrets."""
    await tx.execute(
        "update crm.connection_health set blocked_until = null"
        " where tenant_id = $1::uuid and connection_id = $2::uuid and blocked_until is not null",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip


async def blocked_until(tx: Tx, connection_id: UUID, *, now: datetime) -> datetime | None:
    """Return until when a source is left in peace (UTC), or None when it may be asked."""
    found: datetime | None = await tx.fetchval(
        "select blocked_until from crm.connection_health where tenant_id = $1::uuid and connection_id = $2::uuid"
        " and blocked_until > $3::timestamptz",
        tx.actor.tenant_id, connection_id, now,
    )  # fmt: skip
    return found
