"""Asking beyond the plain figures: by role, in an order, by an earlier definition, as of an instant, what is kept."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import CapturingLogger
from typer.testing import CliRunner

from cli import kpi
from crm import clock, db, errors
from crm.actor import Actor
from kpis import catalogue, compiler, definitions, manifest, query
from kpis.access import NotYours
from kpis.definitions import NoSuchDefinition, Outlived
from kpis.publications import NotRebuilt
from kpis.query import Answer, Filter, Order, Query, Unknown
from kpis.questions import BadFilter
from orchestration import warehouse
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build

META = Filter("platform", "in", ("meta",))
THEN = datetime(2026, 4, 1, tzinfo=UTC)
SCHEMA = "asof_20260401t000000z"


async def ask(actor: Actor, *metrics: str, **how: Any) -> Answer:
    return await db.run(actor, lambda tx: query.ask(tx, Query(metrics, **how), now=clock.utc_now()))


def keep_as(name: str, change: dict[str, str]) -> str:
    """Keep a definition as an earlier one: a metric's present part with texts replaced; return its hash."""
    text = json.dumps(catalogue.definitions()[name].part)
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    found = manifest.hash_of(json.loads(text))
    cuts = next(cuts for metric, _, _, cuts in definitions.rows() if metric == name)
    with warehouse.connect() as connection:
        connection.execute(definitions.KEEP, (name, found, text, cuts))
    return found


@contextmanager
def rebuilt() -> Iterator[psycopg.Connection]:
    """Hold the marts as of an instant at which there were the cycles of meta only."""
    with warehouse.connect() as connection:
        connection.execute("select ops.open_as_of(%s)", (SCHEMA,))
        connection.execute(
            f"create table {SCHEMA}.fct_lead_cycle as select * from published.fct_lead_cycle where platform = 'meta';"
            f"alter table {SCHEMA}.fct_lead_cycle enable row level security;"
            f"create policy tenant on {SCHEMA}.fct_lead_cycle for select to santral_app"
            " using (tenant_id = current_setting('app.tenant_id')::uuid);"
            f"grant select on {SCHEMA}.fct_lead_cycle to santral_app"
        )
        connection.execute(
            "insert into ops.as_of (schema_name, instant, project, made_at, kept_until)"
            " values (%s, %s, 'test', now(), now() + interval '1 day')",
            (SCHEMA, THEN),
        )
        yield connection


class TestAsk:
    async def test_tells_each_what_is_theirs_and_says_by_which_definition(
        self, build: Build, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await golden.play(tenant)
        await build("--select", "tag:leads", "--indirect-selection", "cautious")
        boss, now = tenant.sales_manager, clock.utc_now()

        # Rows come as asked, what has no value last, and no more than asked.
        first = await ask(boss, "conversion_rate", by=["platform"], order=[Order("conversion_rate", True)], limit=2)
        assert [row["conversion_rate"] for row in first.rows] == sorted(golden.CONVERSION.values(), reverse=True)[:2]
        assert first.is_cut
        with pytest.raises(Unknown, match="no column"):
            await ask(boss, "conversion_rate", order=[Order("platform")])

        # Who sees no person is not told of few, nor of what would give them away; the total is told.
        told = await ask(tenant.analyst, "conversion_rate", by=["platform"])
        assert told.suppressed == 3
        assert all(row["conversion_rate"] is None and row["is_suppressed"] for row in told.rows)
        (whole,) = (await ask(tenant.analyst, "conversion_rate")).rows
        assert whole["conversion_rate"] is not None
        assert "is_suppressed" not in whole
        april = {"since": date(2026, 4, 1), "until": date(2026, 5, 1)}
        reopened = await ask(tenant.analyst, "funnel_reached", "stage_conversion", **april)
        assert [row["is_suppressed"] for row in reopened.rows] == [True] * 5, "always by stage, and one cycle alone"
        assert {row["funnel_reached"] for row in reopened.rows} == {None}
        assert (await ask(boss, "funnel_reached", **april)).suppressed == 0
        assert (await ask(tenant.analyst, "funnel_reached")).suppressed == 0, "nine cycles, whatever they reached"

        # What they ask is on record, without what it names: questions that overlap could be subtracted.
        said = CapturingLogger()
        monkeypatch.setattr(query, "log", said)
        await ask(boss, "funnel_reached", filters=[META])
        await ask(tenant.analyst, "funnel_reached", filters=[META], **april)
        ((_, told_as, line),) = said.calls
        assert told_as == ("kpi_asked",)
        assert line["user_id"] == str(tenant.analyst.user_id)
        assert (line["filters"], line["since"], line["until"]) == (["platform:1"], "2026-04-01", "2026-05-01")
        assert "meta" not in str(line)

        # An agent is told of the own team alone, and of daily work alone.
        own = await ask(tenant.sales_agent, "speed_to_lead_s", by=["team"])
        assert {row["team"] for row in own.rows} <= {str(tenant.sales_agent.team_id)}
        assert own.team == str(tenant.sales_agent.team_id)
        with pytest.raises(NotYours):
            await ask(tenant.sales_agent, "conversion_rate")

        # Filters have types.
        found = await ask(boss, "conversion_rate", by=["platform"], filters=[Filter("platform", "is_null")])
        assert found.rows == []
        with pytest.raises(BadFilter):
            await ask(boss, "conversion_rate", filters=[Filter("platform", "gt", ["a"])])

        # An answer names its definitions; every one that was ever published can be asked for.
        present = (await ask(boss, "conversion_rate")).definitions["conversion_rate"]
        again = await ask(boss, "conversion_rate", by=["platform"], definitions={"conversion_rate": present})
        assert {row["platform"]: row["conversion_rate"] for row in again.rows} == golden.CONVERSION
        assert (await db.run(boss, lambda tx: tx.fetchval(
            "select count(*) from ops.kpi_definition where metric = 'conversion_rate' and hash = $1::text", present
        ))) == 1  # fmt: skip
        earlier = keep_as("conversion_rate", {"is_won_90d::int": "(status = 'won')::int * 0"})
        both = await ask(
            boss, "conversion_rate", "speed_to_lead_s", by=["platform"], definitions={"conversion_rate": earlier}
        )
        assert {row["platform"]: row["conversion_rate"] for row in both.rows} == dict.fromkeys(golden.CONVERSION, 0.0)
        assert earlier != present == catalogue.definitions()["conversion_rate"].hash
        assert (both.definitions["conversion_rate"], both.definition == first.definition) == (earlier, False)
        assert any(row["speed_to_lead_s"] for row in both.rows), "the others are answered by what they mean now"
        with pytest.raises(NoSuchDefinition):
            await ask(boss, "conversion_rate", definitions={"conversion_rate": "0" * 16})
        outlived = keep_as("conversion_rate", {"is_won_90d::int": "won_in_a_column_long_gone::int"})
        with pytest.raises(Outlived, match="conversion_rate"):
            await ask(boss, "conversion_rate", definitions={"conversion_rate": outlived})

        # What was known then, where somebody rebuilt it; nobody knows the future, nor what is not at hand.
        with pytest.raises(NotRebuilt):
            await ask(boss, "conversion_rate", as_of=THEN)
        with rebuilt():
            then = await ask(boss, "conversion_rate", by=["platform"], as_of=THEN)
        assert [(row["platform"], row["is_mature"]) for row in then.rows] == [("meta", False)]
        assert (then.as_of, then.freshness_s > 0) == (THEN, True)
        assert (await ask(boss, "conversion_rate", by=["platform"], as_of=now)).rows == again.rows

        # The command line asks the same.
        await _answers_on_the_command_line(earlier)

        # What was asked is at hand until the numbers change; another firm never gets it.
        await _keeps_answers_until_the_next_publication(boss, other_tenant)
        await _tells_of_one_publication(boss, monkeypatch)


async def _answers_on_the_command_line(earlier: str) -> None:
    rates = ("conversion_rate", "--by", "platform", "--tenant", "acme")
    plain = [json.loads(line) for line in (await santral(*rates, "--json")).splitlines()]
    assert {row["platform"]: row["conversion_rate"] for row in plain} == golden.CONVERSION

    head, *lines = (await santral(*rates, "--csv", "--order=-conversion_rate", "--limit", "2")).split()
    assert (head, [line.split(",")[:2] for line in lines]) == (
        "platform,conversion_rate,is_mature", [["meta", "0.5"], ["google", "0.0"]],
    )  # fmt: skip
    nobody = ("--filter", "platform=nobody")
    assert (await santral(*rates, *nobody, "--csv")).split() == ["platform,conversion_rate"], "of no rows the head"
    turkish = " ".join((await santral(*rates, "--language", "tr")).split())
    assert [word for word in ("dönüşüm", "%50,0", "UTC itibarıyla") if word not in turkish] == []
    assert '"conversion_rate": 0.5' not in await santral(*rates, "--json", "--definition", f"conversion_rate={earlier}")
    now = f"{clock.utc_now():%Y-%m-%dT%H:%M:%S}"
    assert '"conversion_rate": 0.5' in await santral(*rates, "--json", "--as-of", now), "without a zone it is UTC"

    for words, refusal in {
        ("--as-of", "then"): "is no instant",
        ("--as-of", "2026-01-01"): "pipeline as-of",
        ("--definition", "conversion_rate"): "METRIC=HASH",
        ("--definition", "conversion_rate=0"): "was never published",
        ("--language", "xx"): "en, tr",
        ("--grain", "hour"): "day, week, month and quarter",
        ("--filter", "platform"): "DIM=VALUE",
        ("--tenant", "nobody"): "no tenant nobody",
        ("convertion_rate",): "did you mean conversion_rate",
    }.items():
        with pytest.raises(errors.CrmError, match=refusal):
            await santral(*rates, *words)


def test_what_may_parse_the_project_waits_for_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    @contextmanager
    def database() -> Iterator[str]:
        steps.append("database")
        yield ""

    monkeypatch.setattr(kpi.postgres, "ensure_database", database)
    monkeypatch.setattr(kpi.catalogue, "dimensions", lambda: steps.append("project"))

    CliRunner().invoke(kpi.app, ["query", "offered"])

    assert steps == ["database", "project"]


async def santral(*words: str) -> str:
    """Run `santral kpi query` as a person would; return what it prints, or raise what it is refused with."""
    await db.close()  # the command has a loop, and so connections, of its own
    done = await asyncio.to_thread(CliRunner().invoke, kpi.app, ["query", *words])
    await db.close()
    if isinstance(done.exception, errors.CrmError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


async def _keeps_answers_until_the_next_publication(boss: Actor, other_tenant: Tenant) -> None:
    async def platforms(actor: Actor = boss) -> list[str]:
        return [row["platform"] for row in (await ask(actor, "conversion_rate", by=["platform"])).rows]

    before = await platforms()
    with warehouse.connect() as connection:
        connection.execute("delete from published.fct_lead_cycle where platform = 'tiktok'")
        assert await platforms() == before == ["google", "meta", "tiktok"]
        connection.execute("update ops.publication set publication_id = gen_random_uuid()")
    assert await platforms() == ["google", "meta"], "the next publication is another"
    assert await platforms(other_tenant.sales_manager) == []


async def _tells_of_one_publication(boss: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next publication comes when the question was compiled and nothing was read yet."""
    first = (await ask(boss, "conversion_rate", by=["platform"])).as_of
    between, later = first + timedelta(minutes=1), first + timedelta(minutes=2)
    apart = compiler.apart

    async def publish_meanwhile(*question: Any) -> str:
        monkeypatch.setattr(compiler, "apart", apart)
        with warehouse.connect() as connection:
            connection.execute("delete from published.fct_lead_cycle where platform = 'google'")
            connection.execute("update ops.publication set publication_id = gen_random_uuid(), as_of = %s", (later,))
        return await apart(*question)

    async def ask_as_of(instant: datetime) -> Answer:
        monkeypatch.setattr(compiler, "apart", publish_meanwhile)
        work = Query(("conversion_rate",), by=("platform",), as_of=instant)
        return await db.run(boss, lambda tx: query.ask(tx, work, now=later + timedelta(hours=1)))

    with pytest.raises(NotRebuilt):
        await ask_as_of(between)
    with warehouse.connect() as connection:
        connection.execute("update ops.publication set as_of = %s", (first,))
    answer = await ask_as_of(later)

    assert (answer.as_of, [row["platform"] for row in answer.rows]) == (later, ["meta"])
