"""Metrics: the catalogue, and answers from the published marts."""

from typing import Annotated

from fastapi import Path

from api import questions
from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.kpis import KpiAnswer, KpiDetail, KpiQuery, KpiRead

router = Router("/kpis")


@router.get("")
@permission("kpi.view", "kpi.view.team")
async def list_kpis(actor: CurrentActor, now: Now) -> Listing[KpiRead]:
    """List the metrics that the caller may ask for, with their definitions, dimensions and freshness."""
    return Listing(items=[KpiRead.model_validate(item) for item in await questions.catalogue_of(actor, now=now)])


@router.post("/query")
@permission("kpi.view", "kpi.view.team")
async def query_kpis(body: KpiQuery, actor: CurrentActor, now: Now) -> KpiAnswer:
    """Answer metrics by dimensions and time, as far as the caller may know."""
    return await questions.answer(actor, body, now=now)


@router.get("/{key}")
@permission("kpi.view", "kpi.view.team")
async def read_kpi(
    key: Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,62}$")], actor: CurrentActor, now: Now
) -> KpiDetail:
    """Describe one metric, with the SQL it compiles to by day."""
    return KpiDetail.model_validate(await questions.metric_of(actor, key, now=now))
