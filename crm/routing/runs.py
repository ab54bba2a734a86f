"""What one run of distribution keeps: its facts, its decisions with their reasons, who waits for what, what it told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import events, ids
from crm.db import Tx, to_json
from crm.leads import operations as leads
from crm.leads.operations import Assignment
from crm.routing import explain, facts, rules
from crm.routing.facts import Facts, Waiting
from crm.routing.floor import Floor
from crm.routing.rules import Decision
from crm.routing.turns import Pool

KEEP_POOLS = 50
"""Every so many runs the pools' credits are kept with the run: replay begins there."""
REASON = "router.round_robin"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its place in the order of all runs of the tenant, when, by which rules, on what."""

    no: int
    at: datetime
    rule_set_id: UUID | None
    facts: Facts
    pools: Mapping[str, Pool]
    waiting: Mapping[UUID, Waiting]


def brief(run: Run, decision: Decision) -> str:
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


async def hold(tx: Tx, run: Run, decisions: Sequence[Decision]) -> None:
    """Note of those who wait what they wait for; untouched where it is known already."""
    rows = []
    for each in decisions:
        known, said = run.waiting[each.lead_id], brief(run, each)
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


async def keep(tx: Tx, run: Run, decisions: Sequence[Decision], floor: Floor) -> dict[UUID, UUID]:
    """Keep what the run was decided on, and the turns taken; return each lead's decision."""
    tenant, has_pools = tx.actor.tenant_id, run.no % KEEP_POOLS == 1
    digest, body = facts.pack_roster(run.facts)
    enquiries = [run.waiting[each.lead_id].enquiry for each in decisions]
    packed = facts.pack_run(run.facts, enquiries, run.pools if has_pools else None)
    await tx.execute(KEEP_ROSTER, tenant, digest, body, run.at)
    await tx.execute(KEEP_RUN, tenant, run.no, run.at, run.rule_set_id, digest, packed, has_pools)
    await tx.execute("update crm.routing_state set run_no = $2::bigint where tenant_id = $1::uuid", tenant, run.no)
    await tx.executemany(
        KEEP_POOL,
        [
            (tenant, key, pool.turn, list(pool.credits), list(pool.credits.values()), run.at)
            for key, pool in floor.settled().items()
        ],
    )
    return await _store_decisions(tx, run, decisions, floor)


async def _store_decisions(tx: Tx, run: Run, decisions: Sequence[Decision], floor: Floor) -> dict[UUID, UUID]:
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


async def give(tx: Tx, run: Run, given: Sequence[Decision], kept_as: Mapping[UUID, UUID]) -> list[UUID]:
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


async def tell(tx: Tx, run: Run, decisions: Iterable[Decision], *, now: datetime) -> None:
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
