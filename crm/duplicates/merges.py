"""Merges as they are kept, and the two contacts of one: locked, written, told about."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from crm import audit, errors, events, timeline, visibility
from crm.db import Tx, to_json
from crm.duplicates import survival
from crm.sql import Args

KINDS = ("phone", "email")
INSTANTS = frozenset({"archived_at", "created_at", "updated_at"})
IDS = frozenset({"created_by", "merged_into"})
TYPES = {
    **dict.fromkeys(survival.SETS, "text[]"),
    **dict.fromkeys(INSTANTS, "timestamptz"),
    **dict.fromkeys(IDS, "uuid"),
}
"""Types of the columns of a contact that a merge writes and that are no text."""

Pair = Mapping[UUID, asyncpg.Record]
"""The two contacts of a merge as they stand, by their ids."""


class MergeNotFound(errors.NotFound):
    """There is no such merge, or its contacts are not yours to see."""

    code = "merge.not_found"


class Merge(NamedTuple):
    """One merge as it is kept.

    `moved`: table → keys of the rows that moved. `replaced`: of the `winner` and of the `loser` column → the value it
    had and the value it got, and `facts`, the ids of what the winner had said until then.
    """

    id: UUID
    winner_id: UUID
    loser_id: UUID
    moved: dict[str, list[str]]
    replaced: dict[str, Any]
    merged_at: datetime
    undone_at: datetime | None

    def changes(self, whose: str) -> dict[str, tuple[Any, Any]]:
        """Return a contact's columns that the merge changed: as they were, as they became."""
        return {
            column: (_value(column, before), _value(column, after))
            for column, (before, after) in self.replaced[whose].items()
        }


def _value(column: str, kept: Any) -> Any:
    """Return a value as the database gives it, from how JSON keeps it."""
    if kept is not None and column in INSTANTS:
        return datetime.fromisoformat(kept)
    if kept is not None and column in IDS:
        return UUID(kept)
    return kept


LOCK = f"""
select c.id, c.merged_into, c.erased_at, {", ".join(f"c.{column}" for column in survival.COLUMNS)}
  from crm.contact c where c.tenant_id = $1::uuid and c.id in ($2::uuid, $3::uuid)
"""
PAIR = "select winner_id, loser_id from crm.contact_merge where tenant_id = $1::uuid and id = $2::uuid"
FIND = """
select id, winner_id, loser_id, moved, replaced, merged_at, undone_at from crm.contact_merge
 where tenant_id = $1::uuid and id = $2::uuid for update
"""
INTO = """
select id from crm.contact_merge
 where tenant_id = $1::uuid and loser_id = $2::uuid and winner_id = $3::uuid and undone_at is null
 order by seq desc limit 1
"""
KEEP = """
insert into crm.contact_merge (tenant_id, id, winner_id, loser_id, moved, replaced, merged_by, merged_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::jsonb, $6::jsonb, $7::uuid, $8::timestamptz)
"""


async def lock(tx: Tx, *pair: UUID, all_of_them: bool = False) -> Pair:
    """Return two contacts' rows, locked in the order of their ids, as everybody locks them.

    Those that the actor does not see are left out, but for tombstones, or with `all_of_them`.
    """
    args = Args([tx.actor.tenant_id, *pair])
    seen = "true" if all_of_them else visibility.contact_condition(tx.actor, args)
    rows = await tx.fetch(f"{LOCK} and ({seen} or c.merged_into is not null) order by c.id for update of c", *args)
    return {row["id"]: row for row in rows}


async def find_into(tx: Tx, winner_id: UUID, loser_id: UUID) -> UUID | None:
    """Return the merge that made the loser part of the winner, or None."""
    found: UUID | None = await tx.fetchval(INTO, tx.actor.tenant_id, loser_id, winner_id)
    return found


async def opened(tx: Tx, merge_id: UUID, *, all_of_them: bool = False) -> tuple[Merge, Pair]:
    """Return a merge and its two contacts, all locked: contacts first.

    :raises MergeNotFound: when there is none, or the actor does not see the contact that stayed.
    """
    ids = await tx.fetchrow(PAIR, tx.actor.tenant_id, merge_id)
    if ids is None:
        raise MergeNotFound
    pair = await lock(tx, ids["winner_id"], ids["loser_id"], all_of_them=all_of_them)
    if len(pair) < 2:
        raise MergeNotFound
    row = await tx.fetchrow(FIND, tx.actor.tenant_id, merge_id)
    assert row is not None, "merges are never deleted"
    return Merge(*row.values()), pair


async def keep(
    tx: Tx, merge_id: UUID, pair: tuple[UUID, UUID], moved: Mapping[str, Any], replaced: Mapping[str, Any], *,
    now: datetime,
) -> None:  # fmt: skip
    """Keep what a merge did to a winner and a loser (`pair`), so that it can be undone; see `Merge`."""
    await tx.execute(
        KEEP, tx.actor.tenant_id, merge_id, *pair, to_json(moved), to_json(replaced), tx.actor.user_id, now
    )


async def write(tx: Tx, contact_id: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of a contact."""
    args = Args([tx.actor.tenant_id, contact_id])
    sets = ", ".join(f"{column} = {args.add(value, TYPES.get(column, 'text'))}" for column, value in values.items())
    if sets:
        await tx.execute(f"update crm.contact set {sets} where tenant_id = $1::uuid and id = $2::uuid", *args)


async def main_mask(tx: Tx, contact_id: UUID, kind: str, shown: str | None) -> str | None:
    """Return the mask a contact shows for a kind of address; `shown`: the one it would, if that address is there."""
    rows = await tx.fetch(
        "select masked from crm.contact_point where tenant_id = $1::uuid and contact_id = $2::uuid and kind = $3::text"
        " order by created_at, id",
        tx.actor.tenant_id, contact_id, kind,
    )  # fmt: skip
    return survival.main(shown, [row["masked"] for row in rows])


def told(merge_id: UUID, loser_id: UUID, moved: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what event, audit and timeline say of a merge: ids, and how many rows of each table moved."""
    return {"merge_id": merge_id, "loser_id": loser_id, "rows": {name: len(keys) for name, keys in moved.items()}}


async def trace(
    tx: Tx, happened: str, action: str, winner_id: UUID, said: Mapping[str, Any], on: Iterable[UUID], *, now: datetime
) -> None:
    """Write timeline entries on contacts, the event, and for a person the audit row."""
    for contact_id in on:
        await timeline.record(tx, contact_id, happened, at=now, detail=said)
    await events.record(tx, "contact", winner_id, happened, said, at=now)
    await audit.of_person(tx, action, "contact", winner_id, said, at=now)
