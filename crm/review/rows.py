"""Rows that an import could not take: shown masked, mended cell by cell, and sent through the same mapping again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import errors, vault
from crm.db import Tx
from crm.imports import kinds, runs
from crm.imports.cells import BadRow, RowReader
from crm.imports.chunks import Draft, Row
from crm.imports.runs import Run
from crm.review import rules


class StillInvalid(errors.Invalid):
    """The row still cannot be taken; `fields` says which columns are at fault."""

    code = "review.still_invalid"


class UnknownColumn(errors.Invalid):
    """The file has no such column."""

    code = "review.unknown_field"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected row, opened: its cells as they were sent and its faults (column → sentence)."""

    row_no: int
    run: Run
    cells: list[str]
    faults: Mapping[str, str]

    @property
    def named(self) -> list[tuple[str, str]]:
        """The columns of the file, each with its cell; cells beyond the header are named by their place."""
        width = max(len(self.run.columns), len(self.cells))
        columns = [*self.run.columns, *(f"#{place + 1}" for place in range(len(self.run.columns), width))]
        return list(zip(columns, [*self.cells, *[""] * (width - len(self.cells))], strict=True))


async def opened(tx: Tx, row: asyncpg.Record) -> Rejected:
    """Return a rejected row as it was sent.

    :raises vault.Unreadable: when it was erased.
    """
    run = runs.of_row(await runs.get(tx, row["import_id"]))
    keys = await vault.find(tx.actor.tenant_id, [row["key_id"]])
    if row["key_id"] not in keys:
        raise vault.Unreadable
    return Rejected(row["row_no"], run, json.loads(keys[row["key_id"]].open(row["sealed"])), row["errors"])


def shown(rejected: Rejected) -> list[dict[str, Any]]:
    """Return a row's columns with masked values, and what is wrong with each.

    A cell where an address belongs shows its shape alone, whatever stands there.
    """
    of_addresses = {column.strip() for column in rejected.run.mapping.personal}
    return [
        {
            "name": name,
            "value": rules.shape(cell) if name.strip() in of_addresses else rules.veiled(cell),
            "fault": rejected.faults.get(name.strip()),
        }
        for name, cell in rejected.named
    ]


def patched(rejected: Rejected, values: Mapping[str, str]) -> list[str]:
    """Return a row's cells with these columns in their place, as many as the header has.

    :raises UnknownColumn: when the file has no such column.
    """
    columns = [name.strip() for name in rejected.run.columns]
    if unknown := sorted(values.keys() - set(columns)):
        raise UnknownColumn(fields=dict.fromkeys(unknown, "no such column in the file"))
    cells = [*rejected.cells, *[""] * len(columns)][: len(columns)]
    return [values.get(name, cell) for name, cell in zip(columns, cells, strict=True)]


async def resubmit(tx: Tx, rejected: Rejected, values: Mapping[str, str], *, now: datetime) -> tuple[str, UUID | None]:
    """Send a mended row through its mapping and store it; return the outcome, and the lead where it is one.

    :raises UnknownColumn: when the file has no such column.
    :raises StillInvalid: when it cannot be taken as it is now; nothing was changed.
    """
    tenant_id, run = tx.actor.tenant_id, rejected.run
    country = await tx.fetchval("select country from crm.tenant where tenant_id = $1::uuid", tenant_id)

    def digest(content: str) -> bytes:
        return vault.blind_index(tenant_id, "import", content)

    kind = kinds.of(run.mapping)
    reader = kinds.reader(run.mapping, run.columns, digest=digest, country=country or "TR", import_id=run.id)
    row = _read(reader, rejected.row_no, patched(rejected, values))
    keys = await vault.take(tenant_id, kind.keys) if kind.keys else []
    chunk = kind.seal(tenant_id, reader, Draft(row.number, row.number + 1, [row]), [row], keys, now=now)
    if chunk.rejections:
        raise StillInvalid(fields=chunk.rejections[0].faults)
    outcome, made = await kind.mend(tx, row, chunk.prepared[0], now=now)
    if made is None:
        raise StillInvalid(fields={"row": outcome})
    return outcome, made if run.mapping.kind == "leads" else None


def _read(reader: RowReader, row_no: int, cells: list[str]) -> Row:
    try:
        record = reader.read(cells)
    except BadRow as bad:
        raise StillInvalid(fields=bad.faults) from bad
    if record is None:
        raise StillInvalid(fields={"row": "the mapping ignores such a row: dismiss it"})
    return Row(row_no, cells, record, record.external_id or "", record.content_hash or b"")
