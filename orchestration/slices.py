"""Slices of the metrics: some days, by something, in some grain; drawn by a seed, where they can be worked out by hand.

The table of a metric may be made of other domains' tables, as they were when it was made. Where those have been
published again since, by hand it can be worked out on the days of which no row has changed: a row says which
transaction it follows from.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from random import Random
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg

from kpis import catalogue
from kpis.query import Grain, Query
from orchestration import relations
from orchestration.hands import HANDS, Hand, Place

Key = tuple[str | None, ...]
"""The period, where there is a grain, and the values of the dimensions."""
Figures = dict[Key, float | None]
"""Of a metric, by period and values of dimensions; a metric by nothing stands under the empty key."""
GRAINS: Sequence[Grain | None] = (None, None, "day", "week", "month")
TRIES = 20
"""So many times days are drawn for one slice until there are some of which nothing has changed."""

# Of a domain since another was made: how many rows publications moved, up to which transaction it had read then, and
# whether the firm is shown less of it than that (its gate is closed).
SINCE = """
select sum(log.rows_gone + log.rows_come) filter (where not was_read),
       max(log.tx_id::text::bigint) filter (where was_read),
       bool_or(was_read and log.as_of > shown.as_of)
  from ops.publication own
  join ops.publication shown on shown.tenant_id = own.tenant_id and shown.domain = %(other)s
  join ops.publication_log log on log.domain = shown.domain
 cross join lateral (select log.published_at <= own.as_of or log.as_of = own.as_of) as reading (was_read)
 where own.tenant_id = %(tenant)s and own.domain = %(own)s
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """A metric of the business days `[since, until)`, by a dimension or by nothing, by a grain of time or whole."""

    metric: str
    dim: str | None
    since: date
    until: date
    grain: Grain | None = None

    @property
    def hand(self) -> Hand:
        """The metric by hand."""
        return HANDS[self.metric]

    @property
    def by(self) -> tuple[str, ...]:
        """Every dimension it is told by."""
        return tuple(dict.fromkeys([*([self.dim] if self.dim else []), *self.hand.always]))

    @property
    def query(self) -> Query:
        """The slice as a question."""
        by = [self.dim] if self.dim else []
        return Query([self.metric], by=by, grain=self.grain, since=self.since, until=self.until)

    def figures(self, rows: Sequence[Mapping[str, Any]]) -> Figures:
        """Return the rows of an answer by their keys."""
        keys = (*(["metric_time"] if self.grain else []), *self.by)
        return {tuple(row[key] for key in keys): row[self.metric] for row in rows if self.metric in row}

    def __str__(self) -> str:
        by = "".join(f" by {name}" for name in (self.dim, self.grain) if name)
        return f"{self.metric}{by} from {self.since} to {self.until}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Slices to look at, and the metrics that have data of which none could be drawn, with why."""

    slices: Sequence[Slice]
    left_out: Sequence[str] = ()


def draw(connection: psycopg.Connection, tenant: UUID, seed: int, *, each: int, metrics: Collection[str] = ()) -> Drawn:
    """Return random slices of every metric of a firm that has data, or of some metrics."""
    slices: list[Slice] = []
    left_out: list[str] = []
    for metric in [name for name in HANDS if not metrics or name in metrics]:
        place = HANDS[metric].places[0]
        first, last = _days(connection, tenant, place)
        if not first:
            continue
        still_below = known_below(connection, tenant, metric)
        tried = islice(_random(metric, seed, first, last), each * TRIES)
        found = list(islice((one for one in tried if _is_still(connection, tenant, one, still_below)), each))
        slices += found
        if not found:
            left_out.append(f"{metric}: what it is made of is published as of another instant, and differs on all days")
    return Drawn(slices, left_out)


def _random(metric: str, seed: int, first: date, last: date) -> Iterator[Slice]:
    random = Random(f"{seed} {metric}")
    while True:
        since = first + timedelta(days=random.randrange((last - first).days + 1))
        until = since + timedelta(days=random.choice((1, 7, 30, (last - since).days + 1)))
        dim = random.choice((None, *HANDS[metric].places[0].dims))
        yield Slice(metric, dim, since, until, random.choice(GRAINS))


def known_below(connection: psycopg.Connection, tenant: UUID, metric: str) -> int | None:
    """Return the transaction below which rows of other domains are as the table of a metric was made of them; None:
    all rows are; 0: nobody knows of which.
    """
    own, read = _domains(metric)
    found = []
    for other in read - own:
        for domain in own:
            given = {"tenant": tenant, "own": domain, "other": other}
            moved, known, is_held = connection.execute(SINCE, given).fetchall()[0]
            found += [0] if is_held else [known or 0] if moved else []
    return min(found, default=None)


def _domains(metric: str) -> tuple[set[str], set[str]]:
    """Return the domains that the answer to a metric is read from, and those that are read by hand.

    A view reads what is published now, so it is no older than what it is made of.
    """
    known = {f"{relations.SHOWN}.{each.name}": each for each in relations.all_relations()}
    models = catalogue.definitions()[metric].part["semantic_models"]
    facts = [known[f"{relations.SHOWN}.{model['node_relation']['alias']}"] for model in models]
    own = {domain for each in facts for domain in ({each.domain, *each.reads} if each.is_view else {each.domain})}
    return own, {known[name].domain for name in HANDS[metric].places[0].reads if name in known}


def _is_still(connection: psycopg.Connection, tenant: UUID, one: Slice, below: int | None) -> bool:
    """Tell whether no row of the days of a slice follows from a transaction that its metric may not have seen."""
    place = one.hand.places[0]
    if below is None:
        return True
    if place.moved_by is None:
        return False
    asked = (
        f"select coalesce(max({place.moved_by}), 0) < %s from {place.relation}"
        f" where tenant_id = %s and {place.day} >= %s and {place.day} < %s and {place.where}"
    )
    [(is_still,)] = connection.execute(cast(LiteralString, asked), (below, tenant, one.since, one.until)).fetchall()
    return bool(is_still)


def _days(connection: psycopg.Connection, tenant: UUID, place: Place) -> tuple[date, date]:
    nothing = cast(tuple[date, date], (None, None))
    if not exists(connection, place):
        return nothing
    asked = f"select min({place.day}), max({place.day}) from {place.relation} where tenant_id = %s and {place.where}"
    return cast(tuple[date, date], connection.execute(cast(LiteralString, asked), (tenant,)).fetchone()) or nothing


def exists(connection: psycopg.Connection, place: Place) -> bool:
    """Tell whether all that a place reads is published."""
    return all(
        connection.execute("select to_regclass(%s) is not null", (name,)).fetchall()[0][0] for name in place.reads
    )
