"""`santral kpi`: ask for metrics by the names and definitions that every other door uses."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli import postgres
from cli import tenant as tenants
from crm import clock, db, errors, tenancy
from crm.actor import Actor
from kpis import catalogue, query
from kpis.query import Answer, Filter, Query

app = typer.Typer(no_args_is_help=True)

HEADLINE = ("funnel_reached", "speed_to_lead_s", "conversion_rate")


@app.command("query")
def ask(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Metrics; `santral kpi list` shows them.")],
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="DIM", help="Dimension to group by; repeatable.")
    ] = None,
    grain: Annotated[str | None, typer.Option(help="Also by time: day, week, month or quarter.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First business day.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="First day after the last.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--filter", metavar="DIM=VALUE[,VALUE]", help="Only these; != excludes.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The firm, where there are several.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, values under their KPI.md keys.")
    ] = False,
) -> None:
    """Answer metrics from the published marts, by dimensions and time."""
    if grain not in (None, "day", "week", "month", "quarter"):
        raise errors.Invalid(f"{grain!r} is no grain; there are day, week, month and quarter")
    metrics, dims = _sorted_out(names, by or [])
    wanted = Query(
        metrics=metrics, by=dims, grain=grain,  # type: ignore[arg-type]
        since=since.date() if since else None, until=until.date() if until else None,
        filters=[_filter(text) for text in where or []],
    )  # fmt: skip
    with postgres.ensure_database():
        answer = asyncio.run(_ask(wanted, tenant))
    if as_json:
        for row in answer.rows:
            print(json.dumps(row, ensure_ascii=False))
    else:
        _show(answer)


@app.command("list")
def show_catalogue(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the metrics one can ask for, with their dimensions."""
    with postgres.ensure_database():
        for item in catalogue.public():
            if as_json:
                print(json.dumps(catalogue.described(item), ensure_ascii=False))
            else:
                print(f"{item.name}: {item.label}. {item.description}\n    by {', '.join(sorted(item.dimensions))}")


def headline(tenant: str | None = None) -> list[tuple[str, str]]:
    """Return the head-line KPIs as (label, value in words); the database must be up, an empty list when unpublished."""
    try:
        return asyncio.run(_headline(tenant))
    except query.NotPublished:
        return []


async def _headline(tenant: str | None) -> list[tuple[str, str]]:
    answer = await _ask(Query(HEADLINE), tenant)
    known = {item.name: item for item in catalogue.public()}
    lines: list[tuple[str, str]] = []
    for row in answer.rows:
        stage = f": {row['stage']}" if "stage" in row else ""
        lines += [
            (known[name].label + stage, in_words(row[name], str(known[name].meta.get("unit"))))
            for name in answer.metrics
            if name in row
        ]
    return [*lines, ("As of", f"{answer.as_of:%Y-%m-%d %H:%M:%S} UTC")]


def in_words(value: float | None, unit: str) -> str:
    """Return a value as people read it; no data is a dash (R3)."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "seconds":
        return f"{value:,.0f} s" if value < 600 else f"{value / 60:,.0f} min"
    return f"{value:,.0f}"


def _sorted_out(names: Sequence[str], by: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell metrics from dimensions, so that `--by platform form` and `--by platform,form` mean what they say."""
    known = catalogue.dimensions()
    words = [word for text in names for word in text.split(",") if word]
    dims = [word for text in by for word in text.split(",") if word]
    return [word for word in words if word not in known], dims + [word for word in words if word in known]


def _filter(text: str) -> Filter:
    name, sign, values = text.partition("=")
    if not sign or not name.rstrip("!"):
        raise errors.Invalid(f"{text!r} is no filter: write DIM=VALUE or DIM!=VALUE, several values with commas")
    return Filter(name.rstrip("!"), "not_in" if name.endswith("!") else "in", values.split(","))


async def _ask(wanted: Query, tenant: str | None) -> Answer:
    try:
        actor = await _actor(tenant)
        return await db.run(actor, lambda tx: query.ask(tx, wanted, now=clock.utc_now()))
    finally:
        await db.close()


async def _actor(slug: str | None) -> Actor:
    if not await tenancy.tenants():
        raise tenants.NoTenant("there is no tenant yet: `santral demo` or `santral import` makes one")
    return await tenants.choose(slug)


def _show(answer: Answer) -> None:
    columns = list(dict.fromkeys(name for row in answer.rows for name in row))
    table = Table(*columns, caption=f"as of {answer.as_of:%Y-%m-%d %H:%M:%S} UTC, definition {answer.definition}")
    units = {item.name: str(item.meta.get("unit")) for item in catalogue.public()}
    for row in answer.rows:
        table.add_row(
            *(in_words(row.get(name), units[name]) if name in units else str(row.get(name, "")) for name in columns)
        )
    Console().print(table)
