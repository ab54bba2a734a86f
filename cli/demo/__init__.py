"""The living demo: a believable month of a clinic, and a trickle of live traffic after it."""

from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.demo import month, staff
from cli.demo.month import load
from cli.demo.staff import LOGINS, Login, password
from crm import clock, db, errors, vault
from crm.settings import settings

__all__ = ["LOGINS", "Login", "app", "load", "password"]

app = typer.Typer()
LEADS = 2500
"""Leads of the default month: enough for every screen, and loaded while one waits."""


class NotADemo(errors.NotAllowed):
    """The demo invents people; it does so only where the environment is `demo`."""

    code = "demo.forbidden"


@app.command()
def demo(
    leads: Annotated[int, typer.Option(min=0, help="Leads of the month.")] = LEADS,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days before now that the month covers.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed makes the same month.")] = 1,
    live: Annotated[bool, typer.Option(help="Go on with live traffic through the API until stopped.")] = False,
) -> None:
    """Fill the demo tenant with a month of work, once; with --live keep it alive afterwards."""
    from cli import postgres

    with postgres.ensure_database():
        if settings().environment != "demo":
            raise NotADemo("this is not a demo: set SANTRAL_ENVIRONMENT=demo where invented people may be stored")
        uvloop.run(_run(leads, days, seed))
        if live:
            from cli.demo import live as traffic

            traffic.run(seed)


async def _run(leads: int, days: int, seed: int) -> None:
    console = Console()
    began = clock.utc_now()
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(f"{staff.CLINIC}: {days} days", total=leads, rate="", visible=False)

            def show(done: int) -> None:
                seconds = max((clock.utc_now() - began).total_seconds(), 0.1)
                bar.update(task, completed=done, visible=True, rate=f"{done / seconds:.0f} leads/s")

            made = await month.load(leads, days=days, seed=seed, until=began, progress=show)
        is_whole = await month.is_whole()
    finally:
        await db.close()
        await vault.close()
    if made is None:
        console.print(
            "The demo's month is there already; it stays as it is."
            if is_whole
            else f"The demo's month was cut off while it was made: delete {settings().home} for a whole one."
        )
        return
    seconds = (clock.utc_now() - began).total_seconds()
    console.print(
        f"{made.leads:,} leads, {made.acts:,} doings of agents, {made.sales:,} sales"
        f" in {seconds:.0f} s ({made.leads / seconds:.0f} leads/s)"
    )
