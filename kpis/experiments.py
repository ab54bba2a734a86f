"""Reading experiments: what a KPI says of the lead cycles that were exposed, or what an event of theirs says."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from crm.db import Tx
from crm.experiments import counts, queries, readout
from crm.experiments.counts import Counts, Cycle
from crm.experiments.queries import Experiment
from crm.experiments.readout import Readout, VariantReading
from kpis import access, catalogue, compiler, query, suppression

COMPARED = ("difference", "p_value", "verdict", "sentence")
OUTCOMES = ("decided", "decided_conversions", "rate", *COMPARED)
FIGURES = ("exposures", "conversions", *OUTCOMES)
WITHHELD = {
    "tr": "{variant} için bir şey gösterilmiyor: kendisi ya da karşılaştırıldığı, beşten az başvuruya dayanıyor.",
    "en": "Nothing is told of {variant}: fewer than five make it, or what it is compared with.",
}


async def read_out(tx: Tx, experiment: Experiment, *, as_of: datetime) -> Readout:
    """Return what an experiment says at an instant (UTC), as far as the transaction's actor may know.

    A KPI's outcomes are those it has published: before the first run of the pipeline nothing is decided. Outcomes that
    were final at an earlier instant are what they were; `conversions`, which are not, are as the KPI has them now.
    """
    if experiment.design.event is not None:
        found, known = await queries.counts(tx, experiment, as_of=as_of), as_of
    else:
        found, known = await _counts(tx, experiment, as_of=as_of)
    said = readout.reading(experiment, found, as_of=as_of, outcomes_as_of=known)
    return told(said, floor=access.floor_of(tx.actor))


def told(said: Readout, *, floor: int) -> Readout:
    """Return what may be told of a readout to who is told of no fewer than `floor`: nothing of variants that fewer
    units make, no outcome of variants in which fewer have one, and nothing from which either could be reckoned."""
    few = _few([each.exposures or 0 for each in said.variants], floor)
    open_ = few | _few([each.decided or 0 for each in said.variants], floor)
    if not open_:
        return said
    variants = [
        _without(each, FIGURES if place in few else OUTCOMES if place in open_ else COMPARED if 0 in open_ else ())
        for place, each in enumerate(said.variants)
    ]
    return replace(said, variants=variants, ratio_p_value=None if few else said.ratio_p_value)


def _few(counts: list[int], floor: int) -> set[int]:
    return suppression.hidden(counts, [range(len(counts))], floor=floor)


def _without(variant: VariantReading, names: tuple[str, ...]) -> VariantReading:
    if not names:
        return variant
    why = {language: text.format(variant=variant.key) for language, text in WITHHELD.items()}
    silent = dict.fromkeys(names) | {"sentence": why if variant.sentence else None}
    return replace(variant, **silent, is_suppressed=True)  # type: ignore[arg-type]


async def _counts(tx: Tx, experiment: Experiment, *, as_of: datetime) -> tuple[list[Counts], datetime | None]:
    design = experiment.design
    exposed = await queries.exposures(tx, experiment, as_of=as_of)
    published = await query.published_at(tx)
    if published is None:
        cycles, final = [], timedelta()
    else:
        cycles = await cycles_of(tx, design.metric, {each.lead_id for each in exposed})
        final = await final_after(design.metric)
    known = min(as_of, published or as_of)
    return counts.tally(
        exposed, cycles, variants=len(design.variants), final_after=final, known_until=known
    ), published  # fmt: skip


async def final_after(metric: str) -> timedelta:
    """Return how long after a cycle began a metric cannot change for it any more."""
    known = await compiler.apart(catalogue.definitions)
    return timedelta(days=known[metric].meta["final_days"])


async def cycles_of(tx: Tx, metric: str, leads: Collection[UUID]) -> list[Cycle]:
    """Return every cycle of some leads with what a metric, which is a share of cycles, says of it alone."""
    sql = await compiler.apart(compiler.compile_cycles_sql, metric)
    await tx.execute(f"set local statement_timeout to '{query.LONGEST_S}s'")
    return [_cycle(row, metric) for row in await tx.fetch(sql, list(leads))]


def _cycle(row: asyncpg.Record, metric: str) -> Cycle:
    """Return a cycle of the answer. A share of one is nothing or all."""
    began = datetime.fromtimestamp(float(row["latest_received"]), UTC)
    return Cycle(row["lead"], began, row[metric] == 1)
