"""Tenants: the few questions asked before one is known, and making a new one."""

from typing import Any
from uuid import UUID

import asyncpg

from crm import db


async def ask(question: str, *args: Any) -> list[asyncpg.Record]:
    """Run one read outside any tenant: only the doorways of the first migration answer there."""
    async with db.engine().connect() as connection:
        driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection  # type: ignore[assignment]
        return await driver.fetch(question, *args)


async def tenants() -> list[UUID]:
    """Return every tenant of this installation."""
    return [row[0] for row in await ask("select crm.tenants()")]


async def by_slug(slug: str) -> UUID | None:
    """Return the tenant of that short name, or None."""
    rows = await ask("select crm.tenant_by_slug($1::text)", slug)
    return rows[0][0] if rows else None
