"""Metrics against numbers worked out by hand, and questions that must not get through."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from crm import clock, db, errors
from crm.actor import Actor
from kpis import catalogue, query
from kpis.query import Answer, Filter, Query
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.dbt_project.measuring import holds
from tests.pipeline import Build


async def ask(actor: Actor, *metrics: str, **how: Any) -> Answer:
    return await db.run(actor, lambda tx: query.ask(tx, Query(metrics, **how), now=clock.utc_now()))


def by(rows: Sequence[dict[str, Any]], key: str, metric: str) -> dict[Any, Any]:
    return {row[key]: row[metric] for row in rows}


class TestAsk:
    async def test_answers_the_golden_numbers(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await golden.play(tenant)
        await golden.Desk(other_tenant).lead("meta")
        await build("--select", "tag:leads", "--indirect-selection", "cautious")
        boss = tenant.sales_manager

        funnel = (await ask(boss, "funnel_reached", by=["platform"])).rows
        assert [row["stage"] for row in funnel[:5]] == ["lead", "contacted", "qualified", "proposal", "sale"]
        assert all(one["funnel_reached"] >= two["funnel_reached"] for one, two in pairwise(funnel[:5]))

        conversion = await ask(boss, "conversion_rate", by=["platform"])
        reached = {(platform, stage): n for platform, found in golden.FUNNEL.items() for stage, n in found.items()}
        await holds(tenant, by=["platform"], conversion_rate=golden.CONVERSION, funnel_reached=reached)
        assert by(conversion.rows, "platform", "is_mature") == {"google": True, "meta": True, "tiktok": False}

        await holds(tenant, **golden.SPEED)

        days = (await ask(boss, "conversion_rate", grain="day", by=["platform"], until=date(2026, 4, 1))).rows
        assert [(row["metric_time"], row["platform"], row["conversion_rate"]) for row in days] == [
            ("2026-03-02", "google", 0.0), ("2026-03-02", "meta", pytest.approx(2 / 3)),
        ], "the first half hour of the 2nd in Istanbul is the 1st in UTC; six's second cycle is of April"  # fmt: skip
        assert (
            await ask(boss, "conversion_rate", grain="day", since=date(2026, 3, 3), until=date(2026, 4, 1))
        ).rows == []
        weeks = (await ask(boss, "funnel_reached", grain="week", since=date(2026, 3, 3), until=date(2026, 3, 9))).rows
        assert weeks == [], "a range inside a week is not widened to the week"

        (nothing,) = (await ask(boss, "conversion_rate", filters=[Filter("platform", "in", ["radio"])])).rows
        assert nothing["conversion_rate"] is None, "no data is not zero"
        only = (
            await ask(
                boss, "funnel_reached", by=["platform"], filters=[Filter("platform", "not_in", ["meta", "tiktok"])]
            )
        ).rows
        assert {row["platform"] for row in only} == {"google"}
        both = (await ask(boss, "conversion_rate", "funnel_reached", "speed_to_lead_s", by=["platform"])).rows
        assert len(both) == 3 + 15

        asked = ("conversion_rate", "speed_to_lead_s", "duplicate_rate", "time_to_contact_s")
        together = (await ask(tenant.analyst, *asked, grain="week", until=date(2026, 4, 1))).rows
        for name in asked:
            alone = (await ask(tenant.analyst, name, grain="week", until=date(2026, 4, 1))).rows
            assert by(alone, "metric_time", name) == by(together, "metric_time", name), name

        with monkeypatch.context() as patch:
            patch.setattr(query, "MOST_GROUPS", 2)
            with pytest.raises(query.TooMuch, match="fewer dimensions"):
                await ask(boss, "conversion_rate", by=["platform"], since=date(2026, 1, 1))
            assert (await ask(boss, "conversion_rate", since=date(2026, 1, 1))).rows

        leads = [Filter("stage", "in", ["lead"])]
        (theirs,) = (await ask(other_tenant.sales_manager, "funnel_reached", filters=leads)).rows
        assert theirs == {"stage": "lead", "funnel_reached": 1}

        wicked = [
            "' or true --",
            "{{ 1/0 }}",
            "{{ Dimension('lead_cycle__form') }}",
            "'__value_1__'",
            "%s",
            "{value}",
            "\\",
        ]
        for value in wicked:
            answer = await ask(boss, "conversion_rate", by=["platform"], filters=[Filter("platform", "in", [value])])
            assert answer.rows == [], value

    async def test_says_that_nothing_is_published(self, parsed: object, tenant: Tenant) -> None:
        with pytest.raises(query.NotPublished, match="santral pipeline run"):
            await ask(tenant.analyst, "conversion_rate")

    @pytest.mark.parametrize(
        ("metrics", "how"),
        [
            ([], {}),
            (["nonsense"], {}),
            (["cycles_counted"], {}),
            (["conversion_rate"], {"by": ["is_test"]}),
            (["conversion_rate"], {"by": ["stage"]}),
            (["conversion_rate"], {"filters": [Filter("1=1) or (1", "in", ["x"])]}),
        ],
    )
    async def test_refuses_what_it_does_not_know(
        self, parsed: object, tenant: Tenant, metrics: list[str], how: dict[str, Any]
    ) -> None:
        with pytest.raises(errors.Invalid):
            await ask(tenant.analyst, *metrics, **how)


class TestCatalogue:
    def test_describes_every_metric(self, parsed: object) -> None:
        found = {item.name: catalogue.described(item) for item in catalogue.public()}

        assert "stage" in found["funnel_reached"]["dimensions"]
