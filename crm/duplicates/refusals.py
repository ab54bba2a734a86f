"""What people said about being contacted, through a merge and its undoing: a refusal is never lost.

The ledger of consent is never rewritten: where the other one's later yes would lift a no, the no is said again.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from crm import ids
from crm.consent import last_word, standing
from crm.consent.rules import ADDRESS, Status
from crm.db import Tx, to_json
from crm.duplicates import survival
from crm.duplicates.merges import Merge, Pair

MERGED, UNMERGED = "merge", "unmerge"
"""Sources of facts: a refusal repeated when two became one; what is said again when they come apart: a refusal of the
time together that holds for both, and a yes that the repeating had put behind a no."""


class Word(NamedTuple):
    """A fact said about a channel and purpose since a merge."""

    id: UUID
    channel: str
    purpose: str
    is_denied: bool


WORDS = f"""
select distinct on (f.contact_id, f.channel, f.purpose) f.contact_id, f.id, f.channel, f.purpose, f.status,
       {last_word.SAID_AT} as said_at, f.valid_until
  from crm.consent f
 where f.tenant_id = $1::uuid and f.contact_id in ($2::uuid, $3::uuid) and {last_word.lasts("$4::timestamptz")}
 order by f.contact_id, f.channel, f.purpose, {last_word.ORDER}
"""
"""The last word of each on each channel and purpose; by a clock that runs ahead it may be of an instant to come."""
SAY = """
insert into crm.consent (tenant_id, id, contact_id, channel, purpose, status, source, evidence, valid_until,
                         recorded_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::text, $8::jsonb, $9::timestamptz,
        $10::timestamptz)
"""
# What holds of both by now, the last word first, and whether this merge repeated it.
STANDING = f"""
select f.contact_id, f.id, f.channel, f.purpose, f.status, f.valid_until,
       f.source = '{MERGED}' and f.evidence ->> 'merge_id' = $4::text as is_repeated
  from crm.consent f
 where f.tenant_id = $1::uuid and f.contact_id in ($2::uuid, $3::uuid) and {last_word.holds("$5::timestamptz")}
 order by {last_word.ORDER}
"""
FACTS = "select id from crm.consent where tenant_id = $1::uuid and contact_id = $2::uuid order by id"
# What a later merge repeated, undone before this one, is nobody's new word.
SINCE = f"""
select id, channel, purpose, status <> 'granted' as is_denied from crm.consent
 where tenant_id = $1::uuid and contact_id = $2::uuid and source <> '{MERGED}' and not (id::text = any($3::text[]))
 order by recorded_at, id
"""
WHOSE = """
select id, contact_id from crm.consent where tenant_id = $1::uuid and id in (select unnest($2::uuid[]))
 order by recorded_at, id
"""
LISTED = """
select distinct p.kind from crm.contact_point p
  join crm.dnc_entry d on d.tenant_id = p.tenant_id and d.kind = p.kind and d.blind_index = p.blind_index
 where p.tenant_id = $1::uuid and p.contact_id in ($2::uuid, $3::uuid)
   and (d.added_at >= $4::timestamptz or d.removed_at >= $4::timestamptz)
"""
HINTS = "select id, consented, opted_out from crm.contact where tenant_id = $1::uuid and id in ($2::uuid, $3::uuid)"


async def _say(
    tx: Tx, contact_id: UUID, channel: str, purpose: str, status: Status, source: str, evidence: Mapping[str, Any], *,
    valid_until: datetime | None = None, at: datetime,
) -> UUID:  # fmt: skip
    """Record again what was said, as a fact of a contact; return its id."""
    fact_id = ids.new()
    await tx.execute(
        SAY, tx.actor.tenant_id, fact_id, contact_id, channel, purpose, status.value, source, to_json(evidence),
        valid_until, at,
    )  # fmt: skip
    return fact_id


async def facts(tx: Tx, contact_id: UUID) -> list[str]:
    """Return the ids of all a contact ever said."""
    return [str(row["id"]) for row in await tx.fetch(FACTS, tx.actor.tenant_id, contact_id)]


async def words(tx: Tx, winner_id: UUID, loser_id: UUID, *, now: datetime) -> list[Mapping[str, Any]]:
    """Return the last words of both, for `repeat`, before the facts of the one become the other's."""
    return list(await tx.fetch(WORDS, tx.actor.tenant_id, winner_id, loser_id, now))


async def repeat(
    tx: Tx, merge_id: UUID, winner_id: UUID, said: Iterable[Mapping[str, Any]], *, now: datetime
) -> list[str]:
    """Say again, for the winner, each refusal that the other's later yes would lift.

    Returns the facts that repeat the loser's refusals: undone, they go back to whoever refused.
    """
    repeated = []
    for no, lifted_at in survival.to_restate(said):
        evidence = {"merge_id": merge_id, "consent_id": no["id"]}
        at = max(now, lifted_at)  # clocks of two processes differ; of one instant the no counts
        fact = await _say(tx, winner_id, no["channel"], no["purpose"], Status.denied, MERGED, evidence, at=at)
        if no["contact_id"] != winner_id:
            repeated.append(str(fact))
    return repeated


async def said_since(tx: Tx, merge: Merge) -> list[Word]:
    """Return the facts recorded about the winner since a merge."""
    known = [*merge.replaced["facts"], *merge.moved.get("consent", ())]
    return [Word(*row.values()) for row in await tx.fetch(SINCE, tx.actor.tenant_id, merge.winner_id, known)]


async def touched(tx: Tx, merge: Merge, pair: Pair, said: Iterable[Word]) -> set[str]:
    """Return the channels about which something is new since a merge: a word, an address listed or taken off the
    do-not-contact list, or hints derived anew."""
    kinds = {row["kind"] for row in await tx.fetch(LISTED, tx.actor.tenant_id, *pair, merge.merged_at)}
    listed = {channel.value for channel, kind in ADDRESS.items() if kind in kinds}
    winner, changes = pair[merge.winner_id], merge.changes("winner")
    derived = {channel for column in survival.SETS for channel in {*winner[column]} ^ {*changes[column][1]}}
    return listed | derived | {word.channel for word in said}


async def restore(tx: Tx, merge: Merge, *, now: datetime) -> None:
    """Say again, once the rows are back, each yes that was somebody's last word before a repeated no came after it.

    A no about offers, repeated, also stands before that person's own later yes about their enquiry.
    """
    both = (merge.winner_id, merge.loser_id)
    rows = await tx.fetch(STANDING, tx.actor.tenant_id, *both, str(merge.id), now)
    for fact in survival.to_say_again(rows):
        evidence = {"merge_id": merge.id, "consent_id": fact["id"]}
        await _say(
            tx, fact["contact_id"], fact["channel"], fact["purpose"], Status.granted, UNMERGED, evidence,
            valid_until=fact["valid_until"], at=now,
        )  # fmt: skip


async def part(tx: Tx, merge: Merge, said: Iterable[Word], *, now: datetime) -> None:
    """Have what was refused since a merge hold for both, once its rows are back: nobody knows which of the two said it,
    and what was said of a lead went with the lead."""
    refused = {word.id: word for word in said if word.is_denied}
    for fact_id, contact_id in await tx.fetch(WHOSE, tx.actor.tenant_id, list(refused)):
        other_id = merge.winner_id if contact_id == merge.loser_id else merge.loser_id
        no, evidence = refused[fact_id], {"merge_id": merge.id, "consent_id": fact_id}
        await _say(tx, other_id, no.channel, no.purpose, Status.denied, UNMERGED, evidence, at=now)


async def hints(
    tx: Tx, merge: Merge, pair: Pair, touched: set[str], *, now: datetime
) -> dict[UUID, dict[str, list[str]]]:
    """Return what lists show of both once everything is back: of touched channels as the facts have it, of the others
    as it was before the merge."""
    both = (merge.winner_id, merge.loser_id)
    before = {
        merge.winner_id: {column: merge.changes("winner")[column][0] for column in survival.SETS},
        merge.loser_id: {column: pair[merge.loser_id][column] for column in survival.SETS},
    }
    if not touched:
        return before
    await standing.refresh(tx, both, now=now)
    derived = {row["id"]: row for row in await tx.fetch(HINTS, tx.actor.tenant_id, *both)}
    return {
        each: {
            column: survival.channels(before[each][column], derived[each][column], touched) for column in survival.SETS
        }
        for each in both
    }
