"""Merging two contacts that are one person, and undoing it exactly.

Everything that hangs on the loser moves to the winner; the loser stays as a tombstone that names the winner. Which rows
moved and which values were replaced is kept with the merge. Sealed values keep their keys, so moving decrypts nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, timeline, visibility
from crm.contacts import queries as contacts
from crm.contacts.queries import ContactNotFound
from crm.db import Tx, to_json
from crm.duplicates import candidates, survival
from crm.duplicates.tables import MOVED, POINTS, Table
from crm.operation import operation
from crm.sql import Args

DENIED = ("denied", "withdrawn")
KINDS = ("phone", "email")
INSTANTS = frozenset({"archived_at", "created_at", "updated_at"})


class SameContact(errors.Invalid):
    """A contact cannot be merged with itself."""

    code = "merge.same_contact"


class Erased(errors.Conflict):
    """A person's data was erased: there is nothing left to merge, and no merge to undo."""

    code = "merge.erased"


class MergeNotFound(errors.NotFound):
    """There is no such merge, or its contacts are not yours to see."""

    code = "merge.not_found"


class UndoLaterFirst(errors.Conflict):
    """One of the two contacts was merged again later: that merge must be undone first."""

    code = "merge.later_first"


class Merge(NamedTuple):
    """One merge as it is kept. `moved`: table → keys of rows; `replaced`: see `_Kept`."""

    id: UUID
    winner_id: UUID
    loser_id: UUID
    moved: dict[str, list[str]]
    replaced: dict[str, Any]
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
    if kept is not None and column in ("created_by", "merged_into"):
        return UUID(kept)
    return kept


LOCK = f"""
select c.id, c.merged_into, c.erased_at, {", ".join(f"c.{column}" for column in survival.COLUMNS)}
  from crm.contact c where c.tenant_id = $1::uuid and c.id in ($2::uuid, $3::uuid)
"""
"""Both contacts, for whoever orders them by id and locks them: everybody in the same order."""


async def _lock(tx: Tx, *pair: UUID, all_of_them: bool = False) -> dict[UUID, asyncpg.Record]:
    """Return the two contacts' rows, locked in the order of their ids; only what the actor sees, or `all_of_them`."""
    args = Args([tx.actor.tenant_id, *pair])
    seen = "true" if all_of_them else visibility.contact_condition(tx.actor, args)
    rows = await tx.fetch(f"{LOCK} and ({seen} or c.merged_into is not null) order by c.id for update of c", *args)
    return {row["id"]: row for row in rows}


FIND = """
select id, winner_id, loser_id, moved, replaced, undone_at from crm.contact_merge
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


@operation("contact.merge")
async def merge(tx: Tx, winner_id: UUID, loser_id: UUID, *, now: datetime) -> UUID:
    """Make two contacts one and return the merge's id; asked again it changes nothing and returns the same.

    All rows of the loser move to the winner with their history; the values that survive are those of
    `survival.merged`. Possible duplicates of just these two are settled with it.

    :raises ContactNotFound: when the actor does not see both.
    :raises SameContact: when they are one already.
    :raises contacts.ContactMerged: when either was merged into another contact.
    :raises Erased: when either person was erased.
    """
    if winner_id == loser_id:
        raise SameContact(fields={"loser_id": "is the winner itself"})
    pair = await _lock(tx, winner_id, loser_id)
    if len(pair) < 2:
        raise ContactNotFound
    winner, loser = pair[winner_id], pair[loser_id]
    if loser["merged_into"] == winner_id and (earlier := await _find_into(tx, winner_id, loser_id)):
        tx.unchanged()
        return earlier
    for each in (winner, loser):
        if each["merged_into"]:
            await contacts.refuse(tx, each["id"])
        if each["erased_at"]:
            raise Erased
    return await _merge(tx, winner, loser, now=now)


async def _find_into(tx: Tx, winner_id: UUID, loser_id: UUID) -> UUID | None:
    """Return the merge that made the loser part of the winner."""
    found: UUID | None = await tx.fetchval(INTO, tx.actor.tenant_id, loser_id, winner_id)
    return found


async def _merge(tx: Tx, winner: asyncpg.Record, loser: asyncpg.Record, *, now: datetime) -> UUID:
    tenant, merge_id = tx.actor.tenant_id, ids.new()
    facts = [str(row["id"]) for row in await tx.fetch(FACTS, tenant, winner["id"])]
    words = await tx.fetch(WORDS, tenant, winner["id"], loser["id"], now)
    moved = await _move_all(tx, loser["id"], winner["id"])
    for no in survival.to_restate(words):
        fact = await _say(tx, winner["id"], no, {"merge_id": merge_id, "consent_id": no["id"]}, now=now)
        # Undone, it goes back to whoever refused.
        (facts if no["contact_id"] == winner["id"] else moved.setdefault("consent", [])).append(str(fact))
    after = {**survival.merged(winner, loser), "updated_at": now}
    gone = {"merged_into": winner["id"], "archived_at": loser["archived_at"] or now, "updated_at": now}
    changes = survival.replaced(winner, after)
    buried = survival.replaced(loser, gone)
    await _write(tx, winner["id"], {column: new for column, (_, new) in changes.items()})
    await _write(tx, loser["id"], {column: new for column, (_, new) in buried.items()})
    kept = {"winner": changes, "loser": buried, "facts": facts}
    await tx.execute(
        KEEP, tenant, merge_id, winner["id"], loser["id"], to_json(moved), to_json(kept), tx.actor.user_id, now
    )
    await candidates.settle(tx, winner["id"], loser["id"], merge_id, now=now)
    told = {"merge_id": merge_id, "loser_id": loser["id"], "rows": {name: len(keys) for name, keys in moved.items()}}
    await _trace(tx, "contact.merged", "contact.merge", winner["id"], told, [winner["id"]], now=now)
    return merge_id


# The last word of each on each channel and purpose; of two words of one instant the no (as `crm.consent` counts).
WORDS = """
select distinct on (f.contact_id, f.channel, f.purpose) f.contact_id, f.id, f.channel, f.purpose, f.status,
       coalesce(f.valid_from, f.recorded_at) as said_at
  from crm.consent f
 where f.tenant_id = $1::uuid and f.contact_id in ($2::uuid, $3::uuid)
   and coalesce(f.valid_from, f.recorded_at) <= $4::timestamptz
 order by f.contact_id, f.channel, f.purpose, coalesce(f.valid_from, f.recorded_at) desc, f.status = 'granted',
          f.recorded_at desc, f.id desc
"""
SAY_NO = """
insert into crm.consent (tenant_id, id, contact_id, channel, purpose, status, source, evidence, recorded_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, 'denied', 'merge', $6::jsonb, $7::timestamptz)
"""


async def _say(tx: Tx, contact_id: UUID, no: Mapping[str, Any], evidence: Mapping[str, Any], *, now: datetime) -> UUID:
    """Record a refusal again as a fact of another contact; return its id."""
    fact = ids.new()
    await tx.execute(
        SAY_NO, tx.actor.tenant_id, fact, contact_id, no["channel"], no["purpose"], to_json(evidence), now
    )  # fmt: skip
    return fact


FACTS = "select id from crm.consent where tenant_id = $1::uuid and contact_id = $2::uuid order by id"


async def _move_all(tx: Tx, from_id: UUID, to_id: UUID) -> dict[str, list[str]]:
    """Move every row of one contact to another; return the keys of what moved, table by table."""
    tenant = tx.actor.tenant_id
    # Whoever gives out leads locks them in this order too.
    await tx.execute(
        "select from crm.lead where tenant_id = $1::uuid and contact_id = $2::uuid order by id for update",
        tenant, from_id,
    )  # fmt: skip
    moved = {table.name: await _move(tx, table, from_id, to_id) for table in MOVED}
    return {name: keys for name, keys in moved.items() if keys}


async def _move(tx: Tx, table: Table, from_id: UUID, to_id: UUID) -> list[str]:
    return [row[0] for row in await tx.fetch(table.move, tx.actor.tenant_id, from_id, to_id)]


TYPES = {
    **dict.fromkeys(survival.SETS, "text[]"),
    **dict.fromkeys(INSTANTS, "timestamptz"),
    **dict.fromkeys(("created_by", "merged_into"), "uuid"),
}


async def _write(tx: Tx, contact_id: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of a contact."""
    args = Args([tx.actor.tenant_id, contact_id])
    sets = ", ".join(f"{column} = {args.add(value, TYPES.get(column, 'text'))}" for column, value in values.items())
    if sets:
        await tx.execute(f"update crm.contact set {sets} where tenant_id = $1::uuid and id = $2::uuid", *args)


async def _trace(
    tx: Tx, happened: str, action: str, winner_id: UUID, told: Mapping[str, Any], on: Iterable[UUID], *, now: datetime
) -> None:
    """Write timeline entries on contacts, the event, and for a person the audit row."""
    for contact_id in on:
        await timeline.record(tx, contact_id, happened, at=now, detail=told)
    await events.record(tx, "contact", winner_id, happened, told, at=now)
    await audit.of_person(tx, action, "contact", winner_id, told, at=now)


PAIR = """
select winner_id, loser_id from crm.contact_merge where tenant_id = $1::uuid and id = $2::uuid
"""
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


async def _open(tx: Tx, merge_id: UUID, *, all_of_them: bool = False) -> tuple[Merge, dict[UUID, asyncpg.Record]]:
    """Return a merge and its two contacts, all locked: contacts first, as everybody locks them.

    :raises MergeNotFound: when there is none, or the actor does not see the contact that stayed.
    """
    pair = await tx.fetchrow(PAIR, tx.actor.tenant_id, merge_id)
    if pair is None:
        raise MergeNotFound
    rows = await _lock(tx, pair["winner_id"], pair["loser_id"], all_of_them=all_of_them)
    if len(rows) < 2:
        raise MergeNotFound
    row = await tx.fetchrow(FIND, tx.actor.tenant_id, merge_id)
    assert row is not None, "merges are never deleted"
    return Merge(*row.values()), rows


@operation("contact.merge")
async def undo(tx: Tx, merge_id: UUID, *, now: datetime) -> None:
    """Make one contact two again, exactly as they were; a merge undone before is left alone.

    What moved goes back, and what was added since to a lead that moved goes with its lead; all else that came since
    stays with the winner, as does a value that was changed since. What was refused since holds for both.

    :raises MergeNotFound: when there is no such merge for the actor.
    :raises UndoLaterFirst: when either contact was merged again later; `fields` names that merge.
    :raises Erased: when the person was erased since.
    """
    merge, pair = await _open(tx, merge_id)
    if merge.undone_at is not None:
        tx.unchanged()
        return
    if pair[merge.winner_id]["merged_into"]:
        await contacts.survivor(tx, merge.winner_id)
    if later := await tx.fetchval(LATER, tx.actor.tenant_id, merge_id):
        raise UndoLaterFirst(fields={"merge_id": str(later)})
    if any(each["erased_at"] for each in pair.values()):
        raise Erased
    said = await _said_since(tx, merge)
    is_whole = await _move_all_back(tx, merge)
    await _restore(tx, merge, pair, said, is_whole=is_whole)
    for no in (each for each in said if each["is_denied"]):
        await _say(tx, merge.loser_id, no, {"merge_id": merge_id, "consent_id": no["id"]}, now=now)
    await tx.execute(UNDONE, tx.actor.tenant_id, merge_id, tx.actor.user_id, now)
    await candidates.unsettle(tx, merge_id, now=now)
    told = {"merge_id": merge_id, "loser_id": merge.loser_id}
    both = (merge.winner_id, merge.loser_id)
    await _trace(tx, "contact.unmerged", "contact.unmerge", merge.winner_id, told, both, now=now)


SAID = """
select id, channel, purpose, status = any($3::text[]) as is_denied from crm.consent
 where tenant_id = $1::uuid and contact_id = $2::uuid and not (id::text = any($4::text[])) order by recorded_at, id
"""


async def _said_since(tx: Tx, merge: Merge) -> list[asyncpg.Record]:
    """Return the facts recorded since the merge."""
    known = [*merge.replaced["facts"], *merge.moved.get("consent", ())]
    return await tx.fetch(SAID, tx.actor.tenant_id, merge.winner_id, list(DENIED), known)


async def _move_all_back(tx: Tx, merge: Merge) -> bool:
    """Move rows back to the loser; tell whether all of its addresses are among them."""
    tenant, leads, is_whole = tx.actor.tenant_id, [UUID(key) for key in merge.moved.get("lead", ())], True
    for table in MOVED:
        keys = merge.moved.get(table.name, [])
        done = await tx.execute(table.move_back, tenant, merge.winner_id, merge.loser_id, keys, leads)
        if table is POINTS:
            is_whole = done == f"UPDATE {len(keys)}"
    return is_whole


async def _restore(
    tx: Tx,
    merge: Merge,
    pair: Mapping[UUID, asyncpg.Record],
    said: Iterable[asyncpg.Record],
    *,
    is_whole: bool,
) -> None:
    """Give both contacts the values they had, and the loser what was refused since."""
    winner, loser, news = pair[merge.winner_id], pair[merge.loser_id], list(said)
    back = survival.restored(winner, merge.changes("winner"), said={each["channel"] for each in news})
    for kind in KINDS:
        if back.get(f"{kind}_masked", "unchanged") is None:
            back[f"{kind}_masked"] = await _main(tx, winner, kind, back)
    await _write(tx, winner["id"], back)
    risen = survival.restored(loser, merge.changes("loser"))
    for kind in () if is_whole else KINDS:
        risen[f"{kind}_masked"] = await _main(tx, loser, kind, risen)
    if refused := {each["channel"] for each in news if each["is_denied"]}:
        risen["opted_out"] = sorted({*loser["opted_out"], *refused})
        risen["consented"] = sorted({*loser["consented"]} - refused)
    await _write(tx, loser["id"], risen)


async def _main(tx: Tx, contact: asyncpg.Record, kind: str, back: Mapping[str, Any]) -> str | None:
    """Return the mask a contact shows for a kind once its addresses are back where they were."""
    rows = await tx.fetch(
        "select masked from crm.contact_point where tenant_id = $1::uuid and contact_id = $2::uuid and kind = $3::text"
        " order by created_at, id",
        tx.actor.tenant_id, contact["id"], kind,
    )  # fmt: skip
    column = f"{kind}_masked"
    return survival.main(back.get(column, contact[column]), [row["masked"] for row in rows])


GATHERED = """
update crm.contact_merge set moved = $3::jsonb where tenant_id = $1::uuid and id = $2::uuid
"""
REFUSED = """
select array_agg(distinct channel) from crm.consent
 where tenant_id = $1::uuid and id::text = any($2::text[]) and status = any($3::text[])
"""


@operation("contact.merge")
async def gather(tx: Tx, merge_id: UUID, *, now: datetime) -> None:
    """Move to the winner what reached the loser while the merge was being done: an enquiry stored at that instant.

    It counts as moved by the merge, and goes back with it; what it refused holds for both.

    :raises MergeNotFound: when there is no such merge.
    """
    merge, pair = await _open(tx, merge_id, all_of_them=True)
    winner, loser = pair[merge.winner_id], pair[merge.loser_id]
    moved = {} if merge.undone_at else await _move_all(tx, loser["id"], winner["id"])
    if not moved:
        tx.unchanged()
        return
    refused = await tx.fetchval(REFUSED, tx.actor.tenant_id, moved.get("consent", []), list(DENIED)) or []
    for contact, other in ((loser, loser), (winner, loser)):
        opted_out = {*contact["opted_out"], *other["opted_out"], *refused}
        consented = {*contact["consented"], *other["consented"]} - opted_out
        masks = {
            f"{kind}_masked": await _main(tx, winner, kind, {})
            for kind in KINDS
            if contact is winner and winner[f"{kind}_masked"] is None
        }
        values = {"opted_out": sorted(opted_out), "consented": sorted(consented), **masks}
        await _write(tx, contact["id"], values)
    together = {name: [*merge.moved.get(name, []), *moved.get(name, [])] for name in {**merge.moved, **moved}}
    await tx.execute(GATHERED, tx.actor.tenant_id, merge_id, to_json(together))
    told = {"merge_id": merge_id, "loser_id": loser["id"], "rows": {name: len(keys) for name, keys in moved.items()}}
    await _trace(tx, "contact.gathered", "contact.gather", winner["id"], told, (), now=now)
