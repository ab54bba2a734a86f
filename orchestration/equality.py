"""One number everywhere: what the API and the dashboards answer, what BI tools see, and SQL by hand, on random slices.

The SQL here is written by people from the formulas of the catalogue and knows nothing of the semantic layer: that two
ways come to the same number is what it shows.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg

from crm import db, tenancy
from crm.actor import Actor
from kpis import query
from kpis.query import Query
from orchestration import warehouse

Figures = dict[str | None, float | None]
"""Of a metric, by the value of the dimension; a metric by nothing stands under None."""
LIVE = "in_hours and not is_test and outcome <> 'system'"


@dataclass(frozen=True, slots=True)
class Hand:
    """A metric in SQL by hand: over which relation, by which business day, its value, what counts, its dimensions."""

    relation: str
    day: str
    value: str
    where: str
    dims: Mapping[str, str]


LEAD_DIMS = {"platform": "platform", "source": "source", "campaign": "campaign", "form": "form"}
VISIT_DIMS = {"queue": "queue"}
WON = "count(*) filter (where is_won_90d)::float8 / nullif(count(*), 0)"
SPEED = "percentile_cont(0.5) within group (order by speed_to_lead_s::float8)"

HANDS: Mapping[str, Sequence[Hand]] = {
    "conversion_rate": [
        Hand("published.fct_lead_cycle", "received_on", WON, "not is_test", LEAD_DIMS),
        Hand("bi.lead", "received_on", WON, "true", LEAD_DIMS),
    ],
    "speed_to_lead_s": [
        Hand("published.fct_lead_cycle", "received_on", SPEED, "not is_test", LEAD_DIMS),
        Hand("bi.lead", "received_on", SPEED, "true", LEAD_DIMS),
    ],
    "offered": [Hand("published.fct_queue_visit", "enqueued_on", "count(*)::float8", LIVE, VISIT_DIMS)],
    "service_level": [
        Hand(
            "published.fct_queue_visit", "enqueued_on",
            "count(*) filter (where outcome = 'answered' and wait_s <= sl_s)::float8 / nullif(count(*) filter ("
            " where outcome in ('answered', 'overflow', 'timeout') or (outcome = 'abandoned' and not is_short_abandon)"
            "), 0)",
            LIVE, VISIT_DIMS,
        )
    ],
    "asa_s": [
        Hand(
            "published.fct_queue_visit", "enqueued_on",
            "(sum(wait_s) filter (where outcome = 'answered'))::float8"
            " / nullif(count(*) filter (where outcome = 'answered'), 0)",
            LIVE, VISIT_DIMS,
        )
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slice:
    """A metric of some business days `[since, until)`, by a dimension or by nothing."""

    metric: str
    dim: str | None
    since: date
    until: date

    @property
    def query(self) -> Query:
        """The slice as a question."""
        return Query([self.metric], by=[self.dim] if self.dim else [], since=self.since, until=self.until)

    def __str__(self) -> str:
        by = f" by {self.dim}" if self.dim else ""
        return f"{self.metric}{by} from {self.since} to {self.until}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two ways that do not come to the same number."""

    slice: Slice
    key: str | None
    one: tuple[str, float | None]
    other: tuple[str, float | None]

    def __str__(self) -> str:
        of = f" ({self.key})" if self.key is not None else ""
        (here, this), (there, that) = self.one, self.other
        return f"{self.slice}{of}: {here} says {this}, {there} says {that}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison came to: how many slices in how many ways, and where they differ."""

    slices: int
    ways: tuple[str, ...]
    differences: tuple[Difference, ...]


Way = Callable[[Slice], Awaitable[Figures]]


def compare(seed: int, *, now: datetime, each: int = 3) -> Report:
    """Compare random slices of every firm; publications wait meanwhile, so that all ways see the same one."""
    with warehouse.one_writer():
        return asyncio.run(_compare(seed, now=now, each=each))


async def _compare(seed: int, *, now: datetime, each: int) -> Report:
    random, reports = Random(seed), []
    try:
        for tenant in await tenancy.tenants():
            with warehouse.connect() as connection:
                slices = slices_of(connection, tenant, random, each=each)
                reports.append(await compare_slices(connection, tenant, slices, now=now))
    finally:
        await db.close()
    return Report(
        sum(one.slices for one in reports),
        tuple(sorted({way for one in reports for way in one.ways})),
        tuple(found for one in reports for found in one.differences),
    )


def slices_of(connection: psycopg.Connection, tenant: UUID, random: Random, *, each: int) -> list[Slice]:
    """Return random slices of every metric that has data: some days, by a dimension or by nothing."""
    slices = []
    for metric, hands in HANDS.items():
        first, last = _days(connection, tenant, hands[0])
        for _ in range(each if first else 0):
            since = first + timedelta(days=random.randrange((last - first).days + 1))
            until = since + timedelta(days=random.choice((1, 7, 30, (last - since).days + 1)))
            slices.append(Slice(metric, random.choice((None, *hands[0].dims)), since, until))
    return slices


def _days(connection: psycopg.Connection, tenant: UUID, hand: Hand) -> tuple[date, date]:
    if not _exists(connection, hand.relation):
        return cast(tuple[date, date], (None, None))
    asked = f"select min({hand.day}), max({hand.day}) from {hand.relation} where tenant_id = %s"
    return cast(tuple[date, date], connection.execute(cast(LiteralString, asked), (tenant,)).fetchone())


def _exists(connection: psycopg.Connection, relation: str) -> bool:
    return bool(connection.execute("select to_regclass(%s) is not null", (relation,)).fetchall()[0][0])


async def compare_slices(
    connection: psycopg.Connection,
    tenant: UUID,
    slices: Sequence[Slice],
    *,
    now: datetime,
    more: Mapping[str, Way] | None = None,
) -> Report:
    """Compare slices of a firm: what is kept for the API and dashboards, the same asked anew, BI views, SQL by hand.

    `more`: further ways by name.
    """
    differences: list[Difference] = []
    used: set[str] = set()
    for each in slices:
        found = {
            "the API": await asked(tenant, each, now=now),
            "the metric": await asked(tenant, each, now=now, fresh=True),
        }
        for hand in HANDS[each.metric]:
            if _exists(connection, hand.relation):
                found[f"SQL over {hand.relation}"] = by_hand(connection, tenant, each, hand)
        for name, way in (more or {}).items():
            found[name] = await way(each)
        used |= set(found)
        differences += _differences(each, found)
    return Report(len(slices), tuple(sorted(used)), tuple(differences))


async def asked(tenant: UUID, each: Slice, *, now: datetime, fresh: bool = False) -> Figures:
    """Return a slice as the API and the dashboards are answered; `fresh`: past what is kept."""
    answer = await db.run(Actor.system(tenant), lambda tx: query.ask(tx, each.query, now=now, fresh=fresh))
    return figures(each, answer.rows)


def figures(each: Slice, rows: Sequence[Mapping[str, Any]]) -> Figures:
    """Return the rows of an answer by the value of the slice's dimension."""
    return {row[each.dim] if each.dim else None: row[each.metric] for row in rows}


def by_hand(connection: psycopg.Connection, tenant: UUID, each: Slice, hand: Hand) -> Figures:
    """Return a slice by SQL that knows nothing of the semantic layer."""
    by = hand.dims[each.dim] if each.dim else "null"
    asked = (
        f"select {by}, {hand.value} from {hand.relation}"
        f" where tenant_id = %s and {hand.day} >= %s and {hand.day} < %s and {hand.where}"
        + (f" group by {by}" if each.dim else "")
    )
    rows = connection.execute(cast(LiteralString, asked), (tenant, each.since, each.until)).fetchall()
    return dict(rows)


def _differences(each: Slice, found: Mapping[str, Figures]) -> list[Difference]:
    (first, figures), *others = found.items()
    return [
        Difference(each, key, (first, figures.get(key)), (name, theirs.get(key)))
        for name, theirs in others
        for key in sorted({*figures, *theirs}, key=str)
        if not _same(figures.get(key), theirs.get(key))
    ]


def _same(one: float | None, other: float | None) -> bool:
    """Tell whether two values are the same; nothing counted and counted nothing are."""
    if not one or not other:
        return (one or 0) == (other or 0)
    return math.isclose(float(one), float(other), rel_tol=1e-9)
