"""`santral rates`: rates of exchange from central banks, or from a file where there is no internet."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import typer

from cli import home, postgres, tenant
from crm import clock, db, errors

if TYPE_CHECKING:
    from orchestration.rates import Pulled

app = typer.Typer(no_args_is_help=True)
DAY = ["%Y-%m-%d"]


class Source(StrEnum):
    """Which bank is asked."""

    auto = "auto"
    tcmb = "tcmb"
    ecb = "ecb"


class Unreachable(errors.Unavailable):
    """The bank does not answer."""

    code = "rates.unreachable"


class CannotRead(errors.Invalid):
    """The file cannot be read."""

    code = "rates.file_unreadable"


AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON line.")]


@app.callback()
def main() -> None:
    """Land rates of exchange, by which money in other currencies is counted."""


@app.command()
def pull(
    day: Annotated[datetime | None, typer.Option(formats=DAY, help="one day")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="the first day")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="the last day, meant too")] = None,
    source: Annotated[Source, typer.Option(help="auto: the TCMB for firms in lira, else the ECB")] = Source.auto,
    as_json: AsJson = False,
) -> None:
    """Pull what was published on a day or from one day to another (default: the last week) for every firm."""
    if day and (since or until):
        raise typer.BadParameter("name --day, or --from and --to")
    home.settle()
    with postgres.ensure_database():
        from orchestration import rates

        now = clock.utc_now()
        last = (day or until or now.astimezone(ZoneInfo("Europe/Istanbul"))).date()
        first = (day or since).date() if day or since else last - rates.AGAIN  # type: ignore[union-attr]
        if first > last:
            raise typer.BadParameter(f"from {first} to {last} there is no day")
        try:
            found = rates.pull(first, last, now=now, source=source.value)
        except httpx.HTTPError as error:
            raise Unreachable(f"the bank does not answer ({type(error).__name__}): nothing has landed") from error
    _tell(found, as_json)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV with the columns day, currency, rate and, where needed, base")],
    tenant_slug: Annotated[str | None, typer.Option("--tenant", help="the firm, where there are several")] = None,
    as_json: AsJson = False,
) -> None:
    """Land rates from a CSV file; the same file again changes nothing, another rate of a day replaces the earlier."""
    home.settle()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"cannot read {file}: {error}") from error
    with postgres.ensure_database():
        from ingestion.rates import tables
        from orchestration import rates, warehouse

        chosen = asyncio.run(_chosen(tenant_slug))
        with warehouse.connect() as connection:
            firm = rates.firm_of(connection, chosen)
            offered = [rates.Offered(each.base, each.day, each) for each in tables.csv(text, base=firm.currency)]
            found = rates.take(connection, firm, offered, now=clock.utc_now())
    _tell(found, as_json)


async def _chosen(slug: str | None) -> UUID:
    try:
        return (await tenant.choose(slug)).tenant_id
    finally:
        await db.close()


def _tell(found: "Pulled", as_json: bool) -> None:
    if as_json:
        print(json.dumps({**asdict(found), "days": [day.isoformat() for day in found.days]}))
        return
    print(f"{found.landed} tables landed, {found.known} were known, {found.held} are held back")
    if found.held:
        print("see `santral quarantine list`; what is let in lands with the next pull")
