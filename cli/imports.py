"""`santral import`: files of leads and of calls into the CRM."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli import postgres, tenant
from crm import db, errors, vault
from crm.db import to_json
from crm.imports import mapping as mappings
from crm.imports import reports
from crm.imports.chunks import Rejection
from crm.imports.parts import FileMapping
from crm.imports.runs import Run
from ingestion.files import running
from ingestion.files.reading import Table

app = typer.Typer(no_args_is_help=True)


class CannotRead(errors.Invalid):
    """The file cannot be read."""

    code = "file.unreadable"


class CannotWrite(errors.Invalid):
    """The report cannot be written."""

    code = "file.unwritable"


@app.callback()
def main() -> None:
    """Read files into the CRM."""


File = Annotated[Path, typer.Argument(help="a CSV or TSV file or an Excel workbook; its first row names the columns")]
ByMapping = Annotated[
    str, typer.Option("--mapping", "-m", help="a mapping's file, or the name of one that comes along")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="count and report, and write nothing")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="the firm, where there are several")]
Report = Annotated[Path | None, typer.Option(help="where rejected rows go (default: beside the file)")]
AsJson = Annotated[bool, typer.Option("--json", help="no progress, only the line of numbers")]


@app.command()
def leads(
    file: File,
    mapping: ByMapping,
    dry_run: DryRun = False,
    tenant_slug: OfTenant = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Import leads. The same file again adds nothing; a run that was cut off goes on.

    Rows that cannot be read go to a report beside the file, with what is wrong: mend it and import it like the file.
    Ends with one JSON line: read = created + merged + unchanged + rejected.
    """
    _import("leads", file, mapping, dry_run=dry_run, slug=tenant_slug, report=report, quiet=as_json)


@app.command()
def calls(
    file: File,
    mapping: ByMapping,
    dry_run: DryRun = False,
    tenant_slug: OfTenant = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Import calls that another system handled, as history: they count in figures and are never acted upon.

    The same file again adds nothing; a run that was cut off goes on. Rows that cannot be read go to a report beside the
    file, like those of leads. Ends with one JSON line: read = created + merged + unchanged + rejected, where `merged`
    are calls that were known and are told otherwise now, and rows that the mapping ignores count as unchanged.
    """
    _import("calls", file, mapping, dry_run=dry_run, slug=tenant_slug, report=report, quiet=as_json)


def _import(
    kind: str, file: Path, mapping: str, *, dry_run: bool, slug: str | None, report: Path | None, quiet: bool
) -> None:
    plan = mappings.require_kind(read_mapping(mapping), kind)
    with _open(file) as content, postgres.ensure_database():
        place = report or file.with_name(f"{file.stem}.rejected.csv")
        result = asyncio.run(_run(content, file.name, plan, slug, place, dry_run=dry_run, quiet=quiet))
    print(to_json(result))


def read_mapping(name: str) -> FileMapping:
    """Return the mapping in a file, or of one of the names that come along.

    :raises CannotRead: when there is no such file.
    :raises mappings.MappingInvalid: when it cannot be used, or there is none of that name.
    """
    if not Path(name).suffix:
        return mappings.named(name)
    try:
        return mappings.parse(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRead(f"cannot read the mapping {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotRead(f"the mapping {name} is not UTF-8") from error


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise CannotRead(f"cannot read {file}: {error.strerror}") from error


async def _run(
    content: BinaryIO, name: str, plan: FileMapping, slug: str | None, place: Path, *, dry_run: bool, quiet: bool
) -> dict[str, int | str | None]:
    try:
        actor = await tenant.choose(slug)
        with _Bar(quiet=quiet) as bar:
            if dry_run:
                run, rejections = await running.rehearse(actor, content, plan, progress=bar.move, opened=bar.opened)
                told: AsyncIterator[Rejection] = _each(rejections)
            else:
                run = await running.import_file(actor, content, name, plan, progress=bar.move, opened=bar.opened)
                told = reports.rejected(actor, run.id)
        written = await _write_report(place, run, told) if run.counts.rejected else None
        _tell(run, written, quiet=quiet)
        return {**asdict(run.counts), "report": str(written) if written else None}
    finally:
        await db.close()
        await vault.close()


async def _each(rejections: Iterable[Rejection]) -> AsyncIterator[Rejection]:
    for rejection in rejections:
        yield rejection


async def _write_report(place: Path, run: Run, rejections: AsyncIterator[Rejection]) -> Path:
    """Write the rejected rows as CSV; readable by its owner only, for it holds personal data."""
    try:
        place.touch(mode=0o600)
        with place.open("wb") as out:
            async for line in reports.as_csv(run, rejections):
                out.write(line)
    except OSError as error:
        raise CannotWrite(f"cannot write the report {place} ({error.strerror}): name another with --report") from error
    return place


def _tell(run: Run, report: Path | None, *, quiet: bool) -> None:
    """Say on standard error what a person wants to know beside the numbers."""
    if quiet:
        return
    for column, values in run.unmapped.items():
        for value, rows in sorted(values.items(), key=lambda found: -found[1]):
            print(f"{column}: {value!r} is in no table of the mapping, {rows} rows became `new`", file=sys.stderr)
    if report:
        print(f"{run.counts.rejected} rows were rejected: mend {report} and import it", file=sys.stderr)


class _Bar:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
        self._task = self._bar.add_task("rows", total=None)

    def __enter__(self) -> "_Bar":
        self._bar.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._bar.stop()

    def opened(self, table: Table) -> None:
        """Learn about how many rows there are."""
        self._bar.update(self._task, total=table.size)

    def move(self, run: Run) -> None:
        """Show how far a run is."""
        self._bar.update(self._task, completed=run.counts.read)
