"""What distribution changes: leads given to people with the reasons kept, and who takes part in it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import audit, errors, events, ids
from crm.db import Tx, to_json
from crm.leads import operations as leads
from crm.leads.operations import Assignment
from crm.operation import operation
from crm.routing import explain, facts, rules, sets
from crm.routing.facts import Facts, Waiting
from crm.routing.floor import Floor
from crm.routing.rules import Decision
from crm.routing.turns import Pool

BATCH = 200
"""Leads given out in one transaction."""
OF_ONE_DEMAND = 50
"""Leads that wait for the same, looked at in one run."""
KEEP_POOLS = 50
"""Every so many runs the pools' credits are kept with the run: replay begins there."""
REASON = "router.round_robin"

OPEN = facts.OPEN
WAITING = "owner_id is null and status in ('new', 'assigned') and not is_test"
"""A lead that distribution has to give to somebody; test leads and leads further on are left alone. An index has it."""


class UnknownMember(errors.NotFound):
    """There is no such team, or no such active person."""

    code = "routing.member_unknown"


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


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: its place in the order of all runs of the tenant, when, by which rules, on what."""

    no: int
    at: datetime
    rule_set_id: UUID | None
    facts: Facts
    pools: Mapping[str, Pool]
    waiting: Mapping[UUID, Waiting]


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


FORGET = """
delete from crm.routing_hold h using crm.lead l
 where h.tenant_id = $1::uuid and l.tenant_id = $1::uuid and l.id = h.lead_id
   and (l.owner_id is not null or l.status in ('won', 'lost') or l.is_test)
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
                   limit {BATCH}) r
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
    run = _Run(no, now, rule_set_id, await facts.load(tx, now), await facts.pools(tx), waiting)
    horizons = {lead for lead, place in heads.items() if place == OF_ONE_DEMAND}
    decisions, floor, is_full = await _decide(tx, run, horizons)
    given = [each for each in decisions if each.user_id is not None]
    said = [each for each in decisions if each.user_id is None and _said(run, each) != waiting[each.lead_id].said]
    await _hold(tx, run, [each for each in decisions if each.user_id is None])
    if not given and not said:
        tx.unchanged()
        return Routed([], [], is_full=False)
    kept_as = await _keep(tx, run, [*given, *said], floor)
    assigned = await _give(tx, run, given, kept_as)
    await _tell(tx, run, [*given, *said], now=now)
    return Routed(assigned, [each.lead_id for each in said], is_full=is_full)


async def _decide(tx: Tx, run: _Run, horizons: Collection[UUID]) -> tuple[list[Decision], Floor, bool]:
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


LOCK_LEADS = """
select l.id from unnest($2::uuid[]) as i(id) join crm.lead l on l.tenant_id = $1::uuid and l.id = i.id
 where l.owner_id is null and l.status not in ('won', 'lost') order by l.id for update of l skip locked
"""


def _said(run: _Run, decision: Decision) -> str:
    """Return what was decided in short: said again only when it differs."""
    first = decision.reasons[0]
    return f"{run.rule_set_id or ''}:{decision.rule}:{first['code']}:{first.get('stage', '')}:{first.get('ring', 0)}"


HOLD = """
insert into crm.routing_hold as h (tenant_id, lead_id, since, demand, next_at, queue, said, exposed,
                                   rule_set_id)
select $1::uuid, i.*, $9::uuid
  from unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::timestamptz[], $6::text[], $7::text[], $8::text[]) as i
on conflict (tenant_id, lead_id) do update
   set since = excluded.since, demand = excluded.demand, next_at = excluded.next_at, queue = excluded.queue,
       said = excluded.said, exposed = excluded.exposed, rule_set_id = excluded.rule_set_id
"""


async def _hold(tx: Tx, run: _Run, decisions: Sequence[Decision]) -> None:
    """Note of those who wait what they wait for; untouched where it is known already."""
    rows = []
    for each in decisions:
        known, said = run.waiting[each.lead_id], _said(run, each)
        exposed = each.experiment or known.exposed
        after = (said, each.demand, each.next_at, exposed)
        if after != (known.said, known.demand, known.next_at, known.exposed):
            lead = known.enquiry
            rows.append((lead.id, lead.since, each.demand, each.next_at, lead.queue, said, exposed))
    if rows:
        await tx.execute(HOLD, tx.actor.tenant_id, *map(list, zip(*rows, strict=True)), run.rule_set_id)


KEEP_RUN = """
insert into crm.routing_run (tenant_id, no, decided_at, rule_set_id, roster, facts, has_pools)
values ($1::uuid, $2::bigint, $3::timestamptz, $4::uuid, $5::bytea, $6::bytea, $7::boolean)
"""
KEEP_ROSTER = """
insert into crm.routing_roster (tenant_id, digest, body, created_at)
values ($1::uuid, $2::bytea, $3::bytea, $4::timestamptz) on conflict do nothing
"""
KEEP_POOL = """
insert into crm.routing_pool as p (tenant_id, key, turn, holders, credits, updated_at)
values ($1::uuid, $2::text, $3::bigint, $4::uuid[], $5::bigint[], $6::timestamptz)
on conflict (tenant_id, key) do update
   set turn = excluded.turn, holders = excluded.holders, credits = excluded.credits, updated_at = excluded.updated_at
"""


async def _keep(tx: Tx, run: _Run, decisions: Sequence[Decision], floor: Floor) -> dict[UUID, UUID]:
    """Keep what the run was decided on, and the turns taken; return each lead's decision."""
    tenant, has_pools = tx.actor.tenant_id, run.no % KEEP_POOLS == 1
    digest, body = facts.pack_roster(run.facts)
    enquiries = [run.waiting[each.lead_id].enquiry for each in decisions]
    packed = facts.pack_run(run.facts, enquiries, run.pools if has_pools else None)
    await tx.execute(KEEP_ROSTER, tenant, digest, body, run.at)
    await tx.execute(KEEP_RUN, tenant, run.no, run.at, run.rule_set_id, digest, packed, has_pools)
    await tx.execute("update crm.routing_state set run_no = $2::bigint where tenant_id = $1::uuid", tenant, run.no)
    turned = [(key, pool) for key, pool in floor.settled().items() if pool != run.pools.get(key)]
    await tx.executemany(
        KEEP_POOL,
        [
            (tenant, key, pool.turn, list(pool.credits), list(pool.credits.values()), run.at)
            for key, pool in sorted(turned)
        ],
    )
    return await _store_decisions(tx, run, decisions, floor)


async def _store_decisions(tx: Tx, run: _Run, decisions: Sequence[Decision], floor: Floor) -> dict[UUID, UUID]:
    kept_as = {each.lead_id: ids.new() for each in decisions}
    await tx.executemany(
        """insert into crm.routing_decision (tenant_id, id, lead_id, team_id, user_id, strategy, reasons, decided_at,
                                             run_no, rule_set_id, rule, standing)
           values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::text, $7::jsonb, $8::timestamptz,
                   $9::bigint, $10::uuid, $11::text, $12::bytea)""",
        [
            (tx.actor.tenant_id, kept_as[each.lead_id], each.lead_id, each.team_id, each.user_id, rules.STRATEGY,
             to_json(each.reasons), run.at, run.no, run.rule_set_id, each.rule,
             explain.pack(each.standings, floor.place))
            for each in decisions
        ],
    )  # fmt: skip
    return kept_as


async def _give(tx: Tx, run: _Run, given: Sequence[Decision], kept_as: Mapping[UUID, UUID]) -> list[UUID]:
    """Put leads into the hands decided on."""
    if not given:
        return []
    lead_ids = [each.lead_id for each in given]
    await tx.execute(
        "delete from crm.routing_hold where tenant_id = $1::uuid and lead_id = any($2::uuid[])",
        tx.actor.tenant_id, lead_ids,
    )  # fmt: skip
    assignments = [
        Assignment(each.lead_id, each.user_id, REASON, each.team_id, kept_as[each.lead_id]) for each in given
    ]
    return await leads.assign_many(tx, assignments, only_waiting=True, now=run.at)


async def _tell(tx: Tx, run: _Run, decisions: Iterable[Decision], *, now: datetime) -> None:
    """Write the events of who waits, and of who met an experiment for the first time."""
    happened: list[tuple[str, UUID, str, dict[str, Any]]] = []
    for each in decisions:
        if each.user_id is None:
            told = {"reason": each.reasons[0]["code"], "team_id": each.team_id, "rule": each.rule}
            happened.append(("lead", each.lead_id, "lead.kept_waiting", told))
        if each.experiment and each.experiment != run.waiting[each.lead_id].exposed:
            side = {"experiment": each.experiment, "variant": each.variant, "lead_id": each.lead_id}
            happened.append(("lead", each.lead_id, "experiment.exposed", side))
    if happened:
        await events.record_many(tx, happened, at=now)


@operation("routing.manage")
async def set_member(
    tx: Tx, team_id: UUID, user_id: UUID, *, weight: int, capacity: int, accepting: bool = True, now: datetime
) -> None:
    """Let a person take leads of a team, or change how: `weight` is their share, `capacity` the most open leads.

    :raises UnknownMember: when there is no such team or active person.
    """
    known = await tx.fetchval(
        """select exists (select from crm.team where tenant_id = $1::uuid and id = $2::uuid)
              and exists (select from crm.user_account where tenant_id = $1::uuid and id = $3::uuid and is_active)""",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip
    if not known:
        raise UnknownMember
    changed = await tx.fetchval(
        """insert into crm.routing_member as m (tenant_id, team_id, user_id, weight, capacity, accepting, updated_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4::int, $5::int, $6::boolean, $7::timestamptz)
           on conflict (tenant_id, team_id, user_id) do update
              set weight = excluded.weight, capacity = excluded.capacity, accepting = excluded.accepting,
                  updated_at = excluded.updated_at
            where (m.weight, m.capacity, m.accepting) <> (excluded.weight, excluded.capacity, excluded.accepting)
           returning true""",
        tx.actor.tenant_id, team_id, user_id, weight, capacity, accepting, now,
    )  # fmt: skip
    if not changed:
        tx.unchanged()
        return
    detail = {"user_id": user_id, "weight": weight, "capacity": capacity, "accepting": accepting}
    await events.record(tx, "team", team_id, "routing.member_changed", detail, at=now)
    await audit.record(tx, "routing.member_change", "team", team_id, detail, at=now)


@operation("routing.manage")
async def remove_member(tx: Tx, team_id: UUID, user_id: UUID, *, now: datetime) -> None:
    """Give a person no more leads of a team; those in their hands stay there.

    :raises UnknownMember: when they take none.
    """
    done = await tx.execute(
        "delete from crm.routing_member where tenant_id = $1::uuid and team_id = $2::uuid and user_id = $3::uuid",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip
    if done == "DELETE 0":
        raise UnknownMember
    await events.record(tx, "team", team_id, "routing.member_removed", {"user_id": user_id}, at=now)
    await audit.record(tx, "routing.member_remove", "team", team_id, {"user_id": user_id}, at=now)


@operation("agent.availability")
async def set_availability(tx: Tx, *, accepting: bool, now: datetime) -> None:
    """Say for oneself whether one takes new leads now, in every team one belongs to.

    :raises UnknownMember: when one takes part in no distribution.
    """
    rows = await tx.fetch(
        "select accepting from crm.routing_member where tenant_id = $1::uuid and user_id = $2::uuid for update",
        tx.actor.tenant_id,
        tx.actor.user_id,
    )
    if not rows or tx.actor.user_id is None:
        raise UnknownMember("you take part in no distribution of leads")
    if all(row["accepting"] == accepting for row in rows):
        tx.unchanged()
        return
    await tx.execute(
        """update crm.routing_member set accepting = $3::boolean, updated_at = $4::timestamptz
            where tenant_id = $1::uuid and user_id = $2::uuid""",
        tx.actor.tenant_id, tx.actor.user_id, accepting, now,
    )  # fmt: skip
    detail = {"accepting": accepting, "team_id": tx.actor.team_id}
    await events.record(tx, "agent", tx.actor.user_id, "agent.availability_changed", detail, at=now)
    await audit.record(tx, "agent.availability", "user", tx.actor.user_id, {"accepting": accepting}, at=now)
