"""What the rows of a file can become, and how each kind is read, compared, made ready, stored and rehearsed."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from crm import vault
from crm.db import Tx
from crm.imports import calls, leads
from crm.imports.call_rows import CallReader
from crm.imports.cells import RowReader
from crm.imports.chunks import Chunk, Draft, Row
from crm.imports.parts import FileMapping
from crm.imports.rehearsal import Rehearsal
from crm.imports.rows import Reader
from crm.imports.runs import Counts, Run


class Rehearsing(Protocol):
    """Remembers what a real run would have stored by now."""

    def known(self, draft: Draft) -> dict[str, bytes]:
        """Return which outside ids of a draft earlier chunks brought, with the hash of their content."""

    async def take(self, tx: Tx, chunk: Chunk, stored: Iterable[str]) -> Counts:
        """Count one chunk as storing it would. `stored`: the outside ids of the chunk that exist already."""


class Taking(Protocol):
    """Stores one chunk."""

    def __call__(self, tx: Tx, /, run: Run, chunk: Chunk, *, now: datetime) -> Awaitable[Run]:
        """Store a chunk and return the run as it stands then."""


class Sealing(Protocol):
    """Makes a draft ready."""

    def __call__(
        self, tenant_id: UUID, reader: RowReader, draft: Draft, wanted: Sequence[Row], keys: Sequence[vault.DataKey],
        *, now: datetime,
    ) -> Chunk:  # fmt: skip
        """Return a draft made ready for storing its `wanted` rows."""


class Mending(Protocol):
    """Stores one row that somebody has mended."""

    def __call__(self, tx: Tx, row: Row, prepared: Any, *, now: datetime) -> Awaitable[tuple[str, UUID | None]]:
        """Return what came of it and which thing it became, or the database's refusal and None."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of them. `keys`: how many keys each row needs to be sealed under."""

    reader: Callable[..., RowReader]
    known: Callable[[Tx, str, Collection[str]], Awaitable[dict[str, bytes]]]
    keys: int
    seal: Sealing
    take: Taking
    rehearsal: Callable[[], Rehearsing]
    mend: Mending


KINDS: dict[str, Kind] = {
    "leads": Kind(Reader, leads.known, 1, leads.seal, leads.take, Rehearsal, leads.mend),
    "calls": Kind(CallReader, calls.known, 0, calls.seal, calls.take, calls.Rehearsal, calls.mend),
}


def of(mapping: FileMapping) -> Kind:
    """Return what a mapping's rows become."""
    return KINDS[mapping.kind]


def reader(mapping: FileMapping, header: Sequence[str], **how: Any) -> RowReader:
    """Return the reader of a file; see `cells.RowReader`."""
    return of(mapping).reader(mapping, header, **how)
