"""Experiments by a KPI: the figure is the KPI's own, cycle by cycle and in sum."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import yaml

from crm import clock, db
from crm.experiments import counting, queries, readout, rules
from crm.experiments import operations as experiments
from crm.experiments.counting import Exposed
from crm.experiments.counts import Counts
from crm.experiments.readout import Readout
from crm.experiments.rules import Design, Split, Variant
from crm.leads import intake, statuses
from crm.leads.intake import NewLead
from crm.leads.rules import Status
from kpis import access, catalogue, compiler, project, query
from kpis import experiments as reading
from kpis.query import Query
from tests.conftest import NOW, Tenant
from tests.pipeline import Build

DAY = timedelta(days=1)
DESIGN = Design(
    "A shorter opening sells more", Split.script,
    (Variant("long", script="opening.long"), Variant("short", script="opening.short")),
)  # fmt: skip
STORIES: list[list[tuple[float, Status]]] = [
    [],
    [(10, Status.won)],
    [(90, Status.won)],
    [(90.001, Status.won)],
    [(5, Status.won), (19, Status.lost)],
    [(5, Status.won), (19.001, Status.lost)],
    [(89, Status.won), (103, Status.lost)],
    [(2, Status.qualified), (7, Status.lost)],
]
"""Days after the receipt at which a lead moves: never, in time, on the last day, too late, undone within 14 days,
undone too late, undone after the 90 days, lost."""


async def expose(tenant: Tenant, variant: str, story: list[tuple[float, Status]], at: datetime, **more: Any) -> None:
    """Let a lead live a story in a variant, which its platform names."""
    new = NewLead(source="api", platform=variant, **more)
    lead = (await db.run(tenant.system, lambda tx: intake.create(tx, new, now=at))).lead_id
    await db.run(
        tenant.system, lambda tx: counting.count(tx, [Exposed("opening", variant, lead, at)], now=at)
    )  # fmt: skip
    for day, to in story:
        moved = at + timedelta(days=day)
        await db.run(
            tenant.admin, lambda tx, to=to, moved=moved: statuses.change_status(tx, lead, to, is_told=True, now=moved)
        )


async def read_out(tenant: Tenant, as_of: datetime) -> Readout:
    async def work(tx: db.Tx) -> Readout:
        return await reading.read_out(tx, await queries.by_key(tx, "opening"), as_of=as_of)

    return await db.run(tenant.analyst, work)


async def kpi(tenant: Tenant) -> dict[str, float]:
    """Return the KPI of each platform, as anybody may ask for it."""
    asked = Query(["conversion_rate"], by=["platform"])
    answer = await db.run(tenant.analyst, lambda tx: query.ask(tx, asked, now=clock.utc_now()))
    return {row["platform"]: row["conversion_rate"] for row in answer.rows}


class TestReadOut:
    async def test_says_what_the_kpi_says_of_the_same_leads(
        self, build: Build, tenant: Tenant, other_tenant: Tenant
    ) -> None:
        random, began = Random(7), clock.utc_now() - 250 * DAY
        for firm in (tenant, other_tenant):
            made = await db.run(
                firm.admin, lambda tx: experiments.create(tx, key="opening", design=DESIGN, now=began)
            )  # fmt: skip
            await db.run(firm.admin, lambda tx, made=made: experiments.start(tx, made, now=began))
        before = await read_out(tenant, clock.utc_now())
        for variant, extra in (("long", 0), ("short", 4)):
            for story in [*STORIES, *([[(1, Status.won)]] * extra)]:
                await expose(tenant, variant, story, began + random.random() * 30 * DAY)
        await expose(tenant, "short", [(1, Status.won)], began, is_test=True)
        await expose(other_tenant, "short", [(1, Status.won)], began)
        await build("--select", "tag:leads", "--indirect-selection", "cautious")

        said = await read_out(tenant, clock.utc_now())
        early = await read_out(tenant, began + 60 * DAY)
        asked = await kpi(tenant)

        assert (before.outcomes_as_of, before.variants[1].verdict) == (None, "nothing_decided")
        assert {each.key: each.rate for each in said.variants} == asked
        assert [(each.exposures, each.decided, each.decided_conversions) for each in said.variants] == [
            (8, 8, 3), (12, 12, 7),
        ]  # fmt: skip
        assert [(each.exposures, each.decided) for each in early.variants] == [(8, 0), (12, 0)]
        assert said.outcomes_as_of == (await db.run(tenant.analyst, query.published_at))


class TestTold:
    """Of each variant: how many were exposed, how many outcomes are final, how many of them conversions."""

    def said(self, *counts: tuple[int, int, int], floor: int = access.FLOOR) -> Readout:
        design = replace(DESIGN, variants=tuple(Variant(f"v{n}", script=f"s{n}") for n in range(len(counts))))
        found = [Counts(exposed, decided, won, won) for exposed, decided, won in counts]
        return reading.told(
            readout.reading(SimpleNamespace(design=design), found, as_of=NOW, outcomes_as_of=NOW), floor=floor
        )  # fmt: skip

    def test_tells_all_of_many_and_everything_to_who_sees_people(self) -> None:
        many, few = [(40, 30, 9), (38, 29, 12)], [(4, 3, 1), (38, 29, 12)]

        assert self.said(*many) == self.said(*many, floor=0)
        assert [each.exposures for each in self.said(*few, floor=0).variants] == [4, 38]
        assert not any(each.is_suppressed for each in self.said((0, 0, 0), (0, 0, 0)).variants), "nobody is no person"

    def test_tells_nothing_of_few_nor_of_whoever_gives_them_away(self) -> None:
        two, three = self.said((40, 30, 9), (4, 4, 1)), self.said((40, 30, 9), (4, 4, 1), (9, 8, 2))

        assert [each.exposures for each in two.variants] == [None, None]
        assert [each.exposures for each in three.variants] == [40, None, None]
        assert two.ratio_p_value is None
        assert [each.sentence and each.sentence["en"] for each in two.variants] == [
            None, "Nothing is told of v1: fewer than five make it, or what it is compared with.",
        ]  # fmt: skip

    def test_tells_no_outcome_of_few(self) -> None:
        said = self.said((40, 30, 9), (38, 3, 1), (37, 29, 8))
        of_control = self.said((40, 3, 1), (38, 4, 1), (37, 29, 8))

        assert [(each.exposures, each.decided, each.rate) for each in said.variants] == [
            (40, 30, 0.3), (38, None, None), (37, None, None),
        ]  # fmt: skip
        assert [each.decided for each in of_control.variants] == [None, None, 29]
        assert [each.difference for each in of_control.variants] == [None, None, None]
        assert [each.is_suppressed for each in of_control.variants] == [True, True, True]


class TestKpis:
    def test_of_experiments_are_shares_of_cycles_with_the_windows_of_the_project(self, parsed: object) -> None:
        known = catalogue.definitions()
        variables = yaml.safe_load((project.FOLDER / "dbt_project.yml").read_text())["vars"]

        for name, window in rules.KPIS.items():
            meta = known[name].meta
            assert meta["unit"] == "share"
            assert window == meta["maturity_days"] == variables["conversion_window_days"]
            assert meta["final_days"] == window + variables["cancellation_days"]
            sql = compiler.compile_cycles_sql(name)
            assert "$1" in sql
            assert "__value" not in sql
