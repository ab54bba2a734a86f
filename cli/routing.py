"""`santral routing`: how leads were given out, and how other rules would have done it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Column, Table

from cli import postgres, tenant
from crm import db, vault
from crm.db import Tx, to_json
from crm.routing import history, sets

app = typer.Typer(no_args_is_help=True)


@app.callback()
def main() -> None:
    """Look at distribution."""


@app.command()
def replay(
    rules: Annotated[str, typer.Option(help="a rule set: its id, version or name; `live` for the rules of the day")],
    since: Annotated[datetime, typer.Option("--from", help="the first instant (UTC), as 2026-03-01")],
    until: Annotated[datetime, typer.Option("--to", help="the end (UTC), excluded")],
    tenant_slug: Annotated[str | None, typer.Option("--tenant", help="the firm, where there are several")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line")] = False,
) -> None:
    """Run rules over the leads that came and the people who were there; nothing is changed.

    Says who would have got what, and how waiting would have changed. The rules of the day (`live`) give exactly what
    happened; `unlike_record` counts where they do not.
    """
    with postgres.ensure_database():
        result = asyncio.run(_replay(rules, _utc(since), _utc(until), tenant_slug))
    if as_json:
        print(to_json(result))
    else:
        _show(result)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


async def _replay(rules: str, since: datetime, until: datetime, slug: str | None) -> dict[str, Any]:
    async def work(tx: Tx) -> dict[str, Any]:
        rule_set_id = await history.find(tx, rules)
        result = await history.replay(tx, rule_set_id, since=since, until=until)
        row = await sets.get(tx, rule_set_id) if rule_set_id else {"name": "live", "version": None}
        names = dict(await tx.fetch(NAMES, tx.actor.tenant_id))
        asked = {"name": row["name"], "version": row["version"], "since": since, "until": until}
        return {"asked": asked, **result, "names": {str(user): name for user, name in names.items()}}

    try:
        return await db.run(await tenant.choose(slug), work)
    finally:
        await db.close()
        await vault.close()


NAMES = "select id, name from crm.user_account where tenant_id = $1::uuid"


def _show(result: dict[str, Any]) -> None:
    screen = Console()
    asked, names = result["asked"], result["names"]

    def name(user: UUID | None) -> str:
        return str(names.get(str(user), user)) if user else "nobody"

    version = f" (version {asked['version']})" if asked["version"] else ""
    window = " to ".join(f"{asked[end]:%Y-%m-%d %H:%M}" for end in ("since", "until"))
    screen.print(f"Rules: {asked['name']}{version}, {window} UTC")
    screen.print(_summary(result), highlight=False)
    screen.print(_waiting(result["waiting_seconds"]))
    screen.print(_both("Leads by agent", [(name(each["user_id"]), each) for each in result["agents"]]))
    screen.print(_both("Leads by rule", [(each["rule"], each) for each in result["rules"]]))
    if result["flows"]:
        moved = Table("went to", "would go to", Column("leads", justify="right"), title="Who would have got what")
        for flow in result["flows"][:SHOWN]:
            moved.add_row(name(flow["live"]), name(flow["replayed"]), str(flow["leads"]))
        screen.print(moved)
    if len(result["flows"]) > SHOWN:
        screen.print(f"and {len(result['flows']) - SHOWN} more; --json shows them all")


SHOWN = 30
"""Lines of who would have got what."""


def _summary(result: dict[str, Any]) -> str:
    """Return the answer in a few lines: how much changes, and, of the rules of the day, whether the record holds."""
    lines = [
        f"{result['leads']} leads: {result['same_agent']} go to the same agent, {result['other_agent']} to another,"
        f" {result['given_only_in_replay']} are given only by these rules,"
        f" {result['given_only_in_history']} only as it was, {result['given_in_neither']} by neither."
    ]
    if result["unlike_record"]:
        lines.append(f"Of {result['unlike_record']} decisions the record says something else: please report this.")
    return "\n".join(lines)


def _both(title: str, rows: list[tuple[str, dict[str, Any]]]) -> Table:
    right = [Column(name, justify="right") for name in ("as it was", "by these rules", "difference")]
    table = Table("", *right, title=title)
    for name, each in rows:
        difference = each["replayed"] - each["live"]
        table.add_row(name, str(each["live"]), str(each["replayed"]), f"{difference:+d}" if difference else "=")
    return table


def _waiting(waits: dict[str, dict[str, Any]]) -> Table:
    """Return how long leads wait until somebody has them, as it was and as it would have been."""
    right = [Column(name, justify="right") for name in ("given", "not given", "mean wait", "median", "95th percentile")]
    table = Table("", *right, title="Waiting until somebody has it")
    for side, name in (("live", "as it was"), ("replayed", "by these rules")):
        each = waits[side]
        spans = [_span(each[key]) for key in ("mean", "p50", "p95")]
        table.add_row(name, str(each["given"]), str(each["waiting"]), *spans)
    return table


def _span(seconds: float | None) -> str:
    """Return a span as people say it: `4.2 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, small, name, rest in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} {int(seconds % unit // small)} {rest}"
    raise AssertionError("a minute or more has a unit")
