"""Leads of a file: which are known, how they are sealed, and what one chunk of them changes."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from crm import phone, vault
from crm.db import Tx
from crm.imports import known as known_leads
from crm.imports import runs
from crm.imports.cells import RowReader
from crm.imports.chunks import Chunk, Draft, Rejection, Row
from crm.imports.runs import Counts, Run
from crm.leads import intake
from crm.leads.intake import Prepared
from crm.leads.storing import POSITION
from crm.operation import operation

PEOPLE = (POSITION["phone_index"], POSITION["email_index"])


async def known(tx: Tx, source: str, outside_ids: Collection[str]) -> dict[str, bytes]:
    """Return which of these outside ids are stored, each with the hash of its content."""
    # One index look-up for each, whatever the planner believes of a table that was small when it planned.
    rows = await tx.fetch(
        "select i.external_id, l.content_hash from unnest($3::text[]) as i(external_id)"
        " cross join lateral (select content_hash from crm.lead where tenant_id = $1::uuid and source = $2::text"
        " and external_id = i.external_id limit 1) l",
        tx.actor.tenant_id, source, list(outside_ids),
    )  # fmt: skip
    return {row["external_id"]: row["content_hash"] or b"" for row in rows}


def seal(
    tenant_id: UUID,
    reader: RowReader,
    draft: Draft,
    wanted: Sequence[Row],
    keys: Sequence[vault.DataKey],
    *,
    now: datetime,
) -> Chunk:
    """Return a draft made ready for storing; `wanted` rows are sealed, each under a key of its own."""
    rows: list[Row] = []
    prepared: list[Prepared] = []
    rejected: dict[str, Mapping[str, str]] = {}
    for row, key in zip(wanted, keys, strict=True):
        try:
            prepared.append(intake.prepare(tenant_id, row.record, key, now=now))
            rows.append(row)
        except phone.NotAPhone as error:
            rejected[row.outside_id] = reader.named(error.fields)
    rejections = draft.rejections + [
        Rejection(row.number, row.cells, rejected[row.outside_id])
        for row in (*(wanted if rejected else ()), *draft.repeats)
        if row.outside_id in rejected
    ]
    unchanged = draft.read - len(rows) - len(rejections)
    touches = _touches(rows, prepared)
    return Chunk(draft.first, draft.next, draft.read, rows, prepared, unchanged, rejections, draft.unmapped, touches)


def _touches(rows: Sequence[Row], prepared: Sequence[Prepared]) -> frozenset[str | bytes]:
    """Return outside ids, phones and e-mails of leads."""
    people = (each[at] for at in PEOPLE for each in prepared)
    return frozenset((*(row.outside_id for row in rows), *filter(None, people)))


@operation("import.run")
async def take(tx: Tx, run: Run, chunk: Chunk, *, now: datetime) -> Run:
    """Store one chunk with its rejections, and note that it is done; return the run as it stands then.

    A row that the database cannot hold is rejected alone; the rest of the chunk is stored.

    :raises Overtaken: when another process has stored rows of this chunk.
    """
    counts, outcomes = Counts(chunk.read, unchanged=chunk.unchanged), Counter[str]()
    rejections = list(chunk.rejections)
    for row, prepared, outcome in await store(tx, chunk.rows, chunk.prepared, now=now):
        if isinstance(outcome, str):
            rejections.append(Rejection(row.number, row.cells, {"row": outcome}))
        elif outcome.outcome == "changed":
            await known_leads.update(tx, outcome.lead_id, outcome.contact_id, row.record, prepared, now=now)
            counts.merged += 1
        else:
            outcomes[outcome.outcome] += 1
    counts.created, counts.merged = outcomes["created"], counts.merged + outcomes["merged"]
    counts.unchanged += outcomes["unchanged"]
    counts.rejected = len(rejections)
    await runs.reject(tx, run.id, rejections, now=now)
    return await runs.advance(tx, run, counts, chunk, now=now)


async def store(
    tx: Tx, rows: Sequence[Row], prepared: Sequence[Prepared], *, now: datetime
) -> list[tuple[Row, Prepared, intake.Stored | str]]:
    """Store rows; one that the database refuses comes back with a sentence, see `runs.halving`."""
    return await runs.halving(tx, rows, prepared, lambda some: intake.store(tx, some, now=now))


async def mend(tx: Tx, row: Row, prepared: Prepared, *, now: datetime) -> tuple[str, UUID | None]:
    """Store one row within the operation that mended it; return the outcome and the lead, or a refusal and None."""
    ((_, _, stored),) = await store(tx, [row], [prepared], now=now)
    if isinstance(stored, str):
        return stored, None
    if stored.outcome == "changed":
        await known_leads.update(tx, stored.lead_id, stored.contact_id, row.record, prepared, now=now)
    return stored.outcome, stored.lead_id
