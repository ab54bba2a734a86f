"""Metrics for doors over HTTP: REST and GraphQL translate, here they ask."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from api.schemas.kpis import KpiAnswer, KpiQuery
from api.turns import Turns
from crm import db, errors
from crm.actor import Actor
from crm.settings import settings
from kpis import access, catalogue, publications, query
from kpis.catalogue import Definition
from kpis.questions import Filter, Order, Query, Unknown

PATIENCE = 20.0
"""Seconds a question waits for its turn."""


@cache
def turns() -> Turns:
    """Return the turns of this process: numbers take a little more than half of its connections, however many ask."""
    at_once = settings().pool_size // 2 + 1
    return Turns(at_once, of_one=max(1, at_once * 2 // 3), waiting=20, patience=PATIENCE)


async def answer(actor: Actor, body: KpiQuery, *, now: datetime) -> KpiAnswer:
    """Answer a question as far as the actor may know; see `kpis.query.ask` for the refusals.

    :raises api.turns.Busy: when the actor asks too much at once.
    """
    wanted = Query(
        metrics=body.metrics,
        by=body.by,
        grain=body.grain,
        since=body.since,
        until=body.until,
        filters=[Filter(one.dim, one.op, one.values) for one in body.filters],
        order=[Order(one.name, one.descending) for one in body.order],
        limit=body.limit,
        as_of=body.as_of,
        definitions=body.definitions,
    )
    try:
        async with turns().of(actor.user_id or actor.tenant_id):
            found = await db.run(actor, lambda tx: query.ask(tx, wanted, now=now))
    except publications.NotPublished:
        # Before the first run of the pipeline there is no data, which is no fault of anybody's.
        return KpiAnswer(
            rows=[], metrics=body.metrics, definition=None, definitions={}, as_of=None, freshness_s=None, suppressed=0,
            is_cut=False, without_source=[], unpublished=body.metrics, team=None,
        )  # fmt: skip
    return KpiAnswer.model_validate(found)


async def catalogue_of(actor: Actor, *, now: datetime) -> list[dict[str, Any]]:
    """Return the metrics that an actor may ask for, each with how fresh it is."""
    return await _dated(actor, await _visible(actor), now=now)


async def metric_of(actor: Actor, key: str, *, now: datetime) -> dict[str, Any]:
    """Return one metric, with its SQL.

    :raises NotFound: when there is none of that name, or it is not for the actor.
    """
    item = await _one(actor, key)
    (described,) = await _dated(actor, [item], now=now)
    return {**described, "sql": await catalogue.sql_in_thread(item) if actor.may("kpi.view") else None}


async def sql_of(actor: Actor, key: str) -> str:
    """Return the SQL that a metric compiles to, by day.

    :raises NotFound: when there is none of that name, or it is not for the actor.
    """
    return await catalogue.sql_in_thread(await _one(actor, key))


class NoSuchMetric(errors.NotFound):
    """There is no such metric."""

    code = Unknown.code


async def _one(actor: Actor, key: str) -> Definition:
    found = next((item for item in await _visible(actor) if item.name == key), None)
    if found is None:
        raise NoSuchMetric(f"there is no metric {key!r}")
    return found


async def _visible(actor: Actor) -> list[Definition]:
    scope = access.scope_of(actor)
    return [item for item in await catalogue.load() if scope.allows(item.section)]


async def _dated(actor: Actor, items: Sequence[Definition], *, now: datetime) -> list[dict[str, Any]]:
    state = await db.run(actor, publications.standing)
    dated = []
    for item in items:
        as_of = state.as_of(item.domains) if state.holds(item.domains) else None
        freshness_s = max((now - as_of).total_seconds(), 0.0) if as_of else None
        dated.append({**catalogue.described(item), "as_of": as_of, "freshness_s": freshness_s})
    return dated
