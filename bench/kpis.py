"""Asking for metrics: cold and warm compiles, and 20 analysts at once, uncached and cached.

The leads are stored and built by the product itself; each analyst asks questions of their own, then all of them again.
Set BENCH_LEADS and BENCH_QUESTIONS for other sizes.
"""

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

from bench import imports, product, report
from crm import clock, db
from crm.actor import Actor
from crm.imports import mapping
from kpis import answers, catalogue, compiler, manifest, query
from kpis.access import Scope
from kpis.query import Query
from orchestration import publishing, transform

LEADS = int(os.environ.get("BENCH_LEADS", "20000"))
ANALYSTS = 20
QUESTIONS = int(os.environ.get("BENCH_QUESTIONS", "5"))
COMPILE_MS, CACHED_S, UNCACHED_S = 150.0, 0.3, 1.5
ASKED = ("conversion_rate", "speed_to_lead_s", "funnel_reached")
DIMS = ("platform", "campaign", "form", "source")


def main() -> None:
    """Print the figures."""
    with product.database():
        _compiles()
        asyncio.run(_analysts(_published().admin))


def _compiles() -> None:
    """Compile every public metric once, cold: its part of the manifest, the engine over it, the statement."""
    catalogue.definitions()
    items = catalogue.public()
    _compile(items[0])  # the first pays for the imports, as the process's start does
    for kept in (manifest.part_of, answers._counted, compiler._engine, compiler._compiled):
        kept.cache_clear()
    began = time.process_time()
    manifest.whole.cache_clear()
    manifest.whole()
    read = (time.process_time() - began) * 1000
    spent = [read + _compile(item) for item in items]
    report.figure("cold compile of a metric, ms of CPU", spent, COMPILE_MS, at_least=False)
    report.remark(
        f"{len(items)} metrics; 95 of 100 within {report.percentile(spent, 0.95):.0f} ms, the manifest {read:.0f}"
    )


def _compile(item: catalogue.Definition) -> float:
    began = time.process_time()
    wanted = Query([item.name], grain="day")
    (statement,) = answers.statements([item], wanted, Scope())
    statement.sql(wanted, compiler.READ)
    return (time.process_time() - began) * 1000


async def _import_leads() -> product.Firm:
    firm = await product.make_firm()
    await imports._import(firm.admin, imports._file(LEADS), mapping.parse(imports.PLAN), LEADS)
    await db.close()
    return firm


def _published() -> product.Firm:
    """Import the leads, build what is made of them, and publish it."""
    firm = asyncio.run(_import_leads())
    built = list(transform.run([*transform.BUILD, "--select", "tag:leads", "--indirect-selection", "cautious"]))
    publishing.publish_at_hand({node.node_name for node, _ in built})
    return firm


async def _analysts(actor: Actor) -> None:
    try:
        await _ask(actor, ANALYSTS, 0)
        query.kept.clear()
        uncached = await _round(actor)
        cached = await _round(actor)
    finally:
        await db.close()
    report.figure("uncached question p95, s", [report.percentile(uncached, 0.95)], UNCACHED_S, at_least=False)
    report.figure("cached question p95, s", [report.percentile(cached, 0.95)], CACHED_S, at_least=False)
    report.remark(f"{ANALYSTS} analysts at once, {QUESTIONS} questions each, {LEADS} leads, one process")


async def _round(actor: Actor) -> list[float]:
    """Let every analyst ask all questions, one after the other, all analysts at once; return the seconds of each."""

    async def one(who: int) -> list[float]:
        return [await _ask(actor, who, number) for number in range(QUESTIONS)]

    return [seconds for found in await asyncio.gather(*(one(who) for who in range(ANALYSTS))) for seconds in found]


async def _ask(actor: Actor, who: int, number: int) -> float:
    wanted = _question(who, number)
    began = time.monotonic()
    await db.run(actor, lambda tx: query.ask(tx, wanted, now=clock.utc_now()))
    return time.monotonic() - began


def _question(who: int, number: int) -> Query:
    """Return a question that nobody else asks: other days for each analyst."""
    until = clock.utc_now().date() + timedelta(days=1 + who)
    how: dict[str, Any] = {"by": [DIMS[number % len(DIMS)]], "since": until - timedelta(days=365), "until": until}
    return Query([ASKED[number % len(ASKED)]], **how)
