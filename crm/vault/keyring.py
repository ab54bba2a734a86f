"""Keys of people: made ahead in batches in their own database, so that storing a lead touches one database only.

A key is committed there before anything is sealed with it. A process that dies takes its unused keys with it; they
protect nothing.
"""

import os
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from uuid import UUID

import asyncpg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from crm import db, ids
from crm.settings import APP_ROLE, settings
from crm.vault import sealing

BATCH = 256


class DataKey:
    """One person's key. It lives in memory while it is used and nowhere else in clear."""

    __slots__ = ("_binding", "_cipher", "id", "secret", "tenant_id")

    def __init__(self, tenant_id: UUID, id: UUID, secret: bytes) -> None:
        self.tenant_id = tenant_id
        self.id = id
        self.secret = secret
        self._cipher = AESGCM(secret)
        self._binding = sealing.binding(tenant_id, id)

    def seal(self, plaintext: str) -> bytes:
        """Return a text sealed under this key."""
        return sealing.seal(plaintext, self._cipher, bound_to=self._binding)

    def open(self, sealed: bytes) -> str:
        """Return the text sealed under this key.

        :raises sealing.Unreadable: when it was sealed under another, or altered.
        """
        return sealing.open_sealed(sealed, self._cipher, bound_to=self._binding)


@cache
def _engine() -> AsyncEngine:
    config = settings()
    return create_async_engine(config.keys_url(APP_ROLE), isolation_level="AUTOCOMMIT", pool_size=3, max_overflow=0)


_spare: dict[UUID, deque[DataKey]] = {}


async def close() -> None:
    """Forget the keys made ahead and close the pool."""
    _spare.clear()
    if _engine.cache_info().currsize:
        await _engine().dispose()
        _engine.cache_clear()


async def take(tenant_id: UUID, how_many: int = 1) -> list[DataKey]:
    """Return fresh keys, each committed in the keys database, each given out once."""
    spare = _spare.setdefault(tenant_id, deque())
    while len(spare) < how_many:
        spare.extend(await _make(tenant_id, max(BATCH, how_many - len(spare))))
    return [spare.popleft() for _ in range(how_many)]


async def _make(tenant_id: UUID, how_many: int) -> list[DataKey]:
    made = [DataKey(tenant_id, ids.unique(), os.urandom(32)) for _ in range(how_many)]
    await _run(
        tenant_id,
        "insert into keys.data_key (tenant_id, id, wrapped) select $1::uuid, * from unnest($2::uuid[], $3::bytea[])",
        tenant_id,
        [key.id for key in made],
        [sealing.wrap(tenant_id, key.id, key.secret) for key in made],
    )
    return made


async def find(tenant_id: UUID, key_ids: Iterable[UUID]) -> dict[UUID, DataKey]:
    """Return the keys that still exist, by id; a destroyed key is not among them."""
    rows = await _run(
        tenant_id,
        "select id, wrapped from keys.data_key"
        " where tenant_id = $1::uuid and id = any($2::uuid[]) and wrapped is not null",
        tenant_id,
        list(key_ids),
    )
    return {
        row["id"]: DataKey(tenant_id, row["id"], sealing.unwrap(tenant_id, row["id"], row["wrapped"])) for row in rows
    }


async def destroy(tenant_id: UUID, key_ids: Iterable[UUID], *, now: datetime) -> None:
    """Destroy keys: whatever was sealed under them can never be read again, in backups neither."""
    await _run(
        tenant_id,
        "update keys.data_key set wrapped = null, destroyed_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = any($2::uuid[]) and wrapped is not null",
        tenant_id,
        list(key_ids),
        now,
    )


async def _run(tenant_id: UUID, sql: str, *args: object) -> list[asyncpg.Record]:
    async with _engine().connect() as connection, db.bound(connection, tenant_id) as driver:
        rows: list[asyncpg.Record] = await driver.fetch(sql, *args)
    return rows
