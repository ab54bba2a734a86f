"""Exposures that others have made: distribution splits leads among teams by its own rules and tells it as an event."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from crm import db, events, jobs
from crm.actor import Actor
from crm.db import Tx
from crm.events import BatchReader
from crm.events.log import Event
from crm.operation import operation

READER = "experiments"


@dataclass(frozen=True, slots=True)
class Exposed:
    """A lead that got a variant (by their keys) of an experiment (by its key)."""

    experiment: str
    variant: str
    lead_id: UUID
    at: datetime


def exposed_of(event: Event) -> Exposed | None:
    """Return the exposure that an event tells of, or None; our own tell of units that are counted already."""
    told = event.payload
    if event.event_type != "experiment.exposed" or event.aggregate_type != "lead" or "unit_id" in told:
        return None
    return Exposed(told["experiment"], told["variant"], event.aggregate_id, event.occurred_at)


# Counted are exposures of leads to a variant there is, while the experiment ran; a unit's first one stays.
COUNT = """
insert into crm.experiment_exposure (tenant_id, experiment_id, unit_id, lead_id, position, exposed_at)
select distinct on (x.id, w.lead_id) x.tenant_id, x.id, w.lead_id, w.lead_id, v.position, w.exposed_at
  from unnest($2::text[], $3::text[], $4::uuid[], $5::timestamptz[]) as w(experiment, variant, lead_id, exposed_at)
  join crm.experiment x on x.tenant_id = $1::uuid and x.key = w.experiment and x.unit = 'lead'
   and x.started_at <= w.exposed_at and (x.stopped_at is null or x.stopped_at > w.exposed_at)
  join crm.experiment_variant v on v.tenant_id = x.tenant_id and v.experiment_id = x.id and v.key = w.variant
  join crm.lead l on l.tenant_id = $1::uuid and l.id = w.lead_id and not l.is_test
 order by x.id, w.lead_id, w.exposed_at
on conflict do nothing returning experiment_id, lead_id, position
"""


@operation("experiment.expose")
async def count(tx: Tx, exposed: Sequence[Exposed], *, now: datetime) -> int:
    """Count leads as exposed that others exposed; return how many were not counted yet.

    What names no experiment of ours, no variant of it, or a time in which it did not run, is left alone.
    """
    rows = await tx.fetch(
        COUNT, tx.actor.tenant_id, [each.experiment for each in exposed], [each.variant for each in exposed],
        [each.lead_id for each in exposed], [each.at for each in exposed],
    )  # fmt: skip
    if not rows:
        tx.unchanged()
        return 0
    told = [("experiment", row["experiment_id"], "experiment.unit_counted", dict(row)) for row in rows]
    await events.record_many(tx, told, at=now)
    return len(rows)


@jobs.periodic("experiments.count", "* * * * *")
async def catch_up(now: datetime) -> None:
    """Count what was exposed since the last time; a crash repeats a batch and skips none."""
    async for batch in BatchReader(READER).batches():
        found: dict[UUID, list[Exposed]] = defaultdict(list)
        for event in batch:
            if exposed := exposed_of(event):
                found[event.tenant_id].append(exposed)
        for tenant_id, some in found.items():
            await db.run(Actor.system(tenant_id), partial(count, exposed=some, now=now))
