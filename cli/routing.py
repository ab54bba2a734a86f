"""`santral routing`: how leads were given out, and how other rules would have done it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli import postgres, tenant
from crm import db, vault
from crm.db import Tx, to_json
from crm.routing import history

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
        return await history.replay(tx, await history.find(tx, rules), since=since, until=until) | {
            "names": dict(
                await tx.fetch("select id, name from crm.user_account where tenant_id = $1::uuid", tx.actor.tenant_id)
            )
        }

    try:
        result = await db.run(await tenant.choose(slug), work)
    finally:
        await db.close()
        await vault.close()
    named = result.pop("names")
    result["agents"] = [{**each, "name": named.get(each["user_id"], "")} for each in result["agents"]]
    return result


def _show(result: dict[str, Any]) -> None:
    screen, waits = Console(), result["waiting_seconds"]
    agents = Table("agent", "got", "would have got")
    for each in result["agents"]:
        agents.add_row(each["name"], str(each["live"]), str(each["replayed"]))
    waiting = Table("", "given", "still waiting", "mean wait (s)", "median", "95th percentile")
    for side, name in (("live", "as it was"), ("replayed", "by these rules")):
        waiting.add_row(name, *(str(waits[side][key]) for key in ("given", "waiting", "mean", "p50", "p95")))
    screen.print(agents, waiting)
    screen.print(
        f"{result['leads']} leads: {result['same_agent']} to the same agent, {result['other_agent']} to another,"
        f" {result['given_only_in_replay']} given only by these rules, {result['given_only_in_history']} only as it was"
    )
