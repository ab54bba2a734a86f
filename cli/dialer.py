"""`santral dialer`: the bridge between a tenant and its telephone exchange, and its dialling campaigns.

Start two: the second takes over.
"""

import asyncio
import gc
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog
import typer

from cli import postgres
from crm import clock, db, errors, logs, tenancy, vault
from crm.actor import Actor
from crm.recordings import spool
from crm.settings import Settings, settings
from dialer import ownership
from dialer.ami.connection import Address, Connection
from dialer.bridge import Bridge, Wiring
from dialer.campaigns import Campaigns
from dialer.runner import Clock

app = typer.Typer()
log = structlog.get_logger("cli.dialer")

SWEEP_EVERY_S = 5.0
"""Seconds between two looks for recordings."""


class NoExchange(errors.Invalid):
    """Name the exchange and the tenant: SANTRAL_AMI_HOST, _PORT, _USERNAME, _SECRET, _TENANT."""

    code = "dialer.not_configured"


@app.command()
def dialer() -> None:
    """Carry calls between the product and the telephone exchange, until SIGTERM or Ctrl-C."""
    with postgres.ensure_database():
        logs.configure(settings().log_level)
        collect_seldom()
        asyncio.run(_until_told())


def collect_seldom() -> None:
    """Keep Python's garbage collector from holding up calls.

    What is loaded by now lives to the end and is not looked through again (that took a tenth of a second each time);
    the rest is looked through less often, since next to nothing of it goes in circles.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _until_told() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await bridge(stop)


def address(config: Settings) -> Address:
    """Return how the exchange is reached.

    :raises NoExchange: when a part of it is not set.
    """
    if not (config.ami_host and config.ami_username and config.ami_secret.get_secret_value() and config.ami_tenant):
        raise NoExchange
    return Address(config.ami_host, config.ami_port, config.ami_username, config.ami_secret)


async def bridge(stop: asyncio.Event) -> None:
    """Be the bridge of the configured tenant whenever no other process is, until told to stop."""
    config = settings()
    where = address(config)
    try:
        tenant_id = await tenancy.by_slug(config.ami_tenant)
        if tenant_id is None:
            raise NoExchange(f"there is no tenant {config.ami_tenant!r}; SANTRAL_AMI_TENANT names one by its slug")

        await ownership.while_owner(tenant_id, stop, partial(work, Connection(where), tenant_id, config))
    finally:
        await vault.close()
        await db.close()


async def work(connection: Connection, tenant_id: UUID, config: Settings, over: asyncio.Event) -> None:
    """Carry calls, run the campaigns that dial by themselves, and fetch recordings, until it is over."""
    line = Bridge(connection, tenant_id, wiring=Wiring(config.ami_trunk, config.ami_records, config.ami_queue_log))
    campaigns = Campaigns(tenant_id, clock=Clock(clock.utc_now))
    line.listeners.append(campaigns.hear)
    async with asyncio.TaskGroup() as parts:
        parts.create_task(line.run(over))
        parts.create_task(campaigns.run(over))
        if config.recording_spool:
            parts.create_task(fetch_recordings(Actor.system(tenant_id), config.recording_spool, over))


async def fetch_recordings(actor: Actor, folder: Path, over: asyncio.Event) -> None:
    """Take recordings out of the exchange's folder as they are finished."""
    while not over.is_set():
        try:
            await spool.sweep(actor, folder, now=clock.utc_now())
        except Exception as error:  # what was not taken stays where it is, and calls go on
            if not db.is_gone(error):
                log.error("recordings_defect", exc_info=error)
        with suppress(TimeoutError):
            async with asyncio.timeout(SWEEP_EVERY_S):
                await over.wait()
