"""Possible duplicates as they are kept: found by rules or by a model, settled by a person, and never asked again
about what was decided unless there is a new sign."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, visibility
from crm.db import Tx
from crm.operation import operation
from crm.sql import Args

UNMERGED = "unmerged"
"""The reason for which two contacts are said to be two: their merge was undone."""


class CandidateNotFound(errors.NotFound):
    """There is no such possible duplicate, or its contacts are not yours to see."""

    code = "duplicate.not_found"


class AlreadyDecided(errors.Conflict):
    """Somebody has decided about this possible duplicate; `fields` says what."""

    code = "duplicate.decided"


class Pair(NamedTuple):
    """Two contacts that may be one, the lower id first, how likely, and the codes of the signs."""

    first_id: UUID
    second_id: UUID
    score: float
    reasons: Collection[str]

    @classmethod
    def of(cls, one: UUID, other: UUID, score: float, reasons: Iterable[str]) -> "Pair":
        """Return a pair in its order."""
        first, second = sorted((one, other))
        return cls(first, second, score, sorted(reasons))


# One sign that was not known then opens again what was dismissed; a merged pair stays merged.
PROPOSE = """
insert into crm.duplicate_candidate as d
  (tenant_id, id, first_id, second_id, source, score, reasons, found_at, updated_at)
select $1::uuid, i.id, i.first_id, i.second_id, $7::text, i.score, string_to_array(i.reasons, ' '), $8::timestamptz,
       $8::timestamptz
  from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::real[], $6::text[]) as i(id, first_id, second_id, score, reasons)
    on conflict (tenant_id, first_id, second_id) do update
   set score = greatest(d.score, excluded.score),
       source = case when excluded.score > d.score then excluded.source else d.source end,
       reasons = array(select unnest(d.reasons || excluded.reasons) group by 1 order by 1),
       status = 'open', dismissal_reason = null, decided_by = null, decided_at = null,
       found_at = case when d.status = 'open' then d.found_at else excluded.found_at end,
       updated_at = excluded.updated_at
 where d.status <> 'merged' and not (excluded.reasons <@ d.reasons)
    or d.status = 'open' and excluded.score > d.score
returning d.id, d.first_id, d.second_id, d.reasons
"""


@operation("duplicate.propose")
async def propose(tx: Tx, pairs: Collection[Pair], *, source: str, now: datetime) -> int:
    """Keep pairs as possible duplicates and return how many are news; `source` names who found them (`rules`)."""
    wanted = {(pair.first_id, pair.second_id): pair for pair in pairs}
    if not wanted:
        tx.unchanged()
        return 0
    in_order = [wanted[key] for key in sorted(wanted)]
    found = await tx.fetch(
        PROPOSE, tx.actor.tenant_id, [ids.new() for _ in in_order], [pair.first_id for pair in in_order],
        [pair.second_id for pair in in_order], [pair.score for pair in in_order],
        [" ".join(pair.reasons) for pair in in_order], source, now,
    )  # fmt: skip
    if not found:
        tx.unchanged()
        return 0
    await events.record_many(
        tx,
        [
            ("duplicate", row["id"], "duplicate.found",
             {"first_id": row["first_id"], "second_id": row["second_id"], "reasons": row["reasons"], "source": source})
            for row in found
        ],
        at=now,
    )  # fmt: skip
    return len(found)


SETTLE = """
update crm.duplicate_candidate set status = 'merged', merge_id = $4::uuid, decided_by = $5::uuid,
       decided_at = $6::timestamptz, dismissal_reason = null, updated_at = $6::timestamptz
 where tenant_id = $1::uuid
   and (first_id = least($2::uuid, $3::uuid) and second_id = greatest($2::uuid, $3::uuid) or id = $7::uuid)
"""
UNSETTLE = """
update crm.duplicate_candidate set status = 'dismissed', dismissal_reason = $3::text, merge_id = null,
       decided_by = $4::uuid, decided_at = $5::timestamptz, updated_at = $5::timestamptz
 where tenant_id = $1::uuid and merge_id = $2::uuid
"""


async def settle(
    tx: Tx, one: UUID, other: UUID, merge_id: UUID, *, candidate_id: UUID | None = None, now: datetime
) -> None:
    """Note that two contacts were merged; `candidate_id`: by whose word, where it names others that are these now."""
    await tx.execute(SETTLE, tx.actor.tenant_id, one, other, merge_id, tx.actor.user_id, now, candidate_id)


async def unsettle(tx: Tx, merge_id: UUID, *, now: datetime) -> None:
    """Note that a merge was undone: the two are said to be two."""
    await tx.execute(UNSETTLE, tx.actor.tenant_id, merge_id, UNMERGED, tx.actor.user_id, now)


NOW = """
cross join lateral (
  with recursive chain as (
    select c.id, c.merged_into from crm.contact c where c.tenant_id = d.tenant_id and c.id = d.{side}_id
    union all
    select c.id, c.merged_into from chain join crm.contact c on c.tenant_id = d.tenant_id and c.id = chain.merged_into
  )
  select id from chain where merged_into is null) {side}
"""
SIDES = "".join(NOW.format(side=side) for side in ("first", "second"))
"""Joins that give each side of a candidate `d` as the contact that it is now: one that was merged is the one it was
merged into, so that what is known of a pair outlives a merge of either, and comes apart with it."""
# Of two candidates that come to the same pair, the one that says no more is left out.
IS_NEWS = """
not exists (select from crm.duplicate_candidate n
             where n.tenant_id = d.tenant_id and n.id <> d.id and d.reasons <@ n.reasons
               and n.first_id = least(first.id, second.id) and n.second_id = greatest(first.id, second.id))
"""


def visible(tx: Tx, args: Args) -> str:
    """Return the condition that the actor sees both sides (`SIDES`) of a candidate."""
    seen = visibility.contact_condition(tx.actor, args)
    return " and ".join(
        f"exists (select from crm.contact c where c.tenant_id = d.tenant_id and c.id = {side}.id and {seen})"
        for side in ("first", "second")
    )


def to_decide(tx: Tx, args: Args) -> str:
    """Return the condition that a candidate (with its `SIDES`) asks the actor for a decision."""
    return f"d.status = 'open' and first.id <> second.id and {IS_NEWS} and {visible(tx, args)}"


async def _require_open(tx: Tx, candidate_id: UUID) -> asyncpg.Record:
    """Return who the two sides of an open candidate are now."""
    args = Args([tx.actor.tenant_id, candidate_id])
    row = await tx.fetchrow(
        f"select d.status, first.id as first_id, second.id as second_id from crm.duplicate_candidate d {SIDES}"
        f" where d.tenant_id = $1::uuid and d.id = $2::uuid and {visible(tx, args)}",
        *args,
    )
    if row is None:
        raise CandidateNotFound
    if row["status"] != "open":
        raise AlreadyDecided(fields={"status": row["status"]})
    if row["first_id"] == row["second_id"]:
        raise AlreadyDecided(fields={"status": "merged"})
    return row


async def find(tx: Tx, candidate_id: UUID) -> tuple[UUID, UUID]:
    """Return the two contacts of an open candidate that the actor sees, as they are now, without locking it: a merge
    locks contacts first, and settles the candidate itself.

    :raises CandidateNotFound: when there is none.
    :raises AlreadyDecided: when it is not open any more.
    """
    row = await _require_open(tx, candidate_id)
    return row["first_id"], row["second_id"]


LOCK = "select from crm.duplicate_candidate where tenant_id = $1::uuid and id = $2::uuid for update"


@operation("review.resolve")
async def dismiss(tx: Tx, candidate_id: UUID, reason: str, *, now: datetime) -> None:
    """Say that two contacts are two; asked again only when there is a sign that was not known. `reason` is a code.

    :raises CandidateNotFound: when there is no such candidate for the actor.
    :raises AlreadyDecided: when somebody has decided about it.
    """
    await tx.execute(LOCK, tx.actor.tenant_id, candidate_id)
    await _require_open(tx, candidate_id)
    await tx.execute(
        "update crm.duplicate_candidate set status = 'dismissed', dismissal_reason = $3::text, decided_by = $4::uuid,"
        " decided_at = $5::timestamptz, updated_at = $5::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, candidate_id, reason, tx.actor.user_id, now,
    )  # fmt: skip
    told = {"kind": "duplicate", "outcome": "dismissed", "reason": reason}
    await events.record(tx, "duplicate", candidate_id, "review.resolved", told, at=now)
    await audit.of_person(tx, "review.resolve", "duplicate", candidate_id, told, at=now)
