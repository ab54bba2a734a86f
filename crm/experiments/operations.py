"""What changes experiments: designing, starting and stopping them, and giving units their variants."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, vault, visibility
from crm.db import Tx, to_json
from crm.experiments import queries, rules
from crm.experiments.queries import UnknownExperiment
from crm.experiments.rules import Design, Split, Status, Variant
from crm.leads.rows import LeadNotFound
from crm.operation import operation
from crm.sql import Args


class BadDesign(errors.Invalid):
    """This experiment cannot be run as designed."""

    code = "experiment.invalid"


class KeyTaken(errors.Conflict):
    """An experiment of this key exists already."""

    code = "experiment.key_taken"


class NotDraft(errors.Conflict):
    """Only a draft can be changed or started: what has begun stays as it was designed."""

    code = "experiment.not_draft"


class UnknownVariant(errors.Invalid):
    """This experiment has no such variant."""

    code = "experiment.variant_unknown"


class NotRunning(errors.Conflict):
    """This experiment does not run."""

    code = "experiment.not_running"


@operation("experiment.manage")
async def create(tx: Tx, *, key: str, design: Design, now: datetime) -> UUID:
    """Design an experiment; return its id. It is a draft until it is started.

    :raises KeyTaken: when there is one of that key.
    :raises BadDesign: when it cannot be run; `fields` says why.
    """
    if not rules.CODE.fullmatch(key):
        raise BadDesign(fields={"key": "a code"})
    await _require_sound(tx, design)
    experiment_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.experiment (tenant_id, id, key, hypothesis, split, unit, metric, event_type, event_match,"
        " window_days, alpha, created_by, created_at, updated_at) values ($1::uuid, $2::uuid, $12::text, $3::text,"
        " $4::text, $5::text, $6::text, $7::text, $8::jsonb, $9::int, $10::float8, $13::uuid, $11::timestamptz,"
        " $11::timestamptz) on conflict (tenant_id, key) do nothing returning true",
        tx.actor.tenant_id, experiment_id, *_columns(design), now, key, tx.actor.user_id,
    )  # fmt: skip
    if not made:
        raise KeyTaken(fields={"key": "in use"})
    await _insert_variants(tx, experiment_id, design)
    await _note(tx, experiment_id, "experiment.created", now, key=key)
    return experiment_id


@operation("experiment.manage")
async def redesign(tx: Tx, experiment_id: UUID, design: Design, *, now: datetime) -> None:
    """Replace the design of a draft.

    :raises UnknownExperiment: when there is none.
    :raises NotDraft: when it has been started.
    :raises BadDesign: when it cannot be run; `fields` says why.
    """
    await _lock(tx, experiment_id, Status.draft)
    await _require_sound(tx, design)
    if (await queries.one(tx, experiment_id)).design == design:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.experiment set hypothesis = $3::text, split = $4::text, unit = $5::text, metric = $6::text,"
        " event_type = $7::text, event_match = $8::jsonb, window_days = $9::int, alpha = $10::float8,"
        " updated_at = $11::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, experiment_id, *_columns(design), now,
    )  # fmt: skip
    await tx.execute(
        "delete from crm.experiment_variant where tenant_id = $1::uuid and experiment_id = $2::uuid",
        tx.actor.tenant_id, experiment_id,
    )  # fmt: skip
    await _insert_variants(tx, experiment_id, design)
    await _note(tx, experiment_id, "experiment.redesigned", now)


@operation("experiment.manage")
async def start(tx: Tx, experiment_id: UUID, *, now: datetime) -> None:
    """Start a draft: units are exposed from now on, and its design does not change any more.

    :raises UnknownExperiment: when there is none.
    :raises NotDraft: when it has been started before.
    :raises BadDesign: when a team of it is gone meanwhile.
    """
    await _lock(tx, experiment_id, Status.draft)
    await _require_sound(tx, (await queries.one(tx, experiment_id)).design)
    await tx.execute(
        "update crm.experiment set status = 'running', started_at = $3::timestamptz, updated_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, experiment_id, now,
    )  # fmt: skip
    await _note(tx, experiment_id, "experiment.started", now)


@operation("experiment.manage")
async def stop(tx: Tx, experiment_id: UUID, *, winner: str | None = None, now: datetime) -> None:
    """Stop an experiment for good: nobody new is exposed; who was exposed keeps their variant and goes on counting.

    `winner`: the key of the variant that everybody else gets from now on, uncounted. Choosing it is a person's word;
    what the evidence says is read out apart.

    :raises UnknownExperiment: when there is none.
    :raises NotRunning: when it does not run.
    :raises UnknownVariant: when the winner is no variant of it.
    """
    await _lock(tx, experiment_id, Status.running)
    keys = [variant.key for variant in (await queries.one(tx, experiment_id)).design.variants]
    if winner is not None and winner not in keys:
        raise UnknownVariant(fields={"winner": f"any of {', '.join(keys)}"})
    await tx.execute(
        "update crm.experiment set status = 'stopped', stopped_at = $3::timestamptz, updated_at = $3::timestamptz,"
        " winner = $4::int where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, experiment_id, now, None if winner is None else keys.index(winner),
    )  # fmt: skip
    await _note(tx, experiment_id, "experiment.stopped", now, winner=winner)


async def expose(tx: Tx, key: str, lead_id: UUID, *, now: datetime) -> Variant:
    """Return the variant of a running experiment that a lead gets, and note that it has got it, once.

    Asked again, the answer is the same, also after the experiment was stopped. Test leads get one and are not counted.
    Who comes after it was stopped gets the winner, if one was named, and is not counted either.

    :raises UnknownExperiment: when there is none of that key.
    :raises NotRunning: when it does not run, has no winner, and the lead was not exposed to it.
    :raises LeadNotFound: when there is no such lead for the actor.
    """
    return (await expose_many(tx, key, [lead_id], now=now))[lead_id]


@operation("experiment.expose")
async def expose_many(tx: Tx, key: str, lead_ids: Collection[UUID], *, now: datetime) -> dict[UUID, Variant]:
    """Do the same for several leads of one experiment, in a fixed number of statements; see `expose`."""
    found = await queries.by_key(tx, key, lock="for share")  # an experiment that is stopped now waits for us
    shares = [variant.share for variant in found.design.variants]
    units = await _units(tx, found.design.unit, lead_ids)
    known = await _positions(tx, found.id, units)
    fresh = [row for row in units if row["unit_id"] not in known]
    if fresh and found.status is not Status.running and found.winner is None:
        raise NotRunning
    chosen = {row["unit_id"]: _position_of(found, row["unit_id"], shares) for row in fresh}
    is_counted = found.status is Status.running
    noted = {row["unit_id"]: row["id"] for row in reversed(fresh) if is_counted and not row["is_test"]}
    await _insert_exposures(tx, found, [(unit, lead, chosen[unit]) for unit, lead in sorted(noted.items())], now=now)
    positions = known | chosen
    return {row["id"]: found.design.variants[positions[row["unit_id"]]] for row in units}


def _position_of(experiment: queries.Experiment, unit_id: UUID, shares: list[int]) -> int:
    """Return the place of the variant that a unit gets: the winner's, or that of its hash."""
    if experiment.winner is not None:
        return experiment.design.variants.index(experiment.winner)
    return rules.bucket(experiment.key, unit_id, shares)


async def _units(tx: Tx, unit: rules.Unit, lead_ids: Collection[UUID]) -> list[asyncpg.Record]:
    """Return the leads that the actor sees, each with the unit it belongs to.

    :raises LeadNotFound: when one is missing.
    """
    args = Args()
    tenant, wanted = args.add(tx.actor.tenant_id, "uuid"), args.add(list(lead_ids), "uuid[]")
    column = "l.contact_id" if unit is rules.Unit.contact else "l.id"
    rows = await tx.fetch(
        f"select l.id, {column} as unit_id, l.is_test from unnest({wanted}) as w(id)"
        f" join crm.lead l on l.tenant_id = {tenant} and l.id = w.id and {visibility.condition(tx.actor, args)}"
        " order by l.received_at, l.id",
        *args,
    )
    if len(rows) < len(set(lead_ids)):
        raise LeadNotFound
    return rows


async def _positions(tx: Tx, experiment_id: UUID, units: list[asyncpg.Record]) -> dict[UUID, int]:
    rows = await tx.fetch(
        "select e.unit_id, e.position from unnest($3::uuid[]) as w(id) join crm.experiment_exposure e"
        " on e.tenant_id = $1::uuid and e.experiment_id = $2::uuid and e.unit_id = w.id",
        tx.actor.tenant_id, experiment_id, list({row["unit_id"] for row in units}),
    )  # fmt: skip
    return {row["unit_id"]: row["position"] for row in rows}


async def _insert_exposures(
    tx: Tx, experiment: queries.Experiment, exposed: list[tuple[UUID, UUID, int]], *, now: datetime
) -> None:
    """Store exposures (unit, lead, position). Who exposed a unit at the same instant chose the same variant."""
    rows = await tx.fetch(
        "insert into crm.experiment_exposure (tenant_id, experiment_id, unit_id, lead_id, position, exposed_at)"
        " select $1::uuid, $2::uuid, w.unit_id, w.lead_id, w.position, $6::timestamptz"
        " from unnest($3::uuid[], $4::uuid[], $5::int[]) as w(unit_id, lead_id, position)"
        " on conflict do nothing returning unit_id, lead_id, position",
        tx.actor.tenant_id, experiment.id, [unit for unit, _, _ in exposed], [lead for _, lead, _ in exposed],
        [position for _, _, position in exposed], now,
    )  # fmt: skip
    if not rows:
        tx.unchanged()
        return
    told = [
        {
            "experiment": experiment.key,
            "variant": experiment.design.variants[row["position"]].key,
            "unit_id": row["unit_id"],
            "lead_id": row["lead_id"],
        }
        for row in rows
    ]
    await events.record_many(tx, [("lead", detail["lead_id"], "experiment.exposed", detail) for detail in told], at=now)
    for detail in told if tx.actor.user_id else ():
        await audit.of_person(tx, "experiment.expose", "lead", detail["lead_id"], detail, at=now)


async def _lock(tx: Tx, experiment_id: UUID, wanted: Status) -> None:
    status = await tx.fetchval(
        "select status from crm.experiment where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, experiment_id,
    )  # fmt: skip
    if status is None:
        raise UnknownExperiment
    if status != wanted:
        raise NotDraft if wanted is Status.draft else NotRunning


async def _require_sound(tx: Tx, design: Design) -> None:
    fields = rules.wrong_with(design)
    if design.split is Split.team and not fields:
        rows = await tx.fetch("select id from crm.team where tenant_id = $1::uuid", tx.actor.tenant_id)
        teams = {row["id"] for row in rows}
        fields = {
            f"variants.{number}.team_id": "no such team"
            for number, variant in enumerate(design.variants)
            if variant.team_id not in teams
        }
    if fields:
        raise BadDesign(fields=fields)


def _columns(design: Design) -> tuple[object, ...]:
    event = design.event
    return (
        vault.scrub(design.hypothesis),
        design.split.value,
        design.unit.value,
        design.metric,
        event.event_type if event else None,
        to_json(dict(event.match)) if event else None,
        design.window_days,
        design.alpha,
    )


async def _insert_variants(tx: Tx, experiment_id: UUID, design: Design) -> None:
    await tx.executemany(
        "insert into crm.experiment_variant (tenant_id, experiment_id, position, key, share, team_id, script)"
        " values ($1::uuid, $2::uuid, $3::int, $4::text, $5::int, $6::uuid, $7::text)",
        [
            (tx.actor.tenant_id, experiment_id, position, each.key, each.share, each.team_id, each.script)
            for position, each in enumerate(design.variants)
        ],
    )


async def _note(tx: Tx, experiment_id: UUID, what: str, now: datetime, **detail: object) -> None:
    await events.record(tx, "experiment", experiment_id, what, detail, at=now)
    await audit.of_person(tx, what, "experiment", experiment_id, detail, at=now)
