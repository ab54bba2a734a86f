"""`santral kpi`: ask for metrics by the names and definitions that every other door uses."""

import asyncio
import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent
from rich.console import Console
from rich.table import Table

from cli import postgres
from cli import tenant as tenants
from crm import clock, db, errors, tenancy
from crm.actor import Actor
from kpis import catalogue, query
from kpis.catalogue import Definition
from kpis.query import Answer, Filter, Order, Query
from kpis.questions import MOST_ROWS

app = typer.Typer(no_args_is_help=True)

LANGUAGES = ("en", "tr")
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
    order: Annotated[
        list[str] | None, typer.Option("--order", metavar="COLUMN", help="Sort by it; -COLUMN from the greatest.")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows.")] = MOST_ROWS,
    as_of: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="What was known then: 2026-03-02T09:00+03:00 (else UTC).")
    ] = None,
    definition: Annotated[
        list[str] | None,
        typer.Option("--definition", metavar="METRIC=HASH", help="Answer a metric by an earlier definition."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The firm, where there are several.")] = None,
    language: Annotated[str, typer.Option("--language", help="Words and numbers of the table: en or tr.")] = "en",
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, values as they are under their keys.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, values under their KPI.md keys.")
    ] = False,
) -> None:
    """Answer metrics from the published marts, by dimensions and time."""
    if grain not in (None, "day", "week", "month", "quarter"):
        raise errors.Invalid(f"{grain!r} is no grain; there are day, week, month and quarter")
    if language not in LANGUAGES:
        raise errors.Invalid(f"{language!r} is no language of ours; there are {', '.join(LANGUAGES)}")
    with postgres.ensure_database():  # telling metrics from dimensions may parse the project, which names a database
        metrics, dims = _sorted_out(names, by or [])
        wanted = Query(
            metrics=metrics, by=dims, grain=grain,  # type: ignore[arg-type]
            since=since.date() if since else None, until=until.date() if until else None,
            filters=[_filter(text) for text in where or []],
            order=[Order(text.lstrip("-"), text.startswith("-")) for text in order or []], limit=limit,
            as_of=_instant(as_of) if as_of else None, definitions=dict(_definition(text) for text in definition or []),
        )  # fmt: skip
        answer = asyncio.run(_ask(wanted, tenant))
    if as_json:
        for row in answer.rows:
            print(json.dumps(row, ensure_ascii=False))
    elif as_csv:
        _write(answer, _columns(answer, wanted))
    else:
        _show(answer, _columns(answer, wanted), language)


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


def in_words(value: float | None, unit: str, language: str = "en") -> str:
    """Return a value as people of a language read it; no data is a dash (R3)."""
    if value is None:
        return "–"
    if unit == "share":
        return str(format_percent(value, "#,##0.0%" if language == "en" else "%#,##0.0", locale=language))
    if unit == "seconds":
        minutes, word = ("min", "s") if language == "en" else ("dk", "sn")
        amount, word = (value, word) if value < 600 else (value / 60, minutes)
        return f"{format_decimal(amount, '#,##0', locale=language)} {word}"
    pattern = "#,##0.00" if unit in ("money", "days", "per_hour") else "#,##0"
    return str(format_decimal(value, pattern, locale=language))


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


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise errors.Invalid(f"{text!r} is no instant: write 2026-03-02T09:00+03:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _definition(text: str) -> tuple[str, str]:
    metric, sign, found = text.partition("=")
    if not sign or not found:
        raise errors.Invalid(f"{text!r} is no definition: write METRIC=HASH, as an earlier answer named it")
    return metric, found


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


def _columns(answer: Answer, wanted: Query) -> list[str]:
    """Return the columns of the rows; of no rows those that they would have."""
    found = dict.fromkeys(name for row in answer.rows for name in row)
    return list(found) or [*(["metric_time"] if wanted.grain else []), *wanted.by, *answer.metrics]


def _write(answer: Answer, columns: Sequence[str]) -> None:
    """Write the rows as CSV; a text that a spreadsheet would take for a formula is marked as text."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in answer.rows:
        writer.writerow([_harmless(row.get(name)) for name in columns])


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _show(answer: Answer, columns: Sequence[str], language: str) -> None:
    known = {item.name: item for item in catalogue.public()}
    heads = [known[name].words(language)[0] if name in known else name for name in columns]
    when = format_datetime(
        answer.as_of, "yyyy-MM-dd HH:mm:ss" if language == "en" else "d MMMM y HH:mm:ss", locale=language
    )
    told = {
        "en": f"as of {when} UTC, definition {answer.definition}",
        "tr": f"{when} UTC itibarıyla, tanım {answer.definition}",
    }
    table = Table(*heads, caption=told[language])
    for row in answer.rows:
        table.add_row(*(_cell(row.get(name), known.get(name), language) for name in columns))
    Console().print(table)


def _cell(value: Any, item: Definition | None, language: str) -> str:
    if item is None:
        return "" if value is None else str(value)
    return in_words(value, str(item.meta.get("unit")), language)
