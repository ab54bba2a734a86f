"""A/B tests."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Response
from pydantic import AwareDatetime
from starlette.requests import Request

from api import questions
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.experiments import (
    DesignBody,
    ExperimentCreate,
    ExperimentRead,
    ExperimentStop,
    LeadExperimentRead,
    ReadoutRead,
    VariantRead,
)
from crm import db
from crm.db import Tx
from crm.experiments import operations, queries
from crm.experiments.queries import Experiment
from crm.experiments.readout import Readout
from crm.experiments.rules import Design, Outcome, Variant
from kpis import experiments as reading

router = Router(tags=["experiments"])


def _design(body: DesignBody) -> Design:
    event = body.event and Outcome(body.event.event_type, body.event.match)
    variants = tuple(Variant(**each.model_dump()) for each in body.variants)
    return Design(
        body.hypothesis, body.split, variants, body.unit, body.metric, event, body.window_days, body.alpha
    )  # fmt: skip


def _read(found: Experiment) -> dict[str, Any]:
    mine = ("id", "key", "status", "created_by", "created_at", "started_at", "stopped_at")
    designed = ("hypothesis", "split", "unit", "metric", "event", "window_days", "alpha", "variants")
    told = {name: getattr(found, name) for name in mine} | {name: getattr(found.design, name) for name in designed}
    return {**told, "winner": found.winner and found.winner.key}


async def _one(tx: Tx, experiment_id: UUID) -> dict[str, Any]:
    return _read(await queries.one(tx, experiment_id))


@router.get("/experiments")
@permission("experiment.view")
async def list_experiments(actor: CurrentActor) -> Listing[ExperimentRead]:
    """List every experiment, the latest first; a firm has few."""
    found = await db.run(actor, queries.every)
    return Listing(items=[ExperimentRead.model_validate(_read(each)) for each in found])


@router.post("/experiments", status_code=201, response_model=ExperimentRead)
@permission("experiment.manage")
async def create_experiment(request: Request, body: ExperimentCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Design an experiment: a draft, until it is started."""

    async def work(tx: Tx) -> dict[str, Any]:
        return await _one(tx, await operations.create(tx, key=body.key, design=_design(body), now=now))

    return await create(request, key, body, work, answer=ExperimentRead)


@router.get("/experiments/{experiment_id}")
@permission("experiment.view")
async def read_experiment(experiment_id: UUID, actor: CurrentActor) -> ExperimentRead:
    """Return one experiment."""
    return ExperimentRead.model_validate(await db.run(actor, lambda tx: _one(tx, experiment_id)))


@router.put("/experiments/{experiment_id}")
@permission("experiment.manage")
async def redesign_experiment(experiment_id: UUID, body: DesignBody, actor: CurrentActor, now: Now) -> ExperimentRead:
    """Replace the design of a draft."""

    async def work(tx: Tx) -> dict[str, Any]:
        await operations.redesign(tx, experiment_id, _design(body), now=now)
        return await _one(tx, experiment_id)

    return ExperimentRead.model_validate(await db.run(actor, work))


@router.post("/experiments/{experiment_id}/start")
@permission("experiment.manage")
async def start_experiment(experiment_id: UUID, actor: CurrentActor, now: Now) -> ExperimentRead:
    """Start a draft; its design does not change any more."""

    async def work(tx: Tx) -> dict[str, Any]:
        await operations.start(tx, experiment_id, now=now)
        return await _one(tx, experiment_id)

    return ExperimentRead.model_validate(await db.run(actor, work))


@router.post("/experiments/{experiment_id}/stop")
@permission("experiment.manage")
async def stop_experiment(
    experiment_id: UUID, actor: CurrentActor, now: Now, body: ExperimentStop | None = None
) -> ExperimentRead:
    """Stop an experiment for good; what was exposed goes on counting, and who comes later gets the winner, if named."""

    async def work(tx: Tx) -> dict[str, Any]:
        await operations.stop(tx, experiment_id, winner=body.winner if body else None, now=now)
        return await _one(tx, experiment_id)

    return ExperimentRead.model_validate(await db.run(actor, work))


@router.get("/experiments/{experiment_id}/readout")
@permission("experiment.view")
async def read_out(
    experiment_id: UUID,
    actor: CurrentActor,
    now: Now,
    as_of: Annotated[AwareDatetime | None, Query(description="Default: now.")] = None,
) -> ReadoutRead:
    """Say what an experiment shows; its bounds hold however often one looks. It takes a turn among questions."""

    async def work(tx: Tx) -> Readout:
        return await reading.read_out(tx, await queries.one(tx, experiment_id), as_of=as_of or now)

    async with questions.turns().of(actor.user_id or actor.tenant_id):
        return ReadoutRead.model_validate(await db.run(actor, work))


@router.get("/leads/{lead_id}/experiments")
@permission("lead.view.own", "lead.view.team", "lead.view.all")
async def list_experiments_of_lead(lead_id: UUID, actor: CurrentActor) -> Listing[LeadExperimentRead]:
    """List the experiments that a lead is in, with the variant it got."""
    rows = await db.run(actor, lambda tx: queries.of_lead(tx, lead_id))
    return Listing(items=[LeadExperimentRead.model_validate(dict(row)) for row in rows])


@router.put("/leads/{lead_id}/experiments/{key}")
@permission("experiment.expose")
async def expose_lead(
    lead_id: UUID, key: Annotated[str, Path(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")], actor: CurrentActor, now: Now
) -> VariantRead:
    """Return the variant of a running experiment that a lead gets, and count the lead as exposed to it, once."""
    return VariantRead.model_validate(await db.run(actor, lambda tx: operations.expose(tx, key, lead_id, now=now)))
