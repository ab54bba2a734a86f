"""Metrics: the catalogue, and answers from the published marts."""

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.kpis import KpiAnswer, KpiQuery, KpiRead
from crm import db
from kpis import query
from kpis.query import Filter, Query

router = Router("/kpis")


@router.get("")
@permission("kpi.view")
async def list_kpis() -> Listing[KpiRead]:
    """List the metrics one can ask for, with their definitions and dimensions."""
    return Listing(items=[KpiRead.model_validate(query.described(item)) for item in await query.load_catalogue()])


@router.post("/query")
@permission("kpi.view")
async def query_kpis(body: KpiQuery, actor: CurrentActor, now: Now) -> KpiAnswer:
    """Answer metrics by dimensions and time, of the caller's tenant."""
    wanted = Query(
        metrics=body.metrics,
        by=body.by,
        grain=body.grain,
        since=body.since,
        until=body.until,
        filters=[Filter(one.dim, one.op, one.values) for one in body.filters],
    )
    try:
        answer = await db.run(actor, lambda tx: query.ask(tx, wanted, now=now))
    except query.NotPublished:
        # Before the first run of the pipeline there is no data, which is no fault of anybody's.
        return KpiAnswer(rows=[], metrics=body.metrics, definition=None, as_of=None, freshness_s=None)
    return KpiAnswer.model_validate(answer)
