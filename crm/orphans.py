"""Objects whose rows are deleted, and objects that no row ever knew: whoever put them away died before the commit."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from crm import clock, db, objects, vault
from crm.actor import Actor

log = structlog.get_logger("crm.orphans")

GRACE = timedelta(hours=1)
"""An object younger than this may belong to a row that is about to be committed."""


async def destroy(actor: Actor, deleted_key: str, row_id: UUID, name: str) -> None:
    """Destroy a deleted row's object and the key that sealed it; again changes nothing, nor does one not deleted.

    `deleted_key`: the statement that returns the key's id of the row ($2::uuid) of the tenant ($1::uuid), if deleted.
    """
    async with db.transaction(actor) as tx:
        key_id = await tx.fetchval(deleted_key, actor.tenant_id, row_id)
    if key_id is not None:
        await vault.destroy(actor.tenant_id, [key_id], now=clock.utc_now())
        await objects.delete([name])


async def sweep(tenant_id: UUID, folder: str, known: str, *, now: datetime, dry_run: bool = False) -> int:
    """Delete a tenant's objects of a folder that no row knows and that are older than `GRACE`; return how many.

    `known`: the statement that returns which ids ($2::uuid[]) of the tenant ($1::uuid) have a row that wants its file.
    `dry_run`: delete nothing, only count.
    """
    gone = 0
    async for batch in objects.listing(f"{folder}/{tenant_id}"):
        old = {
            found: each.name
            for each in batch
            if each.modified_at < now - GRACE and (found := _id_in(each.name)) is not None
        }
        async with db.transaction(Actor.system(tenant_id)) as tx:
            kept = {row["id"] for row in await tx.fetch(known, tenant_id, list(old))}
        unknown = [name for row_id, name in old.items() if row_id not in kept]
        if not dry_run:
            await objects.delete(unknown)
        gone += len(unknown)
    if gone and not dry_run:
        log.info("orphans_swept", tenant_id=str(tenant_id), folder=folder, objects=gone)
    return gone


def _id_in(name: str) -> UUID | None:
    """Return the row an object is named after, or None: what is not ours is left alone."""
    try:
        return UUID(name.rpartition("/")[2])
    except ValueError:
        return None
