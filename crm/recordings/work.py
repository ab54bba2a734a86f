"""What happens to recordings by itself: those whose time is over are destroyed, and objects that no row knows go."""

from datetime import datetime, timedelta
from uuid import UUID

from crm import db, jobs, orphans, tenancy
from crm.actor import Actor
from crm.recordings import operations
from crm.recordings.storing import object_key

LINKS = timedelta(days=1)
"""How long a link that was good is remembered."""

DELETED_KEY = "select key_id from crm.recording where tenant_id = $1::uuid and id = $2::uuid and deleted_at is not null"
KNOWN = """
select w.id from unnest($2::uuid[]) as w(id)
 where exists (select from crm.recording r
                where r.tenant_id = $1::uuid and r.id = w.id and r.deleted_at is null)
"""


@jobs.task("recording.destroy")
async def destroy(actor: Actor, recording_id: UUID) -> None:
    """Destroy the object and the key of a deleted recording; again changes nothing."""
    await orphans.destroy(actor, DELETED_KEY, recording_id, object_key(actor.tenant_id, recording_id))


@jobs.periodic("recording.expire", "47 * * * *")
async def expire(now: datetime) -> None:
    """Delete what is kept no longer, of every tenant, and sweep objects that no row knows."""
    for tenant_id in await tenancy.tenants():
        system = Actor.system(tenant_id)
        while await db.run(system, lambda tx: operations.expire(tx, now=now)) == operations.BATCH:
            pass
        async with db.transaction(system) as tx:
            await operations.forget_links(tx, before=now - LINKS)
        await orphans.sweep(tenant_id, "recordings", KNOWN, now=now)
