"""One number everywhere: what the API answers, what dashboards show, what BI tools see, and SQL by hand, on slices.

The SQL (`orchestration.hands`) knows nothing of the semantic layer: that two ways come to the same number is what this
shows. Slices are drawn by a seed, so that the same publication is looked at again in the same places.
"""

import asyncio
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg

from crm import db, ids, tenancy
from crm.actor import Actor
from crm.users import rules
from kpis import query
from kpis.access import FLOOR
from orchestration import looking, slices, warehouse
from orchestration.hands import Place
from orchestration.slices import Figures, Key, Slice, exists

API, ANEW, DASHBOARDS, ANALYST = "the API", "the metric asked anew", "the dashboards", "the API to an analyst"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two ways that do not come to the same number, or a number that is told although too few made it."""

    firm: str
    slice: Slice
    key: Key
    one: tuple[str, float | None]
    other: tuple[str, float | None]
    made_by: int | None = None
    """How few made it, where it should not have been told."""

    def __str__(self) -> str:
        of = f" ({', '.join(str(each) for each in self.key)})" if self.key else ""
        (here, this), (there, that) = self.one, self.other
        if self.made_by is not None:
            return f"{self.firm}, {self.slice}{of}: {there} tells {_said(that)}, though only {self.made_by} made it"
        return f"{self.firm}, {self.slice}{of}: {here} says {_said(this)}, {there} says {_said(that)}"


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.12g}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison came to: how many slices of which metrics in how many ways, and where they differ."""

    seed: int
    slices: int
    metrics: frozenset[str] = frozenset()
    ways: Mapping[str, int] = field(default_factory=dict)
    """How many slices were asked in each way."""
    differences: tuple[Difference, ...] = ()
    not_asked: tuple[str, ...] = ()
    """Ways that could not be asked, and why."""

    def and_(self, other: "Report") -> "Report":
        """Return both in one."""
        ways = {name: self.ways.get(name, 0) + other.ways.get(name, 0) for name in sorted({*self.ways, *other.ways})}
        return Report(
            self.seed, self.slices + other.slices, self.metrics | other.metrics, ways,
            self.differences + other.differences, tuple(dict.fromkeys(self.not_asked + other.not_asked)),
        )  # fmt: skip


def compare(seed: int, *, now: datetime, each: int = 3, metrics: Collection[str] = ()) -> Report:
    """Compare random slices of every firm; publications wait while one is compared, so that all ways see the same.

    `each`: how many slices of every metric that has data; `metrics`: of these only.
    """

    async def work() -> Report:
        try:
            return await _compare(seed, now=now, each=each, metrics=metrics)
        finally:
            await db.close()

    return asyncio.run(work())


async def _compare(seed: int, *, now: datetime, each: int, metrics: Collection[str]) -> Report:
    found = Report(seed, 0)
    with warehouse.connect() as connection:
        for tenant in await tenancy.tenants():
            with warehouse.one_writer():
                drawn = slices.draw(connection, tenant, seed, each=each, metrics=metrics)
                found = found.and_(await compare_slices(connection, tenant, drawn.slices, now=now, seed=seed))
                found = found.and_(Report(seed, 0, not_asked=tuple(drawn.left_out)))
    return found


async def compare_slices(
    connection: psycopg.Connection, tenant: UUID, chosen: Sequence[Slice], *, now: datetime, seed: int = 0
) -> Report:
    """Compare slices of a firm in all ways: the API's answer at hand and anew, dashboards, BI views, SQL by hand.

    An analyst may see no figure that few made: what is told must be the same, and made by enough.
    """
    firm = connection.execute("select slug from crm.tenant where tenant_id = %s", (tenant,)).fetchall()[0][0]
    shown, why_not = await looking.at_dashboards(tenant, [each.query for each in chosen], now=now)
    differences: list[Difference] = []
    ways: dict[str, int] = {}
    for place, each in enumerate(chosen):
        found = await _ways(connection, tenant, each, now=now)
        if shown is not None:
            found[DASHBOARDS] = each.figures(shown[place])
        told = await _to_an_analyst(tenant, each, now=now)
        for name in (*found, ANALYST):
            ways[name] = ways.get(name, 0) + 1
        differences += _differences(firm, each, found)
        differences += _wrongly_told(firm, each, found[API], told, _made_by(connection, tenant, each))
    metrics = frozenset(each.metric for each in chosen)
    return Report(
        seed, len(chosen), metrics, ways, tuple(differences), (f"{DASHBOARDS}: {why_not}",) if why_not else ()
    )


async def _ways(connection: psycopg.Connection, tenant: UUID, each: Slice, *, now: datetime) -> dict[str, Figures]:
    system = Actor.system(tenant)
    found = {
        API: each.figures(await _asked(system, each, now=now)),
        ANEW: each.figures(await _asked(system, each, now=now, fresh=True)),
    }
    for place in each.hand.places:
        if each.by == tuple(name for name in each.by if name in place.dims) and exists(connection, place):
            found[f"SQL over {place.name}"] = by_hand(connection, tenant, each, place, each.hand.in_place(place))
    return found


async def _asked(actor: Actor, each: Slice, *, now: datetime, fresh: bool = False) -> list[dict[str, Any]]:
    """Return a slice's rows as somebody is answered; `fresh`: past what is kept."""
    return (await db.run(actor, lambda tx: query.ask(tx, each.query, now=now, fresh=fresh))).rows


async def _to_an_analyst(tenant: UUID, each: Slice, *, now: datetime) -> Figures:
    """Return what somebody who may see no person is told; what is hidden from them is left out."""
    roles = [rules.Role.analyst]
    actor = Actor(tenant, ids.new(), None, frozenset(roles), rules.permissions_of(roles))
    rows = await _asked(actor, each, now=now)
    return {key: value for key, value in each.figures(rows).items() if value is not None}


def by_hand(connection: psycopg.Connection, tenant: UUID, each: Slice, place: Place, value: str) -> Figures:
    """Return a slice of a value by SQL that knows nothing of the semantic layer."""
    period = [f"date_trunc('{each.grain}', {place.day})::date::text"] if each.grain else []
    keys = [*period, *(place.dims[name] for name in each.by)]
    asked = (
        f"select {', '.join([*keys, value])} from {place.relation}"
        f" where tenant_id = %s and {place.day} >= %s and {place.day} < %s and {place.where}"
        + (f" group by {', '.join(str(n) for n in range(1, len(keys) + 1))}" if keys else "")
    )
    rows = connection.execute(cast(LiteralString, asked), (tenant, each.since, each.until)).fetchall()
    return {tuple(keys): found for *keys, found in rows}


def _made_by(connection: psycopg.Connection, tenant: UUID, each: Slice) -> Figures:
    """Return how many made each figure, where a dimension could single somebody out."""
    if not each.by or each.hand.made_by is None:
        return {}
    return by_hand(connection, tenant, each, each.hand.places[0], each.hand.made_by)


def _differences(firm: str, each: Slice, found: Mapping[str, Figures]) -> Iterator[Difference]:
    (first, figures), *others = found.items()
    for name, theirs in others:
        for key in sorted({*figures, *theirs}, key=str):
            if not _same(figures.get(key), theirs.get(key), each.hand.is_count):
                yield Difference(firm, each, key, (first, figures.get(key)), (name, theirs.get(key)))


def _wrongly_told(firm: str, each: Slice, figures: Figures, told: Figures, made_by: Figures) -> Iterator[Difference]:
    for key, value in sorted(told.items(), key=str):
        both = (API, figures.get(key)), (ANALYST, value)
        if not _same(figures.get(key), value, each.hand.is_count):
            yield Difference(firm, each, key, *both)
        if 0 < (made_by.get(key) or 0) < FLOOR:
            yield Difference(firm, each, key, *both, made_by=int(made_by[key] or 0))


def _same(one: float | None, other: float | None, is_count: bool) -> bool:
    """Tell whether two values are the same: to nine digits, and no value is no zero, but where things are counted."""
    if one is None or other is None:
        return one is other or (is_count and not one and not other)
    return math.isclose(float(one), float(other), rel_tol=1e-9)
