"""Tenants: the few questions asked before one is known, and making a new one."""

from uuid import UUID

from crm import db


async def tenants() -> list[UUID]:
    """Return every tenant of this installation."""
    return [row[0] for row in await db.ask("select crm.tenants()")]


async def by_slug(slug: str) -> UUID | None:
    """Return the tenant of that short name, or None."""
    rows = await db.ask("select crm.tenant_by_slug($1::text)", slug)
    return rows[0][0] if rows else None
