"""A file's rows in chunks: read by the mapping, compared with what is known, made ready for the storing statement."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crm.imports.cells import BadRow, RowReader

SIZE = 2000
"""Rows of one transaction."""

Numbered = tuple[int, list[str]]
"""A row's number in its file (0 is the first after the header) and its cells."""


class Row(NamedTuple):
    """One row that reads as what its mapping is for (`record`: a lead, a call)."""

    number: int
    cells: list[str]
    record: Any
    outside_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that does not, with its faults (column → sentence)."""

    number: int
    cells: list[str]
    faults: Mapping[str, str]


@dataclass(slots=True)
class Draft:
    """Rows from `first` up to but not including `next`, as the mapping reads them; no outside id twice.

    `repeats`: rows that say again, word for word, what an earlier row of the draft said; `ignored` counts those of
    which nothing is to be kept.
    """

    first: int
    next: int
    rows: list[Row] = field(default_factory=list)
    repeats: list[Row] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    ignored: int = 0
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """How many rows the draft accounts for."""
        return len(self.rows) + len(self.repeats) + len(self.rejections) + self.ignored


@dataclass(slots=True)
class Chunk:
    """What one transaction stores: `rows` and `prepared` in step, and the count of rows that are known as they are.

    `touches`: what two chunks must not share to be stored side by side.
    """

    first: int
    next: int
    read: int
    rows: list[Row]
    prepared: list[Any]
    unchanged: int
    rejections: list[Rejection]
    unmapped: Counter[tuple[str, str]]
    touches: frozenset[str | bytes]


def drafts(reader: RowReader, rows: Iterator[Numbered], *, done: Sequence[tuple[int, int]] = ()) -> Iterator[Draft]:
    """Yield the rows that are not `done` (ranges without their ends), each draft of rows that follow one another.

    A row that contradicts an earlier one of its draft begins the next.
    """
    draft, digests = Draft(0, 0), dict[str, bytes]()
    for number, cells in rows:
        if done and any(first <= number < last for first, last in done):
            continue
        if draft.read >= SIZE or draft.next != number:
            if draft.read:
                yield _closed(draft, reader)
            draft, digests = Draft(number, number), {}
        try:
            record = reader.read(cells)
        except BadRow as bad:
            draft.rejections.append(Rejection(number, cells, bad.faults))
        else:
            if record is None:
                draft.ignored, draft.next = draft.ignored + 1, number + 1
                continue
            row = Row(number, cells, record, record.external_id or "", record.content_hash or b"")
            earlier = digests.get(row.outside_id)
            if earlier is not None and earlier != row.digest:
                yield _closed(draft, reader)
                draft, digests, earlier = Draft(number, number), {}, None
            (draft.repeats if earlier else draft.rows).append(row)
            digests[row.outside_id] = row.digest
        draft.next = number + 1
    if draft.read:
        yield _closed(draft, reader)


def _closed(draft: Draft, reader: RowReader) -> Draft:
    draft.unmapped, reader.unmapped = reader.unmapped, Counter()
    return draft


def fresh(draft: Draft, stored: Mapping[str, bytes]) -> list[Row]:
    """Return the rows that say something new: unknown, or known with other content."""
    return [row for row in draft.rows if stored.get(row.outside_id) != row.digest]
