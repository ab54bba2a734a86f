"""Calls of a file: which are known, and what one chunk of them changes. They hold nothing to be sealed."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from crm import vault
from crm.calls import history
from crm.calls.history import PastCall
from crm.db import Tx
from crm.imports import runs
from crm.imports.cells import RowReader
from crm.imports.chunks import Chunk, Draft, Rejection, Row
from crm.imports.runs import Counts, Run
from crm.operation import operation


async def known(tx: Tx, source: str, outside_ids: Collection[str]) -> dict[str, bytes]:
    """Return which of these outside ids are stored, each with the hash of its content."""
    return await history.known(tx, source, outside_ids)


def seal(
    tenant_id: UUID,
    reader: RowReader,
    draft: Draft,
    wanted: Sequence[Row],
    keys: Sequence[vault.DataKey],
    *,
    now: datetime,
) -> Chunk:
    """Return a draft made ready for storing its `wanted` rows."""
    rows = list(wanted)
    unchanged = draft.read - len(rows) - len(draft.rejections)
    touches: frozenset[str | bytes] = frozenset(row.outside_id for row in rows)
    return Chunk(
        draft.first, draft.next, draft.read, rows, [row.record for row in rows], unchanged, draft.rejections,
        draft.unmapped, touches,
    )  # fmt: skip


@operation("import.run")
async def take(tx: Tx, run: Run, chunk: Chunk, *, now: datetime) -> Run:
    """Store one chunk with its rejections, and note that it is done; return the run as it stands then.

    A call that is known with other content counts as merged: it is as the file says now.

    :raises runs.Overtaken: when another process has stored rows of this chunk.
    """
    rejections, outcomes = list(chunk.rejections), Counter[str]()
    stored = await runs.halving(tx, chunk.rows, chunk.prepared, lambda some: history.store(tx, some, now=now))
    for row, _, outcome in stored:
        if outcome in ("created", "changed", "unchanged"):
            outcomes[outcome] += 1
        else:
            rejections.append(Rejection(row.number, row.cells, {"row": outcome}))
    counts = Counts(
        chunk.read, outcomes["created"], outcomes["changed"], chunk.unchanged + outcomes["unchanged"], len(rejections)
    )
    await runs.reject(tx, run.id, rejections, now=now)
    return await runs.advance(tx, run, counts, chunk, now=now)


async def mend(tx: Tx, row: Row, prepared: PastCall, *, now: datetime) -> tuple[str, UUID | None]:
    """Store one row within the operation that mended it; return the outcome and the call, or a refusal and None."""
    ((_, _, outcome),) = await runs.halving(tx, [row], [prepared], lambda some: history.store(tx, some, now=now))
    call_id = await history.id_of(tx, prepared.source, prepared.external_id)
    return outcome, call_id


class Rehearsal:
    """Remembers what a real run would have stored by now: outside ids with their content."""

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}

    def known(self, draft: Draft) -> dict[str, bytes]:
        """Return which outside ids of a draft earlier chunks brought, with the hash of their content."""
        return {row.outside_id: self._content[row.outside_id] for row in draft.rows if row.outside_id in self._content}

    async def take(self, tx: Tx, chunk: Chunk, stored: Iterable[str]) -> Counts:
        """Count one chunk as `take` would. `stored`: the outside ids of the chunk that exist already."""
        existing = frozenset(stored)
        created = sum(row.outside_id not in existing for row in chunk.rows)
        self._content.update((row.outside_id, row.digest) for row in chunk.rows)
        return Counts(chunk.read, created, len(chunk.rows) - created, chunk.unchanged, len(chunk.rejections))
