"""Merging two contacts that are one person, and undoing it exactly.

Everything that hangs on the loser moves to the winner; the loser stays as a tombstone that names the winner. Which rows
moved and which values were replaced is kept with the merge. Sealed values keep their keys, so moving decrypts nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import errors, ids
from crm.contacts import queries as contacts
from crm.contacts.queries import ContactNotFound
from crm.db import Tx, to_json
from crm.duplicates import candidates, merges, refusals, survival, tables
from crm.duplicates.merges import KINDS, Merge, MergeNotFound, Pair
from crm.operation import operation

__all__ = ["Erased", "MergeNotFound", "SameContact", "UndoLaterFirst", "gather", "merge", "undo"]


class SameContact(errors.Invalid):
    """A contact cannot be merged with itself."""

    code = "merge.same_contact"


class Erased(errors.Conflict):
    """A person's data was erased: there is nothing left to merge, and no merge to undo."""

    code = "merge.erased"


class UndoLaterFirst(errors.Conflict):
    """One of the two contacts was merged again later: that merge must be undone first."""

    code = "merge.later_first"


@operation("contact.merge")
async def merge(
    tx: Tx, winner_id: UUID, loser_id: UUID, *, candidate_id: UUID | None = None, now: datetime
) -> UUID:  # fmt: skip
    """Make two contacts one and return the merge's id; asked again it changes nothing and returns the same.

    All rows of the loser move to the winner with their history; the values that survive are those of
    `survival.merged`. The possible duplicate of just these two is settled with it, and the one that led here
    (`candidate_id`).

    :raises ContactNotFound: when the actor does not see both.
    :raises SameContact: when they are one already.
    :raises contacts.ContactMerged: when either was merged into another contact.
    :raises Erased: when either person was erased.
    """
    if winner_id == loser_id:
        raise SameContact(fields={"loser_id": "is the winner itself"})
    pair = await merges.lock(tx, winner_id, loser_id)
    if len(pair) < 2:
        raise ContactNotFound
    winner, loser = pair[winner_id], pair[loser_id]
    if loser["merged_into"] == winner_id and (earlier := await merges.find_into(tx, winner_id, loser_id)):
        tx.unchanged()
        return earlier
    for each in (winner, loser):
        if each["merged_into"]:
            await contacts.refuse(tx, each["id"])
        if each["erased_at"]:
            raise Erased
    merge_id = await _merge(tx, winner, loser, now=now)
    await candidates.settle(tx, winner_id, loser_id, merge_id, candidate_id=candidate_id, now=now)
    return merge_id


async def _merge(tx: Tx, winner: asyncpg.Record, loser: asyncpg.Record, *, now: datetime) -> UUID:
    merge_id, facts = ids.new(), await refusals.facts(tx, winner["id"])
    moved = await _join(tx, merge_id, winner["id"], loser["id"], now=now)
    after = {**survival.merged(winner, loser), "updated_at": now}
    gone = {"merged_into": winner["id"], "archived_at": loser["archived_at"] or now, "updated_at": now}
    await merges.write(tx, winner["id"], after)
    await merges.write(tx, loser["id"], gone)
    replaced = {"winner": survival.replaced(winner, after), "loser": survival.replaced(loser, gone), "facts": facts}
    await merges.keep(tx, merge_id, (winner["id"], loser["id"]), moved, replaced, now=now)
    said = merges.told(merge_id, loser["id"], moved)
    await merges.trace(tx, "contact.merged", "contact.merge", winner["id"], said, [winner["id"]], now=now)
    return merge_id


async def _join(tx: Tx, merge_id: UUID, winner_id: UUID, loser_id: UUID, *, now: datetime) -> dict[str, list[str]]:
    """Move all rows of the loser to the winner and repeat refusals that would be lifted; return what moved."""
    words = await refusals.words(tx, winner_id, loser_id, now=now)
    moved = await tables.move_all(tx, loser_id, winner_id)
    if repeated := await refusals.repeat(tx, merge_id, winner_id, words, now=now):
        moved["consent"] = [*moved.get("consent", []), *repeated]
    return moved


LATER = """
select later.id from crm.contact_merge m
  join crm.contact_merge later on later.tenant_id = m.tenant_id and later.seq > m.seq and later.undone_at is null
   and (later.winner_id in (m.winner_id, m.loser_id) or later.loser_id in (m.winner_id, m.loser_id))
 where m.tenant_id = $1::uuid and m.id = $2::uuid order by later.seq desc limit 1
"""
UNDONE = """
update crm.contact_merge set undone_by = $3::uuid, undone_at = $4::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""


@operation("contact.merge")
async def undo(tx: Tx, merge_id: UUID, *, now: datetime) -> None:
    """Make one contact two again, exactly as they were; a merge undone before is left alone.

    What moved goes back, and what was added since to a lead that moved goes with its lead; all else that came since
    stays with the winner, as does a value that was changed since. What was refused since holds for both.

    :raises MergeNotFound: when there is no such merge for the actor.
    :raises UndoLaterFirst: when either contact was merged again later; `fields` names that merge.
    :raises Erased: when the person was erased since.
    """
    kept, pair = await merges.opened(tx, merge_id)
    if kept.undone_at is not None:
        tx.unchanged()
        return
    if pair[kept.winner_id]["merged_into"]:
        await contacts.survivor(tx, kept.winner_id)
    if later := await tx.fetchval(LATER, tx.actor.tenant_id, merge_id):
        raise UndoLaterFirst(fields={"merge_id": str(later)})
    if any(each["erased_at"] for each in pair.values()):
        raise Erased
    await _part(tx, kept, pair, now=now)
    await tx.execute(UNDONE, tx.actor.tenant_id, merge_id, tx.actor.user_id, now)
    await candidates.unsettle(tx, merge_id, now=now)
    said = {"merge_id": merge_id, "loser_id": kept.loser_id}
    both = (kept.winner_id, kept.loser_id)
    await merges.trace(tx, "contact.unmerged", "contact.unmerge", kept.winner_id, said, both, now=now)


async def _part(tx: Tx, kept: Merge, pair: Pair, *, now: datetime) -> None:
    """Move rows back, and give both contacts the values they had."""
    said = await refusals.said_since(tx, kept)
    touched = await refusals.touched(tx, kept, pair, said)
    is_whole = await tables.move_back(tx, kept.winner_id, kept.loser_id, kept.moved)
    await refusals.restore(tx, kept, now=now)
    await refusals.part(tx, kept, said, now=now)
    hints = await refusals.hints(tx, kept, pair, touched, now=now)
    winner, loser = pair[kept.winner_id], pair[kept.loser_id]
    back = survival.restored(winner, kept.changes("winner"))
    risen = survival.restored(loser, kept.changes("loser"))
    for kind in KINDS:
        column = f"{kind}_masked"
        if column in back and back[column] is None:
            back[column] = await merges.main_mask(tx, winner["id"], kind, None)
        if not is_whole:
            risen[column] = await merges.main_mask(tx, loser["id"], kind, loser[column])
    await merges.write(tx, winner["id"], {**back, **hints[winner["id"]]})
    await merges.write(tx, loser["id"], {**risen, **hints[loser["id"]]})


GATHERED = """
update crm.contact_merge set moved = $3::jsonb where tenant_id = $1::uuid and id = $2::uuid
"""
REFUSED = """
select array_agg(distinct channel) from crm.consent
 where tenant_id = $1::uuid and id::text = any($2::text[]) and status <> 'granted'
"""


@operation("contact.merge")
async def gather(tx: Tx, merge_id: UUID, *, now: datetime) -> None:
    """Move to the winner what reached the loser while the merge was being done: an enquiry stored at that instant.

    It counts as moved by the merge, and goes back with it; what it refused holds for both.

    :raises MergeNotFound: when there is no such merge.
    """
    kept, pair = await merges.opened(tx, merge_id, all_of_them=True)
    moved = {} if kept.undone_at else await _join(tx, merge_id, kept.winner_id, kept.loser_id, now=now)
    if not moved:
        tx.unchanged()
        return
    refused = (
        await tx.fetchval(
            REFUSED,
            tx.actor.tenant_id,
            moved.get("consent", []),
        )
        or []
    )
    winner, loser = pair[kept.winner_id], pair[kept.loser_id]
    await merges.write(tx, loser["id"], survival.told([loser], refused))
    shown = {**survival.told([winner, loser], refused), **await _masks(tx, winner)}
    await merges.write(tx, winner["id"], shown)
    together = {name: [*kept.moved.get(name, []), *moved.get(name, [])] for name in {**kept.moved, **moved}}
    await tx.execute(GATHERED, tx.actor.tenant_id, merge_id, to_json(together))
    said = merges.told(merge_id, loser["id"], moved)
    await merges.trace(tx, "contact.gathered", "contact.gather", winner["id"], said, (), now=now)


async def _masks(tx: Tx, contact: asyncpg.Record) -> Mapping[str, Any]:
    """Return the masks that a contact lacks and its addresses now give."""
    columns = {kind: f"{kind}_masked" for kind in KINDS}
    return {
        column: await merges.main_mask(tx, contact["id"], kind, None)
        for kind, column in columns.items()
        if contact[column] is None
    }
