"""What happens to files by itself: deleted ones are destroyed, and objects that no row knows are swept away."""

from datetime import datetime
from uuid import UUID

from crm import jobs, orphans, tenancy
from crm.actor import Actor
from crm.files.operations import object_key

DELETED_KEY = (
    "select key_id from crm.attachment where tenant_id = $1::uuid and id = $2::uuid and deleted_at is not null"
)
KNOWN = """
select w.id from unnest($2::uuid[]) as w(id)
 where exists (select from crm.attachment f
                where f.tenant_id = $1::uuid and f.id = w.id and f.deleted_at is null)
"""


@jobs.task("attachment.destroy")
async def destroy(actor: Actor, attachment_id: UUID) -> None:
    """Destroy the object and the key of a deleted attachment; again changes nothing."""
    await orphans.destroy(actor, DELETED_KEY, attachment_id, object_key(actor.tenant_id, attachment_id))


@jobs.periodic("attachment.sweep", "37 * * * *")
async def sweep(now: datetime) -> None:
    """Delete the objects that no row knows, of every tenant."""
    for tenant_id in await tenancy.tenants():
        await sweep_tenant(tenant_id, now=now)


async def sweep_tenant(tenant_id: UUID, *, now: datetime, dry_run: bool = False) -> int:
    """Delete a tenant's objects that no row knows and that are older than `orphans.GRACE`; return how many.

    `dry_run`: delete nothing, only count.
    """
    return await orphans.sweep(tenant_id, "attachments", KNOWN, now=now, dry_run=dry_run)
