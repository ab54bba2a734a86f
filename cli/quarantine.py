"""`santral quarantine`: what the gates at the border hold back from the numbers, and letting it in."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from cli import postgres, tenant
from crm import clock, db, quarantine
from crm.db import Tx, to_json

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)

Slug = Annotated[str | None, typer.Option("--tenant", help="the firm, where there are several")]


@app.callback()
def main() -> None:
    """See what the gates hold back from the numbers, and let it in."""


@app.command("list")
def list_holds(tenant_slug: Slug = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List what is held, then what only is to be looked at, with the reasons."""
    found = _run(tenant_slug, quarantine.standing)
    if as_json:
        print(to_json([asdict(hold) for hold in found]))
        return
    for hold in found:
        print(f"{hold.id}  {hold.status:6}  {hold.feed}  {hold.label}: {', '.join(hold.reasons)}")
    if not found:
        print("nothing is held back")


@app.command()
def release(
    hold_id: UUID,
    because: Annotated[str, typer.Option(help="why, as a code: campaign_paused, corrected_at_source")],
    tenant_slug: Slug = None,
) -> None:
    """Let a held set in as it is; the next run of the pipeline counts it."""
    _run(tenant_slug, lambda tx: quarantine.release(tx, hold_id, because=because, now=clock.utc_now()))
    print("let in: the next run of the pipeline counts it")


def _run(slug: str | None, work: Callable[[Tx], Awaitable[T]]) -> T:
    async def go() -> T:
        try:
            return await db.run(await tenant.choose(slug), work)
        finally:
            await db.close()

    with postgres.ensure_database():
        return asyncio.run(go())
