"""Who acts by a link: the person it was made for, with what they may by now."""

from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.db import Tx
from crm.users.rules import permissions_of


async def as_now(tenant_id: UUID, user_id: UUID, *, trace_id: UUID) -> Actor | None:
    """Return a person as they are now, or None when they no longer work here."""

    async def look(tx: Tx) -> Actor | None:
        row = await tx.fetchrow(
            "select team_id, roles from crm.user_account where tenant_id = $1::uuid and id = $2::uuid and is_active",
            tenant_id, user_id,
        )  # fmt: skip
        if row is None:
            return None
        roles = frozenset(row["roles"])
        return Actor(tenant_id, user_id, row["team_id"], roles, permissions_of(roles), trace_id)

    return await db.run(Actor.system(tenant_id, trace_id=trace_id), look)
