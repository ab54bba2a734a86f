"""What distribution does: one run after another of a tenant, each deciding about leads and giving them out."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from crm.db import Tx
from crm.operation import operation
from crm.routing import facts, rules, runs, sets
from crm.routing.floor import Floor
from crm.routing.members import UnknownMember, remove_member, set_member
from crm.routing.rules import Decision
from crm.routing.runs import Run

__all__ = [
    "BATCH",
    "OPEN",
    "Routed",
    "UnknownMember",
    "next_moment",
    "remove_member",
    "route",
    "set_member",
    "sweep",
]

BATCH = 200
"""Leads given out in one transaction."""
OF_ONE_DEMAND = 50
"""Leads that wait for the same, looked at in one run."""

OPEN = facts.OPEN
WAITING = "owner_id is null and status in ('new', 'assigned') and not is_test"
"""A lead that distribution has to give to somebody; test leads and leads further on are left alone. An index has it."""


async def next_moment(tx: Tx, now: datetime) -> datetime | None:
    """Return the next instant (UTC) at which time alone may find somebody for a lead that waits."""
    found: datetime | None = await tx.fetchval(
        "select min(next_at) from crm.routing_hold where tenant_id = $1::uuid and next_at > $2::timestamptz",
        tx.actor.tenant_id, now,
    )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Routed:
    """What one transaction did. `is_full`: it did as much as one may, and there may be more."""

    assigned: list[UUID]
    kept_waiting: list[UUID]
    is_full: bool


@operation("routing.route")
async def route(tx: Tx, arrived: Collection[UUID], *, now: datetime) -> Routed:
    """Give waiting leads, the arrived among them, to people with room, the longest waiting first.

    A lead for which nobody is free waits; that decision is stored the first time, and when its reason changes. Asking
    again about leads that are given or no longer there changes nothing. Runs of one tenant come one after another.
    """
    return await _run(tx, arrived, now)


@operation("routing.route")
async def sweep(tx: Tx, *, now: datetime) -> Routed:
    """Do the same for whatever waits, whoever woke us: nothing waits because a bell was missed."""
    await tx.execute(FORGET, tx.actor.tenant_id)
    return await _run(tx, [], now)


FORGET = f"""
delete from crm.routing_hold h using crm.lead l
 where h.tenant_id = $1::uuid and l.tenant_id = $1::uuid and l.id = h.lead_id
   and not (l.owner_id is null and not l.is_test and ({facts.ASKS_FOR_SOMEBODY}))
"""

LOCK = """
insert into crm.routing_state as s (tenant_id, run_no) values ($1::uuid, 0)
on conflict (tenant_id) do update set run_no = s.run_no
returning run_no
"""

CANDIDATES = f"""
select id from unnest($2::uuid[]) as arrived(id)
union
select f.id from (select l.id from crm.lead l where l.tenant_id = $1::uuid and {WAITING}
                     and not exists (select from crm.routing_hold h
                                      where h.tenant_id = $1::uuid and h.lead_id = l.id)
                   order by l.received_at, l.id limit {BATCH}) f
union
select r.id from (select l.id from crm.lead l where l.tenant_id = $1::uuid and l.status = 'recycled'
                     and l.owner_id is null and not l.is_test
                     and not exists (select from crm.routing_hold h
                                      where h.tenant_id = $1::uuid and h.lead_id = l.id)
                   order by l.received_at, l.id limit {BATCH}) r
union
select t.lead_id from (select a.lead_id from crm.lead_assignment a
                         join crm.lead l on l.tenant_id = $1::uuid and l.id = a.lead_id
                        where a.tenant_id = $1::uuid and a.user_id is null and a.ended_at is null
                          and a.reason not like 'auto.%' and l.owner_id is null and l.status not in ('won', 'lost')
                          and not l.is_test
                          and not exists (select from crm.routing_hold h
                                           where h.tenant_id = $1::uuid and h.lead_id = a.lead_id)
                        order by a.started_at, a.lead_id limit {BATCH}) t
union
select d.lead_id from (select lead_id from crm.routing_hold
                        where tenant_id = $1::uuid and next_at <= $3::timestamptz
                        order by next_at, lead_id limit {BATCH}) d
union
select q.lead_id from (select lead_id from crm.routing_hold
                        where tenant_id = $1::uuid and (demand is null or rule_set_id is distinct from $4::uuid)
                        order by since, lead_id limit {BATCH}) q
"""

HEADS = f"""
with recursive asked(demand) as (
  (select demand from crm.routing_hold where tenant_id = $1::uuid and demand is not null order by demand limit 1)
  union all
  select (select h.demand from crm.routing_hold h where h.tenant_id = $1::uuid and h.demand > a.demand
           order by h.demand limit 1)
    from asked a where a.demand is not null
)
select h.lead_id, h.place from asked a cross join lateral (
  select lead_id, row_number() over (order by since, lead_id) as place from crm.routing_hold
   where tenant_id = $1::uuid and demand = a.demand order by since, lead_id limit {OF_ONE_DEMAND}) h
 where a.demand is not null
"""
"""The longest waiting of each demand: what waits for the same gets the same answer, so a few of each say it all."""


async def _run(tx: Tx, arrived: Collection[UUID], now: datetime) -> Routed:
    """Decide under the tenant's lock, so that two routers never count the same room twice."""
    no = 1 + int(await tx.fetchval(LOCK, tx.actor.tenant_id))
    rule_set_id = await sets.live(tx, now)
    asked = {row["id"] for row in await tx.fetch(CANDIDATES, tx.actor.tenant_id, list(arrived), now, rule_set_id)}
    heads = {row["lead_id"]: row["place"] for row in await tx.fetch(HEADS, tx.actor.tenant_id)}
    waiting = await facts.waiting(tx, asked | heads.keys(), now) if asked or heads else {}
    if not waiting:
        tx.unchanged()
        return Routed([], [], is_full=False)
    run = Run(no, now, rule_set_id, await facts.load(tx, now), await facts.pools(tx), waiting)
    horizons = {lead for lead, place in heads.items() if place == OF_ONE_DEMAND}
    decisions, floor, is_full = await _decide(tx, run, horizons)
    given = [each for each in decisions if each.user_id is not None]
    said = [each for each in decisions if each.user_id is None and runs.brief(run, each) != waiting[each.lead_id].said]
    await runs.hold(tx, run, [each for each in decisions if each.user_id is None])
    if not given and not said:
        tx.unchanged()
        return Routed([], [], is_full=False)
    kept_as = await runs.keep(tx, run, [*given, *said], floor)
    assigned = await runs.give(tx, run, given, kept_as)
    await runs.tell(tx, run, [*given, *said], now=now)
    return Routed(assigned, [each.lead_id for each in said], is_full=is_full)


async def _decide(tx: Tx, run: Run, horizons: Collection[UUID]) -> tuple[list[Decision], Floor, bool]:
    """Decide, then lock those to be given; when somebody works on one now, decide again without it."""
    compiled = await sets.compiled(tx, run.rule_set_id)
    busy: set[UUID] = set()
    while True:
        floor = run.facts.floor(run.pools)
        queue = [each.enquiry for lead, each in run.waiting.items() if lead not in busy]
        queue.sort(key=lambda lead: (lead.since, lead.id))
        decisions: list[Decision] = []
        given, is_full = 0, False
        for lead in queue:
            decisions.append(rules.decide(compiled, floor, lead, run.at))
            given += decisions[-1].user_id is not None
            # Beyond the last one looked at of a demand that is being served, somebody older may wait unseen.
            if is_full := given >= BATCH or (lead.id in horizons and decisions[-1].user_id is not None):
                break
        wanted = [each.lead_id for each in decisions if each.user_id is not None]
        missed = set(wanted) - {row["id"] for row in await tx.fetch(LOCK_LEADS, tx.actor.tenant_id, wanted)}
        if not missed:
            return decisions, floor, is_full or len(run.waiting) >= BATCH
        busy |= missed


LOCK_LEADS = f"""
select l.id from unnest($2::uuid[]) as i(id) join crm.lead l on l.tenant_id = $1::uuid and l.id = i.id
  left join crm.routing_hold h on h.tenant_id = $1::uuid and h.lead_id = l.id
 where l.owner_id is null and ({facts.ASKS_FOR_SOMEBODY}) order by l.id for update of l skip locked
"""
