"""What an import could not take, to be mended and sent again: the file's own columns and what is wrong."""

import codecs
import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from uuid import UUID

from crm import audit, db, events, vault
from crm.actor import Actor
from crm.db import Tx
from crm.imports import runs
from crm.imports.cells import ERROR_COLUMN
from crm.imports.chunks import Rejection
from crm.imports.parts import FileMapping
from crm.imports.runs import Run
from crm.operation import operation
from crm.spreadsheets import escape

PAGE = 1000
"""Rejected rows opened at a time."""


@operation("import.view")
async def consult(tx: Tx, run_id: UUID, *, now: datetime) -> tuple[Run, bool]:
    """Note that somebody reads a report; return its run, and whether they may see its rows as they were sent.

    Who sent the file may, and who may reveal contacts; for others numbers and addresses are hidden.

    :raises runs.RunNotFound: when there is no such import.
    """
    row = await runs.get(tx, run_id)
    clear = tx.actor.may("contact.reveal") or tx.actor.user_id == row["created_by"]
    told = {"is_clear": clear}
    await events.record(tx, "import", run_id, "import.report_read", told, at=now)
    await audit.record(tx, "import.report_read", "import_run", run_id, told, at=now)
    return runs.of_row(row), clear


async def rejected(actor: Actor, run_id: UUID) -> AsyncIterator[Rejection]:
    """Yield the rejected rows of a run in the order of the file, opened.

    Those that somebody has mended or dismissed meanwhile are left out, and those whose key was destroyed.
    """
    after = -1
    while True:
        async with db.transaction(actor) as tx:
            rows = await tx.fetch(
                "select row_no, key_id, sealed, errors from crm.import_rejection"
                " where tenant_id = $1::uuid and import_id = $2::uuid and row_no > $3::int and resolved_at is null"
                " order by row_no limit $4::int",
                actor.tenant_id, run_id, after, PAGE,
            )  # fmt: skip
        keys = await vault.find(actor.tenant_id, {row["key_id"] for row in rows})
        for row in rows:
            if key := keys.get(row["key_id"]):
                yield Rejection(row["row_no"], json.loads(key.open(row["sealed"])), row["errors"])
        if len(rows) < PAGE:
            return
        after = rows[-1]["row_no"]


async def as_csv(run: Run, rejections: AsyncIterator[Rejection], *, clear: bool = True) -> AsyncIterator[bytes]:
    """Yield a report as the mapping of its run reads it; not `clear`: numbers and addresses are hidden."""
    encoding = codecs.lookup(run.mapping.encoding).name
    mark = codecs.BOM_UTF8 if encoding == "utf-8" else b""  # with it a spreadsheet knows; reading takes it off again

    def line(cells: Sequence[str]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=run.mapping.delimiter).writerow(cells)
        return text.getvalue().encode(encoding, errors="surrogateescape")

    yield mark + line(header(run.columns, run.mapping))
    async for rejection in rejections:
        yield line(cells_of(rejection, run.columns, run.mapping, show=str if clear else vault.scrub))


def header(columns: Sequence[str], mapping: FileMapping) -> list[str]:
    """Return the columns of a report: the file's own (without an earlier report's) and what is wrong."""
    return [name for name in columns if name != ERROR_COLUMN or name in mapping.columns] + [ERROR_COLUMN]


def cells_of(
    rejection: Rejection, columns: Sequence[str], mapping: FileMapping, *, show: Callable[[str], str] = str
) -> list[str]:
    """Return one line of a report: the row as it was, safe to open in a spreadsheet, and its faults."""
    faults = "; ".join(
        sentence if column == "row" else f"{column}: {sentence}" for column, sentence in rejection.faults.items()
    )
    cells = [escape(show(cell)) for cell in rejection.cells] + [""] * (len(columns) - len(rejection.cells))
    kept = [
        cell
        for name, cell in zip(columns, cells, strict=False)
        if name != ERROR_COLUMN or name in mapping.columns
    ]  # fmt: skip
    return [*kept, faults, *cells[len(columns) :]]
