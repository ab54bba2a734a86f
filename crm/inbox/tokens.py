"""Tokens of connections: how long each is good for, renewed in time, and what is foreseen of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from crm import events
from crm.db import Tx
from crm.inbox import connections
from crm.inbox.connections import Connection, Source
from crm.operation import operation
from crm.settings import settings
from crm.vault import DataKey

RENEW_BEFORE = {Source.meta: timedelta(days=15), Source.google: timedelta(minutes=15)}
"""How long before its end a token is renewed: Meta's lasts sixty days, Google's an hour."""
WARN_BEFORE = timedelta(days=7)
"""How long before its end people are told of a token that was not renewed by then."""
CHECK_EVERY = timedelta(hours=6)
"""How often Meta is asked how long its token is good for."""
MARGIN = timedelta(minutes=1)
"""A token that ends sooner is not used any more."""


class Outlook(StrEnum):
    """What is foreseen of a token."""

    unknown = "unknown"
    """Nobody has asked, or could."""
    lasting = "lasting"
    """It has no end."""
    valid = "valid"
    expiring = "expiring"
    expired = "expired"
    refused = "refused"
    """The source will not have it: somebody has to bring another."""


def outlook(status: str | None, expires_at: datetime | None, *, source: Source, now: datetime) -> Outlook:
    """Return what is foreseen of a token at an instant (UTC), by what was last heard of it."""
    if status is None:
        return Outlook.unknown
    if status == "refused":
        return Outlook.refused
    if expires_at is None:
        return Outlook.lasting
    if expires_at <= now:
        return Outlook.expired
    soon = WARN_BEFORE if source is Source.meta else MARGIN
    return Outlook.expiring if expires_at - now <= soon else Outlook.valid


@dataclass(frozen=True, slots=True)
class Task:
    """A connection whose token is to be looked after: asked about, or renewed."""

    connection_id: UUID
    source: Source
    expires_at: datetime | None
    checked_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Tell whether the source is to be asked now."""
        if self.checked_at is None:
            return True
        if self.expires_at is not None and self.expires_at - now <= RENEW_BEFORE[self.source]:
            return self.source is Source.google or now - self.checked_at >= CHECK_EVERY
        return self.source is Source.meta and now - self.checked_at >= CHECK_EVERY


async def tasks(tx: Tx, *, now: datetime) -> list[Task]:
    """Return the active connections whose token is to be looked after now."""
    rows = await tx.fetch(
        """select c.id, c.source, t.expires_at, t.checked_at from crm.connection c
             left join crm.connection_token t on t.tenant_id = c.tenant_id and t.connection_id = c.id
            where c.tenant_id = $1::uuid and c.is_active order by c.created_at, c.id""",
        tx.actor.tenant_id,
    )  # fmt: skip
    every = (Task(row["id"], Source(row["source"]), row["expires_at"], row["checked_at"]) for row in rows)
    return [task for task in every if task.is_due(now)]


async def cached(tx: Tx, connection: Connection, *, now: datetime) -> str | None:
    """Return the access token kept for a connection that is good for a while yet (Google's), or None."""
    row = await tx.fetchrow(
        "select sealed, expires_at from crm.connection_token"
        " where tenant_id = $1::uuid and connection_id = $2::uuid and status = 'valid' and sealed is not null",
        tx.actor.tenant_id, connection.id,
    )  # fmt: skip
    if row is None or (row["expires_at"] and row["expires_at"] - now <= MARGIN):
        return None
    return _key(connection.tenant_id, connection.id).open(row["sealed"])


def _key(tenant_id: UUID, connection_id: UUID) -> DataKey:
    return DataKey(tenant_id, connection_id, settings().derived(f"vault:tokens:{tenant_id}"))


@operation("inbox.process")
async def checked(tx: Tx, connection: Connection, *, expires_at: datetime | None, now: datetime) -> None:
    """Note how long a token is good for (None: without end); tell once that it ends soon and was not renewed."""
    await _note(tx, connection.id, "valid", expires_at, now=now)
    await _warn(tx, connection, expires_at, now)


@operation("inbox.process")
async def renewed(tx: Tx, connection: Connection, token: str, *, expires_at: datetime | None, now: datetime) -> None:
    """Keep the token that a source gave in place of another, and how long it is good for."""
    if connection.source is Source.meta:
        await connections.renew(tx, connection.id, access_token=token, now=now)
        await _note(tx, connection.id, "valid", expires_at, now=now)
        return
    sealed = _key(connection.tenant_id, connection.id).seal(token)
    await _note(tx, connection.id, "valid", expires_at, sealed=sealed, now=now)
    detail = {"expires_at": expires_at}
    await events.record(tx, "connection", connection.id, "connection.token_refreshed", detail, at=now)


@operation("inbox.process")
async def refused(tx: Tx, connection: Connection, reason: str, *, now: datetime) -> None:
    """Note that a source will not have a token, and tell so once; `reason` is a code."""
    before = await _note(tx, connection.id, "refused", None, reason=reason, now=now)
    if before == "refused":
        tx.unchanged()
        return
    detail = {"reason": reason}
    await events.record(tx, "connection", connection.id, "connection.token_refused", detail, at=now)


async def _note(
    tx: Tx,
    connection_id: UUID,
    status: str,
    expires_at: datetime | None,
    *,
    sealed: bytes | None = None,
    reason: str | None = None,
    now: datetime,
) -> str | None:
    """Keep what was heard of a token and return the status it had; a token with another end is news again."""
    before: str | None = await tx.fetchval(
        "select status from crm.connection_token where tenant_id = $1::uuid and connection_id = $2::uuid for update",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip
    await tx.execute(
        """insert into crm.connection_token as t
                  (tenant_id, connection_id, sealed, expires_at, status, last_error, checked_at)
           values ($1::uuid, $2::uuid, $3::bytea, $4::timestamptz, $5::text, $6::text, $7::timestamptz)
           on conflict (tenant_id, connection_id) do update
              set sealed = excluded.sealed, expires_at = excluded.expires_at, status = excluded.status,
                  last_error = excluded.last_error, checked_at = excluded.checked_at,
                  told_at = case when t.expires_at is not distinct from excluded.expires_at then t.told_at end""",
        tx.actor.tenant_id, connection_id, sealed, expires_at, status, reason, now,
    )  # fmt: skip
    return before


async def _warn(tx: Tx, connection: Connection, expires_at: datetime | None, now: datetime) -> None:
    is_soon = expires_at is not None and expires_at - now <= WARN_BEFORE
    untold = is_soon and await tx.fetchval(
        "update crm.connection_token set told_at = $3::timestamptz"
        " where tenant_id = $1::uuid and connection_id = $2::uuid and told_at is null returning true",
        tx.actor.tenant_id, connection.id, now,
    )  # fmt: skip
    if not untold:
        tx.unchanged()  # when it was looked at, which is no news to anybody
        return
    detail = {"expires_at": expires_at}
    await events.record(tx, "connection", connection.id, "connection.token_expiring", detail, at=now)
