"""Rows that an import could not take: shown masked, mended cell by cell, and sent through the same mapping again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import errors, phone, vault
from crm.db import Tx
from crm.imports import known, runs
from crm.imports.chunks import Row
from crm.imports.rows import BadRow, Reader
from crm.imports.runs import Run
from crm.leads import intake
from crm.leads.intake import NewLead, Prepared
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
    fields = rejected.run.mapping.fields
    of_addresses = {column.strip() for field in (fields.phone, fields.email) for column in field.column}
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


async def resubmit(tx: Tx, rejected: Rejected, values: Mapping[str, str], *, now: datetime) -> tuple[str, UUID]:
    """Send a mended row through its mapping and the intake; return the outcome and the lead.

    :raises UnknownColumn: when the file has no such column.
    :raises StillInvalid: when it cannot be taken as it is now; nothing was changed.
    """
    country = await tx.fetchval("select country from crm.tenant where tenant_id = $1::uuid", tx.actor.tenant_id)

    def digest(content: str) -> bytes:
        return vault.blind_index(tx.actor.tenant_id, "import", content)

    run = rejected.run
    reader = Reader(run.mapping, run.columns, digest=digest, country=country or "TR", import_id=run.id)
    cells = patched(rejected, values)
    key = (await vault.take(tx.actor.tenant_id))[0]
    try:
        lead = reader.lead(cells)
        prepared = intake.prepare(tx.actor.tenant_id, lead, key, now=now)
    except BadRow as bad:
        raise StillInvalid(fields=bad.faults) from bad
    except phone.NotAPhone as bad:
        raise StillInvalid(fields=reader.named(bad.fields)) from bad
    return await _store(tx, rejected.row_no, cells, lead, prepared, now=now)


async def _store(
    tx: Tx, row_no: int, cells: list[str], lead: NewLead, prepared: Prepared, *, now: datetime
) -> tuple[str, UUID]:
    row = Row(row_no, cells, lead, lead.external_id or "", lead.content_hash or b"")
    ((_, _, stored),) = await runs.store(tx, [row], [prepared], now=now)
    if isinstance(stored, str):
        raise StillInvalid(fields={"row": stored})
    if stored.outcome == "changed":
        await known.update(tx, stored.lead_id, stored.contact_id, lead, prepared, now=now)
    return stored.outcome, stored.lead_id
