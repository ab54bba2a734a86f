"""Asking for metrics: cold compiles of every metric, and 20 analysts at once over HTTP, uncached and cached.

The events of the leads are written set-based, for this purpose only, and built and published by the product. Each
analyst asks questions that nobody else asks, of a month and of nearly the whole year, all analysts at once and without
a pause between two questions; then all of them again. The API is one process, as production runs it. Set BENCH_LEADS
and BENCH_QUESTIONS for other sizes.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import psycopg

from bench import http_load, marts, product, report
from crm import ids
from crm.users import tokens
from kpis import answers, catalogue, compiler, manifest
from kpis.access import FLOOR, Scope
from kpis.query import Query
from orchestration import publishing, transform

LEADS = int(os.environ.get("BENCH_LEADS", "200000"))
QUESTIONS = int(os.environ.get("BENCH_QUESTIONS", "8"))
ANALYSTS = 20
ROUNDS = 5
COMPILE_MS, CACHED_S, UNCACHED_S = 150.0, 0.3, 1.5
ASKED = (
    (["conversion_rate"], "platform"), (["speed_to_lead_s"], "campaign"), (["funnel_reached"], "form"),
    (["first_response_s"], "platform"), (["stage_conversion"], "campaign"), (["time_to_contact_s"], "form"),
    (["conversion_rate", "duplicate_rate", "reassignment_rate"], "campaign"), (["ingestion_lag_s"], "source"),
)  # fmt: skip
"""Metrics, and what they are cut by; every other question is also by week."""
FIRST, LAST = date(2025, 1, 1), date(2026, 1, 1)
"""The days on which the leads came."""
SPANS = {"month": 30, "year": 345}
"""Of how many days people ask: boards open on a month."""


def main() -> None:
    """Print the figures."""
    with product.database() as url:
        _compiles()
        firm = _published(url)
        _analysts(firm)


def _compiles() -> None:
    """Compile every public metric, cold each time: its part of the manifest, the engine over it, the statement."""
    catalogue.definitions()
    items = catalogue.public()
    _compile(items[0])  # the first pays for the imports, as the process's start does
    spent = {item.name: [_compile(item) for _ in range(ROUNDS)] for item in items}
    slowest = max(spent, key=lambda name: report.median_of(spent[name]))
    typical = report.median_of([report.median_of(each) for each in spent.values()])
    report.figure("cold compile, slowest metric, ms of CPU", spent[slowest], COMPILE_MS, at_least=False)
    report.remark(f"{len(items)} metrics; the slowest is {slowest}, half of them within {typical:.0f} ms")


def _compile(item: catalogue.Definition) -> float:
    for kept in (manifest.part_of, answers._counted, compiler._engine, compiler._compiled):
        kept.cache_clear()
    began = time.process_time()
    manifest.part_of(item.name)
    wanted = Query([item.name], grain="day")
    (statement,) = answers.statements([item], wanted, Scope(floor=FLOOR))
    statement.sql(wanted, compiler.READ)
    return (time.process_time() - began) * 1000


def _published(url: str) -> product.Firm:
    """Let the leads happen, build what is made of them, and publish it."""
    firm = product.run(product.make_firm())
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(marts.EVENTS, {"tenant": firm.tenant_id, "user": firm.user_id, "team": firm.team_id, "first": 1,
                                     "last": LEADS, "days": (LAST - FIRST).days, "leads": LEADS,
                                     "activities": marts.ACTIVITIES})  # fmt: skip
        owner.execute("vacuum analyze crm.event_log")
    select = ["--select", "tag:leads", "--exclude-resource-type", "test"]
    built = list(transform.run([*transform.BUILD, *select]))
    publishing.publish_at_hand({node.node_name for node, _ in built})
    return firm


def _analysts(firm: product.Firm) -> None:
    """Let all analysts ask at once, each as somebody, of months and of the year; then the same again."""
    people = [_analyst(firm) for _ in range(ANALYSTS)]
    with product.api() as port:
        first = http_load.run(port, [_request(people[0], ["offered"], "queue", FIRST, LAST, None)], clients=1)
        for name, days in SPANS.items():
            asked = [_request(people[who], *question) for who, question in _questions(days)]
            uncached = _run(port, asked)
            cached = [_run(port, asked) for _ in range(ROUNDS)]
            slow = report.percentile(uncached.latencies, 0.95)
            report.figure(f"/kpis/query of a {name}, uncached p95, s", [slow], UNCACHED_S, at_least=False)
            quick = [report.percentile(each.latencies, 0.95) for each in cached]
            report.figure(f"/kpis/query of a {name}, cached p95, s", quick, CACHED_S, at_least=False)
            report.remark(f"{uncached.rate:.0f} and {cached[0].rate:.0f} answers a second")
    report.remark(
        f"{ANALYSTS} analysts at once, {QUESTIONS} questions each, over {LEADS:,} lead cycles of a year; one process;"
        f" its first answer took {first.latencies[0]:.1f} s"
    )


def _analyst(firm: product.Firm) -> str:
    now = datetime.now(UTC)
    return tokens.issue(tenant=firm.tenant_id, user=ids.new(), team=firm.team_id, roles=["analyst"], now=now)


def _run(port: int, asked: Sequence[bytes]) -> http_load.Load:
    load = http_load.run(port, asked, clients=ANALYSTS)
    assert not load.refused, f"{load.refused} questions were refused"
    return load


def _questions(days: int) -> Iterator[tuple[int, tuple[list[str], str, date, date, str | None]]]:
    """Yield who asks what as they come: the first of everybody, then the second. Other days for each analyst."""
    for number in range(QUESTIONS):
        metrics, by = ASKED[number % len(ASKED)]
        for who in range(ANALYSTS):
            since = FIRST + (LAST - FIRST - timedelta(days=days)) * who / ANALYSTS
            since, grain = since + timedelta(days=number), "week" if number % 2 else None
            yield who, (metrics, by, since, min(since + timedelta(days=days), LAST), grain)


def _request(token: str, metrics: list[str], by: str, since: date, until: date, grain: str | None) -> bytes:
    question = {"metrics": metrics, "by": [by], "from": str(since), "to": str(until), "grain": grain}
    return http_load.request("POST", "/kpis/query", token=token, body=json.dumps(question).encode())


if __name__ == "__main__":
    main()
