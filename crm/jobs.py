"""Jobs: work for later, wanted in the transaction of the change that needs it, done by a worker (Procrastinate).

A job that is rolled back never was; a job of a worker that died is run again, so a task must bear being run twice.
Arguments are ids and nothing else: the job tables have no row-level security and may hold no personal data.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import psycopg_pool
import structlog
from procrastinate import App, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status

from crm.actor import Actor
from crm.db import Tx, to_json
from crm.settings import APP_ROLE, settings

log = structlog.get_logger("crm.jobs")

POLL = 0.5
"""Seconds between two looks for work: nothing notifies of a job (docs/decisions)."""
HEARTBEAT = 2.0
DEAD_AFTER = 10.0
"""Seconds without a heartbeat after which a worker counts as dead and its jobs are run again."""
AGAIN = 1.0
"""Seconds before a worker that lost its database begins anew."""
MOST_RUNS = 5
"""Runs after which a job is given up as failed, also one that took its worker with it each time."""

DEFER = """
select unnest(jobs.procrastinate_defer_jobs_v1(array(
  select row(j.queue_name, j.task_name, j.priority, j.lock, j.queueing_lock, j.args, j.scheduled_at)
           ::jobs.procrastinate_job_to_defer_v1
    from jsonb_to_recordset($1::jsonb) as j(queue_name text, task_name text, priority int, lock text,
                                            queueing_lock text, args jsonb, scheduled_at timestamptz)))) as id
"""

Work = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of job: `schedule` (cron, UTC) for one that comes by itself."""

    work: Work
    schedule: str | None = None


TASKS: dict[str, Task] = {}
"""Every kind of job this process knows how to do, by name. Filled as the modules are imported."""


def task(name: str) -> Callable[[Work], Work]:
    """Make `async def work(actor, **ids)` the task of that name; tried again, with growing pauses, when it raises.

    The actor is the system, for the tenant and under the trace id of whoever wanted the job.
    """

    def decorate(work: Work) -> Work:
        TASKS[name] = Task(work)
        return work

    return decorate


def periodic(name: str, schedule: str) -> Callable[[Work], Work]:
    """Make `async def work(now)` run on a schedule (cron in UTC, seconds as an optional sixth field), once in all."""

    def decorate(work: Work) -> Work:
        TASKS[name] = Task(work, schedule)
        return work

    return decorate


async def defer(tx: Tx, name: str, *, lock: str | None = None, at: datetime | None = None, **of: UUID | int) -> int:
    """Want a job in the open transaction and return its id; `of` are the ids it is about.

    The task need not be known here, so that `crm` and the API may want what another door does. Jobs that share a
    `lock` are done one after the other. `at`: not before that instant (UTC).
    """
    for field, value in of.items():
        if not isinstance(value, UUID | int):
            raise TypeError(f"{name}: {field} is no id; a job's arguments hold ids only")
    wanted = app().configure_task(name, connection=tx, lock=lock, schedule_at=at)
    ids = {field: str(value) if isinstance(value, UUID) else value for field, value in of.items()}
    return await wanted.defer_async(tenant_id=str(tx.actor.tenant_id), trace_id=str(tx.actor.trace_id), **ids)


class Connector(PsycopgConnector):
    """The queue's own connector, which also takes our transactions."""

    async def execute_query_all_async_with_connection(
        self, connection: Any, query: Any, **arguments: Any
    ) -> list[dict[str, Any]]:
        """Insert jobs on the caller's transaction; what else the queue asks on a connection of its own."""
        if not isinstance(connection, Tx):
            found = await super().execute_query_all_async_with_connection(connection, query, **arguments)
            return list(found)
        wanted = [job._asdict() for job in arguments["jobs"]]
        return [dict(row) for row in await connection.fetch(DEFER, to_json(wanted))]


@cache
def app() -> App:
    """Return the queue as this process puts jobs into it; it is opened only by a worker."""
    url = settings().role_url(APP_ROLE).set(drivername="postgresql").render_as_string(hide_password=False)
    connector = Connector(
        conninfo=url,
        kwargs={"options": "-c search_path=jobs", "application_name": "santral-jobs"},
        min_size=1,
        max_size=4,
    )
    return App(connector=connector)


def workshop() -> App:
    """Return the queue with every task that is known by now, as a worker needs it."""
    queue = app()
    for name, known in TASKS.items():
        if name not in queue.tasks:
            _add(queue, name, known)
    return queue


def _add(queue: App, name: str, known: Task) -> None:
    if known.schedule:

        async def by_itself(timestamp: int) -> None:
            await known.work(datetime.fromtimestamp(timestamp, UTC))

        added = queue.task(name=name, queueing_lock=name)(by_itself)
        queue.periodic(cron=known.schedule)(added)
    else:

        async def wanted(tenant_id: str, trace_id: str, **of: str | int) -> None:
            actor = Actor.system(UUID(tenant_id), trace_id=UUID(trace_id))
            await known.work(actor, **{k: UUID(v) if isinstance(v, str) else v for k, v in of.items()})

        queue.task(name=name, retry=RetryStrategy(max_attempts=MOST_RUNS, exponential_wait=3))(wanted)


async def serve(stop: asyncio.Event, *, concurrency: int = 4, grace: float = 5.0) -> None:
    """Do jobs until told to stop; running ones then have `grace` seconds to end, and are run again if they do not.

    A worker whose database goes away ends, and a new one begins when it is back.
    """
    queue = workshop()
    while not stop.is_set():
        try:
            async with queue.open_async():
                await _work(queue, stop, concurrency=concurrency, grace=grace)
        except (ConnectorException, psycopg_pool.PoolTimeout) as error:
            log.warning("job_worker_lost", error=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), AGAIN)


async def _work(queue: App, stop: asyncio.Event, *, concurrency: int, grace: float) -> None:
    """Run one worker until told to stop, or until it or the rescuer ends."""
    worker = asyncio.create_task(
        queue.run_worker_async(
            concurrency=concurrency,
            listen_notify=False,
            install_signal_handlers=False,
            fetch_job_polling_interval=POLL,
            shutdown_graceful_timeout=grace,
            update_heartbeat_interval=HEARTBEAT,
            stalled_worker_timeout=DEAD_AFTER,
        )
    )
    rescuer = asyncio.create_task(_rescue_for_ever(queue))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([worker, rescuer, stopped], return_when=asyncio.FIRST_COMPLETED)
    for each in (stopped, rescuer, worker):
        each.cancel()
    for ended in await asyncio.gather(worker, rescuer, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


async def rescue(queue: App) -> list[int]:
    """Run the jobs of dead workers again and return their ids; one that has had its runs is given up."""
    manager = queue.job_manager
    rescued = []
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER):
        if job.attempts >= MOST_RUNS:
            await manager.finish_job(job, Status.FAILED, delete_job=False)
        else:
            await manager.retry_job(job)
        rescued.append(_id(job))
        log.warning("job_rescued", job=job.id, task=job.task_name, attempts=job.attempts)
    return rescued


def _id(job: Job) -> int:
    assert job.id is not None, "a stored job has an id"
    return job.id


async def _rescue_for_ever(queue: App) -> None:
    """Look for jobs of the dead: a loop and no job itself, since a job could be among the dead."""
    while True:
        await rescue(queue)
        await asyncio.sleep(DEAD_AFTER / 2)
