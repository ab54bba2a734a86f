"""A dry run: the same reading and the same numbers, and nothing written."""

import os
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from crm import ids, vault
from crm.db import Tx
from crm.imports.chunks import Chunk, Draft
from crm.imports.runs import Counts
from crm.leads import intake
from crm.leads.intake import Prepared
from crm.leads.storing import POSITION

KINDS = ("phone", "email")
INDEXES = tuple(POSITION[f"{kind}_index"] for kind in KINDS)


def keys(tenant_id: UUID, how_many: int) -> list[vault.DataKey]:
    """Return keys that exist nowhere else: what is sealed under them is thrown away."""
    return [vault.DataKey(tenant_id, ids.new(), os.urandom(32)) for _ in range(how_many)]


class Rehearsal:
    """Remembers what a real run would have stored by now: outside ids with their content, and who can be found."""

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}
        self._people: set[bytes] = set()

    def known(self, draft: Draft) -> dict[str, bytes]:
        """Return which outside ids of a draft earlier chunks brought, with the hash of their content."""
        return {row.outside_id: self._content[row.outside_id] for row in draft.rows if row.outside_id in self._content}

    async def take(self, tx: Tx, chunk: Chunk, stored: Iterable[str]) -> Counts:
        """Count one chunk as `runs.take` would. `stored`: the outside ids of the chunk that exist already."""
        existing = frozenset(stored)
        people = self._people | await _known_people(tx, chunk.prepared)
        groups: dict[UUID, list[Prepared]] = defaultdict(list)
        for row, prepared in zip(chunk.rows, intake.one_person_once(chunk.prepared), strict=True):
            if row.outside_id not in existing:
                groups[prepared[POSITION["candidate"]]].append(prepared)
        created = sum(not any(each[at] in people for each in group for at in INDEXES) for group in groups.values())
        self._people.update(each[at] for each in chunk.prepared for at in INDEXES if each[at])
        self._content.update((row.outside_id, row.digest) for row in chunk.rows)
        return Counts(chunk.read, created, len(chunk.rows) - created, chunk.unchanged, len(chunk.rejections))


async def _known_people(tx: Tx, rows: Iterable[Prepared]) -> set[bytes]:
    """Return which phones and e-mails of some rows are known, by their blind indexes."""
    wanted = [(kind, row[at]) for row in rows for kind, at in zip(KINDS, INDEXES, strict=True) if row[at]]
    kinds, indexes = zip(*wanted, strict=True) if wanted else ((), ())
    found = await tx.fetch(
        "select i.blind_index from unnest($2::text[], $3::bytea[]) as i(kind, blind_index)"
        " cross join lateral (select id from crm.contact_point p where p.tenant_id = $1::uuid and p.kind = i.kind"
        " and p.blind_index = i.blind_index limit 1) p",
        tx.actor.tenant_id, kinds, indexes,
    )  # fmt: skip
    return {row["blind_index"] for row in found}
