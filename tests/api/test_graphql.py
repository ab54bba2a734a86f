"""GraphQL: the same answers as REST, limits that hold, refusals in the one shape."""

from dataclasses import fields
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from api.graph import schema
from api.graph.limits import DEEPEST
from api.schemas.kpis import KpiAnswer, KpiRead
from tests.api.conftest import SignIn
from tests.conftest import Tenant
from tests.dbt_project import golden
from tests.pipeline import Build, build, parsed

__all__ = ["build", "parsed"]

ASK = """
query ($question: Question!) {
  kpi(question: $question) {
    rows { cells { name value } isMature platform: value(name: "platform") }
    metrics definition definitions { metric hash } asOf freshnessS suppressed isCut
  }
}
"""


async def ask(client: httpx.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
    answer = await client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestKpi:
    async def test_answers_what_rest_answers(self, build: Build, tenant: Tenant, admin: httpx.AsyncClient) -> None:
        await golden.play(tenant)
        await build("--select", "tag:leads", "--indirect-selection", "cautious")
        question = {"metrics": ["conversion_rate"], "by": ["platform"], "grain": "month"}

        found = (await ask(admin, ASK, question=question))["data"]["kpi"]
        rest = (await admin.post("/kpis/query", json=question)).json()

        cells = [{cell["name"]: cell["value"] for cell in row["cells"]} for row in found["rows"]]
        assert cells == [{name: row[name] for name in row if name != "is_mature"} for row in rest["rows"]]
        assert [row["isMature"] for row in found["rows"]] == [row["is_mature"] for row in rest["rows"]]
        assert [row["platform"] for row in found["rows"]] == [row["platform"] for row in rest["rows"]]
        assert found["definition"] == rest["definition"]
        assert {one["metric"]: one["hash"] for one in found["definitions"]} == rest["definitions"]
        assert len(rest["rows"]) == 4

    async def test_refuses_in_the_one_shape(self, parsed: object, admin: httpx.AsyncClient) -> None:
        unknown = await ask(admin, ASK, question={"metrics": ["nonsense"]})
        unfit = await ask(admin, ASK, question={"metrics": ["conversion_rate"], "grain": "hour"})
        large = await ask(admin, ASK, question={"metrics": ["conversion_rate"], "limit": 1_001})
        (unreadable,) = (await ask(admin, "{ metrics { nonsense } }"))["errors"]

        (problem,) = unknown["errors"]
        assert (unknown["data"], problem["path"]) == (None, ["kpi"])
        assert problem["extensions"]["code"] == "kpi.unknown"
        assert len(problem["extensions"]["trace_id"]) == 32
        assert unfit["errors"][0]["extensions"]["field_errors"].keys() == {"grain"}
        assert large["errors"][0]["extensions"]["field_errors"].keys() == {"limit"}
        assert unreadable["extensions"]["code"] == "graphql.invalid"


class TestCatalogue:
    async def test_is_that_of_rest(self, parsed: object, admin: httpx.AsyncClient) -> None:
        wanted = '{ metrics { name labelTr formula unit definition } metric(key: "conversion_rate") { sql } }'

        found = (await ask(admin, wanted))["data"]
        rest = (await admin.get("/kpis")).json()["items"]

        assert [(one["name"], one["labelTr"], one["definition"]) for one in found["metrics"]] == [
            (one["name"], one["label_tr"], one["definition"]) for one in rest
        ]
        assert "select" in found["metric"]["sql"].lower()

    def test_has_the_fields_of_rest(self) -> None:
        metric = {each.name for each in fields(schema.Metric)}

        assert metric == KpiRead.model_fields.keys() - {"dimension_kinds"} | {"sql"}
        assert {each.name for each in fields(schema.Answer)} == KpiAnswer.model_fields.keys()

    async def test_shows_the_sql_to_no_agent(self, parsed: object, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_agent)

        (problem,) = (await ask(client, '{ metric(key: "conversion_rate") { sql } }'))["errors"]

        assert problem["extensions"]["code"] in ("forbidden", "kpi.unknown", "kpi.not-yours")

    async def test_can_be_introspected(self, admin: httpx.AsyncClient) -> None:
        found = await ask(admin, get_introspection_query())

        assert "Metric" in {each["name"] for each in found["data"]["__schema"]["types"]}


def doubled(times: int) -> str:
    """Return a document whose fragments unfold to 2 to the power of `times`."""
    ladder = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(times))
    return f"{{ ...f0 }} {ladder} fragment f{times} on Query {{ __typename }}"


class TestLimits:
    @pytest.mark.parametrize(
        ("document", "word"),
        [
            ("{ metrics { sql } }", "costs"),
            ("{ " + " ".join(f'a{n}: metric(key: "a") {{ name }}' for n in range(11)) + " }", "aliases"),
            ("{ " + "metrics { " * (DEEPEST + 2) + "name" + " }" * (DEEPEST + 2) + " }", "depth"),
            ("{ metrics { " + "name " * 1600 + "} }", "token"),
            ("{ metrics { ...a " + "name " * 10 + "} } fragment a on Metric { name }", "repeated"),
            # These would be checked for longer than anybody lives.
            (doubled(19), "repeated"),
            (doubled(60), "fragments"),
            ("{ " + "metrics { " * 300 + "name" + " }" * 300 + " }", "nested"),
            ("{ ...a } fragment a on Query { metrics { name } ...a b: metrics { name } }", "itself"),
            ("{ ...nobody }", "unknown fragment"),
            ("fragment a on Query { metrics { name } }", "nothing to run"),
        ],
    )
    async def test_refuse_what_is_too_much(self, admin: httpx.AsyncClient, document: str, word: str) -> None:
        found = await ask(admin, document)

        assert found["data"] is None
        assert any(word in problem["message"].lower() for problem in found["errors"]), found["errors"]
        assert {problem["extensions"]["code"] for problem in found["errors"]} == {"graphql.invalid"}
