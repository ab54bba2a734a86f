"""`santral bi`: logins with which BI tools read the numbers of one firm."""

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli import postgres, tenant
from crm import bi, clock, db
from crm.actor import Actor
from crm.bi import Grade
from crm.db import Tx, to_json
from crm.settings import settings

app = typer.Typer(no_args_is_help=True)
Firm = Annotated[str | None, typer.Option("--tenant", help="The firm, where there are several.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who reads: a tool or a report, as `powerbi_sales`.")],
    role: Annotated[Grade, typer.Option(help="What may be read.")] = Grade.reader,
    firm: Firm = None,
    as_json: AsJson = False,
) -> None:
    """Make a login for one consumer and show its address with the password, this once."""

    async def work(tx: Tx) -> bi.NewLogin:
        return await bi.create(tx, name, role, now=clock.utc_now())

    new, url = _run(work, firm)
    found = {"name": name, "login": new.login, "password": new.password, "role": role.value, "schema": "bi", **url}
    found["url"] = f"postgresql://{new.login}:{new.password}@{url['host']}:{url['port']}/{url['database']}"
    if as_json:
        print(to_json(found))
        return
    for key, value in found.items():
        print(f"{key:9} {value}")
    print("The password is not kept anywhere: note it now, or revoke the login and make another.")


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The login's name.")], firm: Firm = None) -> None:
    """Take a login away; what it has open ends."""

    async def work(tx: Tx) -> None:
        await bi.revoke(tx, name, now=clock.utc_now())

    _run(work, firm)
    print(f"{name} reads nothing any more")


@app.command("list")
def show(firm: Firm = None, as_json: AsJson = False) -> None:
    """Show which logins are in use."""
    rows = [dict(row) for row in _run(bi.logins, firm)[0]]
    if as_json:
        for row in rows:
            print(to_json(row))
        return
    table = Table("name", "login", "role", "since (UTC)")
    for row in rows:
        table.add_row(row["name"], row["login"], row["grade"], f"{row['created_at']:%Y-%m-%d %H:%M}")
    Console().print(table)


def _run(work: Any, firm: str | None) -> tuple[Any, dict[str, Any]]:
    """Do some work of a firm; return its result and where the database is."""

    async def run() -> Any:
        actor: Actor = await tenant.choose(firm)
        try:
            return await db.run(actor, work)
        finally:
            await db.close()

    with postgres.ensure_database():
        address = settings().owner_url()
        found = {"host": address.host, "port": address.port or 5432, "database": address.database}
        return asyncio.run(run()), found
