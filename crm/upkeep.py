"""What the product does by itself, seen from outside: what is due, when it was last done, and asking for it now.

The worker owns the schedule of each (`@jobs.periodic` beside the work). Whoever looks from here, the pipeline's screen
first of all, sees a dry run: counts of what the next turn would do. Asking for a turn puts it into the worker's own
queue, where the same thing never waits twice; nothing is ever done by two.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from procrastinate.exceptions import AlreadyEnqueued

from crm import db, errors, jobs, retention, tenancy
from crm.actor import Actor
from crm.files import work as files

Due = Callable[[UUID, datetime], Awaitable[int]]
"""Counts what is due for a tenant."""

LAST = """
select (select min(at) from jobs.procrastinate_events) as since,
       max(e.at) filter (where e.type = 'succeeded') as done_at,
       max(e.at) filter (where e.type = 'failed') as failed_at
  from jobs.procrastinate_jobs j join jobs.procrastinate_events e on e.job_id = j.id
 where j.task_name = $1
"""
WAITING = "select count(*) as jobs from jobs.procrastinate_jobs where task_name = $1 and status in ('todo', 'doing')"


class Unknown(errors.NotFound):
    """There is no such upkeep."""

    code = "upkeep.unknown"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One thing that is done by itself. `task`: the worker's job; `every`: how often that comes."""

    name: str
    task: str
    says: str
    every: timedelta
    due: Mapping[str, Due]
    """What a turn would do, by what is counted."""


@dataclass(frozen=True, slots=True)
class Report:
    """How an upkeep stands: what a turn would do now over all tenants, and when it was last done (UTC)."""

    due: Mapping[str, int]
    done_at: datetime | None
    failed_at: datetime | None
    is_waiting: bool
    """Whether a turn is wanted or running now."""
    since: datetime | None = None
    """Since when the worker is known to work at all."""

    def is_late(self, upkeep: Upkeep, *, now: datetime) -> bool:
        """Tell whether three turns in a row did not come, or the last one failed."""
        last = self.done_at or self.since  # on the first day, its first turn may be still to come
        if last is None:
            return True
        has_failed = self.failed_at is not None and self.failed_at >= last
        return has_failed or now - last > 3 * upkeep.every


async def _count(sql: str, older: timedelta, tenant_id: UUID, now: datetime) -> int:
    async with db.transaction(Actor.system(tenant_id)) as tx:
        return int(await tx.fetchval(sql, tenant_id, now - older))


def _counting(sql: str, older: timedelta = timedelta(0)) -> Due:
    """Count rows by a statement of the tenant ($1::uuid) and an instant so far back ($2::timestamptz)."""
    return partial(_count, sql, older)


async def _orphans(tenant_id: UUID, now: datetime) -> int:
    return await files.sweep_tenant(tenant_id, now=now, dry_run=True)


EVERY: Sequence[Upkeep] = (
    Upkeep(
        "retention", "retention.forget", "Deletes what is kept for a while only: answers, request log, places.",
        timedelta(hours=1),
        {
            "answers to repeated requests": _counting(
                "select count(*) from crm.idempotency_key where tenant_id = $1::uuid and created_at < $2::timestamptz",
                retention.KEYS,
            ),
            "requests": _counting(
                "select count(*) from crm.request_log where tenant_id = $1::uuid and at < $2::timestamptz",
                retention.REQUESTS,
            ),
            "places in queues": _counting(
                "select count(*) from crm.queue_place where tenant_id = $1::uuid and created_at < $2::timestamptz",
                retention.PLACES,
            ),
        },
    ),
    Upkeep(
        "recordings", "recording.expire", "Destroys recordings whose time is over, unless the law holds them.",
        timedelta(hours=1),
        {
            "recordings": _counting(
                "select count(*) from crm.recording where tenant_id = $1::uuid and deleted_at is null"
                " and held_at is null and delete_after < $2::timestamptz"
            ),
        },
    ),
    Upkeep(
        "orphaned_files", "attachment.sweep", "Deletes files that no row knows, left by whoever died while storing.",
        timedelta(hours=1), {"files": _orphans},
    ),
    Upkeep(
        "tokens", "inbox.tokens", "Asks lead sources how long their tokens last, and renews those that end soon.",
        timedelta(minutes=5),
        {
            "refused": _counting(
                "select count(*) from crm.connection_token where tenant_id = $1::uuid and status = 'refused'"
                " and checked_at <= $2::timestamptz"
            ),
            "ending within 14 days": _counting(
                "select count(*) from crm.connection_token where tenant_id = $1::uuid and expires_at < $2::timestamptz",
                -timedelta(days=14),
            ),
        },
    ),
    Upkeep(
        "reconciliation", "inbox.reconcile", "Asks sources for leads that their webhooks may have missed.",
        timedelta(minutes=15),
        {
            "connections behind by an hour": _counting(
                "select count(*) from crm.pull_checkpoint where tenant_id = $1::uuid and position < $2::timestamptz",
                timedelta(hours=1),
            ),
            "pulls that failed today": _counting(
                "select count(*) from crm.pull where tenant_id = $1::uuid and status = 'failed'"
                " and finished_at >= $2::timestamptz",
                timedelta(days=1),
            ),
        },
    ),
    Upkeep(
        "review", "duplicates.find", "Finds people who may be one person, for somebody to look at.",
        timedelta(minutes=1),
        {
            "waiting for a person": _counting(
                "select count(*) from crm.duplicate_candidate where tenant_id = $1::uuid and status = 'open'"
                " and found_at <= $2::timestamptz"
            ),
        },
    ),
)  # fmt: skip
"""Everything the product does by itself that somebody may want to look at or ask for."""


def named(name: str) -> Upkeep:
    """Return an upkeep by its name.

    :raises Unknown: when there is none of that name.
    """
    for upkeep in EVERY:
        if upkeep.name == name:
            return upkeep
    raise Unknown(f"there is no upkeep {name}")


async def report(upkeep: Upkeep, *, now: datetime) -> Report:
    """Return what a turn would do now, changing nothing, and when it was last done."""
    due = dict.fromkeys(upkeep.due, 0)
    for tenant_id in await tenancy.tenants():
        for what, count in upkeep.due.items():
            due[what] += await count(tenant_id, now)
    [last] = await db.ask(LAST, upkeep.task)
    [waiting] = await db.ask(WAITING, upkeep.task)
    return Report(due, last["done_at"], last["failed_at"], waiting["jobs"] > 0, last["since"])


async def ask_for(upkeep: Upkeep, *, now: datetime) -> bool:
    """Have the worker take a turn soon; False when one is waiting already."""
    queue = jobs.app()
    async with queue.open_async():
        try:
            await queue.configure_task(upkeep.task, queueing_lock=upkeep.task).defer_async(
                timestamp=int(now.astimezone(UTC).timestamp())
            )
        except AlreadyEnqueued:
            return False
    return True
