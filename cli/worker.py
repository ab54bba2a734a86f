"""`santral worker`: whatever is done without anybody waiting for it, in one process.

It follows the event log and gives out new leads, works off the inbox, and does jobs: wanted ones and those on a
schedule. Several may run; each finds what the others left when they died.
"""

import asyncio
import signal

import typer

from cli import postgres
from cli.probe import Prober
from crm import bi, clock, db, holidays_ahead, jobs, logs, retention, vault
from crm.agents.chore import Watch
from crm.bulk import running as bulk
from crm.callbacks.chore import Callbacks
from crm.calls.chore import Supervisions, WrapUps
from crm.chores import Chore, follow
from crm.dialling.chore import Dialling
from crm.duplicates import finding as duplicates
from crm.duplicates.chore import Gatherer
from crm.events import bell
from crm.experiments import counting
from crm.files import work as files
from crm.followups.chore import FollowUps
from crm.health import Lags
from crm.inbox.chore import Inbox
from crm.queues.chore import Endings
from crm.recordings import work as recordings
from crm.routing.chore import Router
from crm.settings import settings
from crm.sla.chore import Clocks
from ingestion.files import running as imports
from ingestion.sources import access, parsers, pulling

app = typer.Typer()

SCHEDULED = (retention, holidays_ahead, bulk, counting, duplicates, files, recordings, imports, access, pulling)
"""Modules whose jobs this process knows once they are imported."""


@app.command()
def worker() -> None:
    """Give out leads, work off the inbox, do jobs; until SIGTERM or Ctrl-C, when running work is finished first."""
    with postgres.ensure_database():
        logs.configure(settings().log_level)
        asyncio.run(_until_told())


async def _until_told() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await work(stop)


async def work(stop: asyncio.Event) -> None:
    """Do all of it until told to stop. When one part fails for good the others end too, and the process with them."""
    now = clock.utc_now
    chores: list[Chore] = [
        Router(now),
        Clocks(now),
        Gatherer(now),
        FollowUps(now),
        Watch(now),
        WrapUps(now),
        Supervisions(now),
        Endings(now),
        Callbacks(now),
        Dialling(now),
        Inbox(now, parsers()),
        Lags(now),
        Prober(now),
        bi.Sessions(now),
    ]
    try:
        async with bell.ringing(), asyncio.TaskGroup() as parts:
            parts.create_task(follow(chores, stop))
            for chore in chores:
                parts.create_task(chore.run(stop))
            parts.create_task(jobs.serve(stop))
    finally:
        await vault.close()
        await db.close()
