"""Definitions that were published once: kept for good under their hash, so that they can be asked for again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import asyncpg

from crm import errors
from crm.db import Tx
from kpis import catalogue
from kpis.catalogue import Definition

KEEP = """
insert into ops.kpi_definition (metric, hash, part, cuts, first_published_at)
values (%s, %s, %s, %s, clock_timestamp()) on conflict (metric, hash) do nothing
"""
"""For the pipeline's driver: keeps what `rows` yields, once."""


class NoSuchDefinition(errors.NotFound):
    """No definition was ever published under this hash."""

    code = "kpi.no-such-definition"


class Outlived(errors.Gone):
    """What this definition reads is no longer kept."""

    code = "kpi.definition-outlived"


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield metric, hash, part of the manifest and what it can be cut by, of every public metric as it is now."""
    for item in catalogue.public():
        cuts = {"dimensions": [catalogue.asdict(one) for one in item.dimensions.values()], "domains": item.domains}
        yield item.name, item.hash, json.dumps(item.part), json.dumps(cuts)


async def get(tx: Tx, metric: str, wanted: str) -> Definition:
    """Return the definition of a metric that has a hash: the present one, or one published before.

    Who may be told of it follows from the present section: what has become others' business stays so under old names.

    :raises NoSuchDefinition: when that metric was never published under that hash.
    """
    present = catalogue.definitions()[metric]
    if present.hash == wanted:
        return present
    row = await tx.fetchrow(
        "select metric, hash, part, cuts from ops.kpi_definition where metric = $1::text and hash = $2::text",
        metric, wanted,
    )  # fmt: skip
    if row is None:
        raise NoSuchDefinition(
            f"{metric} was never published under the definition {wanted}", fields={"definitions": f"unknown: {wanted}"}
        )
    found = _defined(metric, row["part"], row["cuts"])
    return replace(found, meta={**found.meta, "section": present.section})


@lru_cache(maxsize=64)
def _defined(metric: str, part: str, cuts: str) -> Definition:
    return catalogue.defined(json.loads(part), metric, json.loads(cuts))


def outlived(items: list[Definition], error: asyncpg.PostgresError) -> Outlived:
    """Return the refusal for definitions whose columns or tables are gone."""
    names = ", ".join(f"{item.name} {item.hash}" for item in items)
    return Outlived(f"what the definition {names} reads is no longer kept: {error}", fields={"definitions": "outlived"})
