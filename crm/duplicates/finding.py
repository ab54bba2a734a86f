"""Looking for possible duplicates among contacts that something happened to: incrementally, and never pair by pair.

A contact is compared only with those that share a block of its name (`rules.blocks`), the latest of them where a block
is large: a name that everybody has says little. What is compared is names, masks and enquiries; nothing is decrypted.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from functools import partial
from uuid import UUID

import asyncpg

from crm import db, jobs, vault
from crm.actor import Actor
from crm.db import Tx
from crm.duplicates import candidates, rules
from crm.duplicates.candidates import Pair
from crm.duplicates.rules import Person, Reason
from crm.events.log import Event
from crm.events.reader import BatchReader
from crm.operation import operation

SOURCE = "rules"
READER = "duplicates"
AT_ONCE = 500
"""Contacts looked at in one transaction."""
LARGEST_BLOCK = 50
"""Contacts of one block that another is compared with, the latest first."""
KEY_BYTES = 8

PEOPLE = """
select c.id, c.name_search, c.country, c.phone_masked, c.email_masked,
       array(select l.campaign || ' ' || (l.received_at at time zone 'UTC')::date::text from crm.lead l
              where l.tenant_id = $1::uuid and l.contact_id = c.id and l.campaign is not null and not l.is_test
              order by l.received_at desc limit 20) as enquiries
  from unnest($2::uuid[]) as i(id)
 cross join lateral (select n.* from crm.contact n
                      where n.tenant_id = $1::uuid and n.id = i.id and n.merged_into is null
                        and n.archived_at is null and n.erased_at is null limit 1) c
"""

# Keys of earlier names go, those of the name as it is come.
INDEX = """
with wanted as (
  select * from unnest($3::uuid[], $4::bytea[]) as w(contact_id, key)
), gone as (
  delete from crm.contact_block b using unnest($2::uuid[]) as i(id)
   where b.tenant_id = $1::uuid and b.contact_id = i.id
     and not exists (select from wanted w where w.contact_id = b.contact_id and w.key = b.key)
)
insert into crm.contact_block (tenant_id, key, contact_id)
select $1::uuid, w.key, w.contact_id from wanted w order by 2, 3
    on conflict do nothing
"""
SHARING = """
select distinct w.contact_id, b.contact_id as other_id
  from unnest($2::uuid[], $3::bytea[]) as w(contact_id, key)
 cross join lateral (select s.contact_id from crm.contact_block s
                      where s.tenant_id = $1::uuid and s.key = w.key
                      order by s.contact_id desc limit $4::int) b
 where b.contact_id <> w.contact_id
"""


@operation("duplicate.propose")
async def look(
    tx: Tx, contact_ids: Collection[UUID], *, conflicts: Iterable[tuple[UUID, UUID]] = (), now: datetime
) -> int:
    """Compare contacts with those they may be the same as; keep likely pairs and return how many are news.

    `conflicts`: pairs of which one enquiry carried the phone of one and the e-mail address of the other.
    """
    told = {Pair.of(one, other, 0, ())[:2] for one, other in conflicts}
    asked = {*contact_ids, *(each for pair in told for each in pair)}
    people = await _people(tx, asked)
    near = await _near(tx, people)
    people |= await _people(tx, {each for pair in near for each in pair} - people.keys())
    pairs = likely(near | told, people, told)
    found = await candidates.propose(tx, pairs, source=SOURCE, now=now) if pairs else 0
    if not found:
        tx.unchanged()
    return found


def likely(
    pairs: Collection[tuple[UUID, UUID]], people: Mapping[UUID, Person], told: Collection[tuple[UUID, UUID]] = ()
) -> list[Pair]:
    """Return those of some pairs that are to be shown to a person; `told`: those that one enquiry brought together."""
    namesakes = rules.namesakes(pairs, people)
    found = []
    for first, second in pairs:
        if first in people and second in people:
            by_enquiry = {Reason.conflicting_keys} if (first, second) in told else frozenset()
            reasons = rules.reasons(people[first], people[second]) | by_enquiry
            score = rules.score(reasons, max(namesakes[first], namesakes[second]))
            if score >= rules.THRESHOLD:
                found.append(Pair.of(first, second, score, reasons))
    return found


async def _people(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, Person]:
    """Return what is known of contacts; the archived, the merged and the erased are left out."""
    if not contact_ids:
        return {}
    rows = await tx.fetch(PEOPLE, tx.actor.tenant_id, list(contact_ids))
    return {row["id"]: _person(row) for row in rows}


def _person(row: asyncpg.Record) -> Person:
    parts = (each.rpartition(" ") for each in row["enquiries"])
    enquiries = frozenset((campaign, date.fromisoformat(day)) for campaign, _, day in parts)
    return Person(row["name_search"], row["country"], row["phone_masked"], row["email_masked"], enquiries)


async def _near(tx: Tx, people: dict[UUID, Person]) -> set[tuple[UUID, UUID]]:
    """Return the pairs that share a block, each in its order, after noting the blocks of these people."""
    tenant = tx.actor.tenant_id
    keyed = [
        (contact_id, vault.blind_index(tenant, "block", block)[:KEY_BYTES])
        for contact_id, person in people.items()
        for block in rules.blocks(person.name)
    ]
    whose, keys = [contact_id for contact_id, _ in keyed], [key for _, key in keyed]
    await tx.execute(INDEX, tenant, list(people), whose, keys)
    rows = await tx.fetch(SHARING, tenant, whose, keys, LARGEST_BLOCK)
    return {Pair.of(row["contact_id"], row["other_id"], 0, ())[:2] for row in rows}


def contacts_of(event: Event) -> set[UUID]:
    """Return the contacts that an event is news of."""
    if event.event_type == "lead.created":
        told = (event.payload.get("contact_id"), event.payload.get("other_contact_id"))
        return {UUID(each) for each in told if each}
    if event.event_type in ("contact.created", "contact.updated", "contact.merged"):
        return {event.aggregate_id}
    if event.event_type == "contact.unmerged":
        return {event.aggregate_id, UUID(event.payload["loser_id"])}
    return set()


def conflict_of(event: Event) -> tuple[UUID, UUID] | None:
    """Return the two contacts whose addresses one enquiry carried, or None."""
    other = event.payload.get("other_contact_id") if event.event_type == "lead.created" else None
    return (UUID(event.payload["contact_id"]), UUID(other)) if other else None


@jobs.periodic("duplicates.find", "* * * * *")
async def find(now: datetime) -> None:
    """Look at every contact that something happened to since the last time; a crash repeats a batch and skips none."""
    async for batch in BatchReader(READER).batches():
        asked: dict[UUID, dict[UUID, None]] = defaultdict(dict)
        conflicts: dict[UUID, list[tuple[UUID, UUID]]] = defaultdict(list)
        for event in batch:
            asked[event.tenant_id] |= dict.fromkeys(contacts_of(event))
            if pair := conflict_of(event):
                conflicts[event.tenant_id].append(pair)
        for tenant_id, contact_ids in asked.items():
            await _look_at(tenant_id, list(contact_ids), conflicts[tenant_id], now=now)


async def _look_at(
    tenant_id: UUID, contact_ids: list[UUID], conflicts: list[tuple[UUID, UUID]], *, now: datetime
) -> None:
    for start in range(0, len(contact_ids), AT_ONCE):
        part = contact_ids[start : start + AT_ONCE]
        told = conflicts if start == 0 else []
        await db.run(Actor.system(tenant_id), partial(look, contact_ids=part, conflicts=told, now=now))
