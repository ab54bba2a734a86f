"""What is kept for a while only: answers to idempotency keys, the request log, what exchanges told, finished jobs."""

from datetime import datetime, timedelta

from crm import db, health, idempotency, jobs, requests, tenancy
from crm.actor import Actor
from crm.calls import forgetting as calls
from crm.queues import visits

KEYS = timedelta(hours=48)
REQUESTS = timedelta(days=30)
PLACES = timedelta(days=7)
JOBS = timedelta(days=7)


@jobs.periodic("retention.forget", "17 * * * *")
async def forget(now: datetime) -> None:
    """Delete what is older than it is kept, one tenant at a time."""
    for tenant_id in await tenancy.tenants():
        async with db.transaction(Actor.system(tenant_id)) as tx:
            await idempotency.forget(tx, before=now - KEYS)
            await requests.forget(tx, before=now - REQUESTS)
            await health.forget(tx, before=now - REQUESTS)
            await visits.forget_places(tx, before=now - PLACES)
        has_more = True
        while has_more:
            async with db.transaction(Actor.system(tenant_id)) as tx:
                has_more = await calls.forget(tx, now=now)
    hours = int(JOBS.total_seconds() // 3600)
    await jobs.app().job_manager.delete_old_jobs(
        nb_hours=hours, include_failed=True, include_cancelled=True, include_aborted=True
    )
