"""`santral inbox`: what arrived from lead sources and could not be read, worked off again; leads asked for again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from cli import postgres, tenant
from crm import clock, db, vault
from crm.db import Tx, to_json
from crm.inbox import dead_letters, overview, pulls, queries

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)

Slug = Annotated[str | None, typer.Option("--tenant", help="the firm, where there are several")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document")]
Reason = Annotated[str | None, typer.Option(help="only those given up for this reason, as `list` shows it")]
Connection = Annotated[UUID | None, typer.Option(help="only those of one connection")]
SHOWN = ("id", "source", "status", "attempts", "last_error", "received_at")
CONNECTIONS = ("id", "source", "name", "is_active", "token", "health", "inbox", "reconciled_until")
REASONS = ("reason", "source", "messages", "oldest_received_at")
WIDTH = 200
"""Characters of a line at least: ids and reasons are never cut, for they are typed again into the next command."""
PULLS = ("id", "kind", "form", "since", "until", "status", "read", "landed", "known", "last_error")


@app.callback()
def main() -> None:
    """See what arrived from lead sources, work it off again, ask for leads again."""


@app.command("list")
def list_messages(
    status: Annotated[str, typer.Option(help="failed (dead letters), pending, done")] = "failed",
    reason: Reason = None,
    connection: Connection = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="at most so many, the latest first")] = 50,
    tenant_slug: Slug = None,
    as_json: Json = False,
) -> None:
    """List messages and why they were given up; what they say is never shown."""
    rows = _run(
        tenant_slug,
        lambda tx: queries.page(tx, status=status, reason=reason, connection_id=connection, limit=limit),
    )
    _show(SHOWN, [dict(row) for row in rows], as_json=as_json)


@app.command()
def reasons(tenant_slug: Slug = None, as_json: Json = False) -> None:
    """List why messages were given up, and how many each."""
    _show(REASONS, [dict(row) for row in _run(tenant_slug, queries.reasons)], as_json=as_json)


@app.command()
def connections(tenant_slug: Slug = None, as_json: Json = False) -> None:
    """List connections: what is foreseen of each token, how each source behaves, and what waits for it."""
    rows = _run(tenant_slug, lambda tx: overview.listing(tx, now=clock.utc_now()))
    if as_json:
        _show(CONNECTIONS, rows, as_json=True)
    for row in () if as_json else rows:
        print(f"{row['id']}  {row['source']}  {row['name']}{'' if row['is_active'] else ' (switched off)'}")
        print(f"  token   {_token(row['token'])}")
        print(f"  source  {_health(row['health'])}")
        print(f"  inbox   {_inbox(row['inbox'])}")
        if row["reconciled_until"]:
            print(f"  reconciled until {_utc(row['reconciled_until'])}")


def _token(token: dict[str, Any]) -> str:
    return f"{token['outlook']}, ends {_utc(token['expires_at'])}" if token["expires_at"] else str(token["outlook"])


def _health(health: dict[str, Any]) -> str:
    if health["is_failing"]:
        return f"failing since {_utc(health['failing_since'])}: {health['last_error']}"
    return f"resting until {_utc(health['blocked_until'])}" if health["blocked_until"] else "well"


def _inbox(inbox: dict[str, Any]) -> str:
    oldest = f" since {_utc(inbox['oldest_at'])}" if inbox["oldest_at"] else ""
    return f"{inbox['waiting']} waiting{oldest}, {inbox['given_up']} given up"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@app.command()
def replay(
    messages: Annotated[list[UUID] | None, typer.Argument(help="ids of messages; none: see the options")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every message that was given up")] = False,
    reason: Reason = None,
    connection: Connection = None,
    tenant_slug: Slug = None,
    as_json: Json = False,
) -> None:
    """Have messages worked off again: the named ones, or those given up, all or of one reason or connection."""
    if bool(messages) == bool(everything or reason or connection):
        raise typer.BadParameter("name messages, or say --all, --reason or --connection")

    now = clock.utc_now()

    async def named(tx: Tx) -> int:
        for message_id in messages or ():
            await dead_letters.replay(tx, message_id, now=now)
        return len(messages or ())

    async def given_up(tx: Tx) -> int:
        return await dead_letters.replay_failed(tx, reason=reason, connection_id=connection, now=now)

    found = more = _run(tenant_slug, named if messages else given_up)
    while more and not messages:
        more = _run(tenant_slug, given_up)
        found += more
    print(to_json({"messages": found}) if as_json else f"{found} messages are worked off again")


@app.command()
def backfill(
    connection: Annotated[UUID, typer.Argument(help="the connection's id, as `connections` shows it")],
    since: Annotated[datetime, typer.Option(help="from this day or instant on, in --zone")],
    until: Annotated[datetime | None, typer.Option(help="before this day or instant (default: now)")] = None,
    form: Annotated[str | None, typer.Option(help="the form's id (Meta is asked form by form)")] = None,
    zone: Annotated[str, typer.Option(help="the zone of --since and --until")] = "Europe/Istanbul",
    tenant_slug: Slug = None,
    as_json: Json = False,
) -> None:
    """Have the leads of a window of time asked for again; a worker does it, and what is known changes nothing."""
    now = clock.utc_now()
    begin, end = _instant(since, zone), _instant(until, zone) if until else now

    async def want(tx: Tx) -> dict[str, Any]:
        pull_id = await pulls.backfill(tx, connection, form=form, since=begin, until=end, now=now)
        return dict(await pulls.get(tx, pull_id))

    wanted = _run(tenant_slug, want)
    print(to_json(wanted) if as_json else f"pull {wanted['id']} begins as soon as a worker is free")


@app.command("pulls")
def list_pulls(
    connection: Annotated[UUID, typer.Argument(help="the connection's id, as `connections` shows it")],
    limit: Annotated[int, typer.Option(min=1, max=200, help="at most so many, the latest first")] = 20,
    tenant_slug: Slug = None,
    as_json: Json = False,
) -> None:
    """List what was asked for again of a connection: backfills and regular reconciles."""
    rows = _run(tenant_slug, lambda tx: pulls.page(tx, connection, limit=limit))
    _show(PULLS, [dict(row) for row in rows], as_json=as_json)


def _instant(local: datetime, zone: str) -> datetime:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _run(slug: str | None, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Do something in one transaction as the system, for the firm that is meant."""

    async def whole() -> T:
        try:
            return await db.run(await tenant.choose(slug), work)
        finally:
            await db.close()
            await vault.close()

    with postgres.ensure_database():
        return asyncio.run(whole())


def _show(columns: tuple[str, ...], rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(to_json([{name: row[name] for name in columns} for row in rows]))
        return
    table = Table(*(name.replace("_", " ") for name in columns), box=None)
    for row in rows:
        table.add_row(*(str(row[name]) if row[name] is not None else "" for name in columns))
    Console(width=max(WIDTH, Console().width)).print(table)
