"""Looking at experiments: their designs, what units got, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import errors, visibility
from crm.db import Tx, to_json
from crm.experiments.counts import Counts, Exposure
from crm.experiments.rules import Design, Outcome, Split, Status, Unit, Variant
from crm.leads.rows import LeadNotFound
from crm.sql import Args


class UnknownExperiment(errors.NotFound):
    """There is no such experiment."""

    code = "experiment.not_found"


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment as it is designed, and where it stands."""

    id: UUID
    key: str
    design: Design
    status: Status
    created_by: UUID | None
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    winner: Variant | None
    """What everybody gets since it was stopped."""


EXPERIMENT = """
select x.id, x.key, x.hypothesis, x.split, x.unit, x.metric, x.event_type, x.event_match, x.window_days, x.alpha,
       x.status, x.created_by, x.created_at, x.started_at, x.stopped_at, x.winner,
       (select jsonb_agg(jsonb_build_object('key', v.key, 'share', v.share, 'team_id', v.team_id, 'script', v.script)
                         order by v.position)
          from crm.experiment_variant v where v.tenant_id = x.tenant_id and v.experiment_id = x.id) as variants
  from crm.experiment x where x.tenant_id = $1::uuid
"""


async def one(tx: Tx, experiment_id: UUID) -> Experiment:
    """Return an experiment.

    :raises UnknownExperiment: when there is none.
    """
    row = await tx.fetchrow(f"{EXPERIMENT} and x.id = $2::uuid", tx.actor.tenant_id, experiment_id)
    if row is None:
        raise UnknownExperiment
    return _experiment(row)


async def by_key(tx: Tx, key: str, *, lock: str = "") -> Experiment:
    """Return an experiment by its key; `lock`: how its row is locked (`for share`).

    :raises UnknownExperiment: when there is none.
    """
    row = await tx.fetchrow(
        f"{EXPERIMENT} and x.key = $2::text {f'{lock} of x' if lock else ''}", tx.actor.tenant_id, key
    )
    if row is None:
        raise UnknownExperiment
    return _experiment(row)


async def every(tx: Tx) -> list[Experiment]:
    """Return experiments, the latest first; a firm has few."""
    return [
        _experiment(row) for row in await tx.fetch(f"{EXPERIMENT} order by x.id desc limit 500", tx.actor.tenant_id)
    ]


def _experiment(row: asyncpg.Record) -> Experiment:
    event = Outcome(row["event_type"], row["event_match"] or {}) if row["event_type"] else None
    variants = tuple(
        Variant(each["key"], each["share"], each["team_id"] and UUID(each["team_id"]), each["script"])
        for each in row["variants"]
    )
    design = Design(
        row["hypothesis"], Split(row["split"]), variants, Unit(row["unit"]), row["metric"], event, row["window_days"],
        row["alpha"],
    )  # fmt: skip
    return Experiment(
        row["id"], row["key"], design, Status(row["status"]), row["created_by"], row["created_at"], row["started_at"],
        row["stopped_at"], None if row["winner"] is None else variants[row["winner"]],
    )  # fmt: skip


# A unit's leads are itself, or all of a person's. What is looked for hangs on the lead in the log of events.
COUNTS = """
with exposed as (
  select e.position, e.exposed_at + $5::int * interval '24 hours' <= $3::timestamptz as is_decided,
         exists (
           select from (select e.unit_id as id where $4::text = 'lead'
                        union all
                        select o.id from crm.lead o
                         where $4::text = 'contact' and o.tenant_id = $1::uuid and o.contact_id = e.unit_id) u
             join crm.event_log c on c.tenant_id = $1::uuid and c.aggregate_type = 'lead' and c.aggregate_id = u.id
            where c.event_type = $6::text and c.payload_json @> $7::jsonb and c.occurred_at <= $3::timestamptz
              and c.occurred_at >= e.exposed_at and c.occurred_at < e.exposed_at + $5::int * interval '24 hours'
         ) as is_converted
    from crm.experiment_exposure e
    join crm.lead l on l.tenant_id = e.tenant_id and l.id = e.lead_id and not l.is_test
   where e.tenant_id = $1::uuid and e.experiment_id = $2::uuid and e.exposed_at <= $3::timestamptz
)
select count(x.position)::int as exposures,
       count(*) filter (where x.is_decided)::int as decided,
       count(*) filter (where x.is_decided and x.is_converted)::int as decided_conversions,
       count(*) filter (where x.is_converted)::int as conversions
  from crm.experiment_variant v left join exposed x on x.position = v.position
 where v.tenant_id = $1::uuid and v.experiment_id = $2::uuid
 group by v.position order by v.position
"""


async def counts(tx: Tx, experiment: Experiment, *, as_of: datetime) -> list[Counts]:
    """Return what became of each variant's units by the experiment's event, until an instant (UTC), in one statement.

    Test leads are left out.
    """
    design = experiment.design
    assert design.event is not None, "what a KPI counts is asked of the KPI"
    rows = await tx.fetch(
        COUNTS, tx.actor.tenant_id, experiment.id, as_of, design.unit.value, design.window_days,
        design.event.event_type, to_json(dict(design.event.match)),
    )  # fmt: skip
    return [Counts(**row) for row in rows]


async def exposures(tx: Tx, experiment: Experiment, *, as_of: datetime) -> list[Exposure]:
    """Return who was exposed until an instant (UTC), test leads left out."""
    rows = await tx.fetch(
        "select e.lead_id, e.position, e.exposed_at from crm.experiment_exposure e"
        " join crm.lead l on l.tenant_id = e.tenant_id and l.id = e.lead_id and not l.is_test"
        " where e.tenant_id = $1::uuid and e.experiment_id = $2::uuid and e.exposed_at <= $3::timestamptz",
        tx.actor.tenant_id, experiment.id, as_of,
    )  # fmt: skip
    return [Exposure(**row) for row in rows]


async def of_lead(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return the experiments that a lead, or its person, is in, with the variant it got; the latest first.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    contact_id = await tx.fetchval(
        f"select l.contact_id from crm.lead l where {which} and {visibility.condition(tx.actor, args)}", *args
    )
    if contact_id is None:
        raise LeadNotFound
    return await tx.fetch(
        "select x.id as experiment_id, x.key, x.status, x.split, v.key as variant, v.script, v.team_id, e.exposed_at"
        " from unnest(array[$2::uuid, $3::uuid], array['lead', 'contact']) as w(id, unit)"
        " join crm.experiment_exposure e on e.tenant_id = $1::uuid and e.unit_id = w.id"
        " join crm.experiment x on x.tenant_id = e.tenant_id and x.id = e.experiment_id and x.unit = w.unit"
        " join crm.experiment_variant v on v.tenant_id = e.tenant_id and v.experiment_id = e.experiment_id"
        " and v.position = e.position order by e.exposed_at desc, x.id limit 500",
        tx.actor.tenant_id, lead_id, contact_id,
    )  # fmt: skip
