"""A file's rows in chunks: read by the mapping, compared with what is known, sealed for the storing statement."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from crm import phone, vault
from crm.db import Tx
from crm.imports.rows import BadRow, Reader
from crm.leads import intake
from crm.leads.intake import NewLead, Prepared
from crm.leads.storing import POSITION

SIZE = 2000
"""Rows of one transaction."""

Numbered = tuple[int, list[str]]
"""A row's number in its file (0 is the first after the header) and its cells."""


class Row(NamedTuple):
    """One row that reads as a lead."""

    number: int
    cells: list[str]
    lead: NewLead
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

    `repeats`: rows that say again, word for word, what an earlier row of the draft said.
    """

    first: int
    next: int
    rows: list[Row] = field(default_factory=list)
    repeats: list[Row] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """How many rows the draft accounts for."""
        return len(self.rows) + len(self.repeats) + len(self.rejections)


@dataclass(slots=True)
class Chunk:
    """What one transaction stores: `rows` and `prepared` in step, and the count of rows that are known as they are."""

    first: int
    next: int
    read: int
    rows: list[Row]
    prepared: list[Prepared]
    unchanged: int
    rejections: list[Rejection]
    unmapped: Counter[tuple[str, str]]

    @property
    def touches(self) -> frozenset[str | bytes]:
        """What two chunks must not share to be stored side by side: outside ids, phones and e-mails."""
        places = (POSITION["phone_index"], POSITION["email_index"])
        people = (each[at] for at in places for each in self.prepared)
        return frozenset((*(row.outside_id for row in self.rows), *filter(None, people)))


def drafts(reader: Reader, rows: Iterator[Numbered], *, done: Sequence[tuple[int, int]] = ()) -> Iterator[Draft]:
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
            lead = reader.lead(cells)
        except BadRow as bad:
            draft.rejections.append(Rejection(number, cells, bad.faults))
        else:
            row = Row(number, cells, lead, lead.external_id or "", lead.content_hash or b"")
            earlier = digests.get(row.outside_id)
            if earlier is not None and earlier != row.digest:
                yield _closed(draft, reader)
                draft, digests, earlier = Draft(number, number), {}, None
            (draft.repeats if earlier else draft.rows).append(row)
            digests[row.outside_id] = row.digest
        draft.next = number + 1
    if draft.read:
        yield _closed(draft, reader)


def _closed(draft: Draft, reader: Reader) -> Draft:
    draft.unmapped, reader.unmapped = reader.unmapped, Counter()
    return draft


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


def fresh(draft: Draft, stored: Mapping[str, bytes]) -> list[Row]:
    """Return the rows that say something new: unknown, or known with other content."""
    return [row for row in draft.rows if stored.get(row.outside_id) != row.digest]


def seal(
    tenant_id: UUID,
    reader: Reader,
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
            prepared.append(intake.prepare(tenant_id, row.lead, key, now=now))
            rows.append(row)
        except phone.NotAPhone as error:
            rejected[row.outside_id] = reader.named(error.fields)
    rejections = draft.rejections + [
        Rejection(row.number, row.cells, rejected[row.outside_id])
        for row in (*(wanted if rejected else ()), *draft.repeats)
        if row.outside_id in rejected
    ]
    unchanged = draft.read - len(rows) - len(rejections)
    return Chunk(draft.first, draft.next, draft.read, rows, prepared, unchanged, rejections, draft.unmapped)
