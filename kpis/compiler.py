"""MetricFlow, fenced: metrics and group-bys in, one SELECT for PostgreSQL out. Nothing else of ours imports it.

Values of filters never travel through it: its `where` is a template of raw SQL, so a filter enters as a placeholder
literal that we wrote ourselves, and leaves as a bind parameter.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, TypeVar, cast

from kpis import manifest
from kpis.manifest import Json

T = TypeVar("T")
TIME = "metric_time"
"""MetricFlow's name of the business day."""
PLACEHOLDER = re.compile(r"'__value_(\d+)__'")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
READ = "published"
"""The schema whose relations are read when a question names no other: what readers see."""
SCHEMA = '"__schema__"'
"""Stands in compiled SQL for the schema to read, so that one compilation serves every publication."""
HIDDEN = re.compile(r"is_test$|is_\w*counted|\w*_counted$")
"""Dimensions of what counts at all: filters of the metrics, not questions (R6)."""
PERIODS = {
    "day": "{day}",
    "week": "{day} - ({day} - DATE '0001-01-01') % 7",
    **{name: f"DATE_TRUNC('{name}', {{day}}::timestamp)" for name in ("month", "quarter", "year")},
}
"""The beginning of the period in which a day lies. Weeks begin on Mondays, as the first day of the calendar was one."""
_one_at_a_time = threading.RLock()
"""MetricFlow numbers its nodes in a global counter. Of several who want the same, one compiles it."""
_beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compiler")
"""Whoever waits for that lock must not hold the threads in which passwords are proved and files are read."""


async def apart(work: Callable[..., T], *arguments: Any) -> T:
    """Do work that compiles without holding up the event loop, one after the other."""
    return await asyncio.get_running_loop().run_in_executor(_beside, work, *arguments)


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a manifest (`kpis.manifest`) under the key by which what was made of it is kept."""

    key: tuple[str, ...]
    part: Json = field(compare=False, repr=False)


class _Dialect:
    """The part of a SQL client that compiling needs: which dialect to write."""

    def __init__(self) -> None:
        from metricflow.protocols.sql_client import SqlEngine

        self.sql_engine_type = SqlEngine.POSTGRES
        self.sql_plan_renderer = _renderer()


@cache
def _renderer() -> Any:
    """Return the renderer for PostgreSQL. Time is business days, which are dates: they are cut to periods as dates.

    DATE_TRUNC would make an instant of each in the session's zone, which costs more than all else that is read of a
    row, and would hide a day from its index.
    """
    from metricflow.sql.render.expr_renderer import SqlExpressionRenderResult
    from metricflow.sql.render.postgres import PostgresSqlExpressionRenderer, PostgresSQLSqlPlanRenderer

    class Expressions(PostgresSqlExpressionRenderer):
        def visit_date_trunc_expr(self, node: Any) -> Any:
            day = self.render_sql_expr(node.arg)
            sql = PERIODS[node.time_granularity.value].format(day=day.sql)
            return SqlExpressionRenderResult(sql=sql, bind_parameter_set=day.bind_parameter_set)

    class Plans(PostgresSQLSqlPlanRenderer):
        EXPR_RENDERER = Expressions()

    return Plans()


@lru_cache(maxsize=128)
def _engine(source: Source) -> Any:
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
    from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

    parsed = parse_manifest_from_dbt_generated_manifest(manifest_json_string=json.dumps(_anywhere(source.part)))
    return MetricFlowEngine(semantic_manifest_lookup=SemanticManifestLookup(parsed), sql_client=cast(Any, _Dialect()))


def _anywhere(part: Json) -> Json:
    """Return a part without the names of database and schema: its SQL runs in any database and publication of ours."""
    spines = part["project_configuration"]["time_spines"]
    return {
        **part,
        "semantic_models": [_nowhere(one) for one in part["semantic_models"]],
        "project_configuration": {**part["project_configuration"], "time_spines": [_nowhere(one) for one in spines]},
    }


def _nowhere(one: Json) -> Json:
    relation = one["node_relation"]
    placed = {"database": None, "relation_name": f'{SCHEMA}."{relation["alias"]}"'}
    return {**one, "node_relation": {**relation, **placed}}


@dataclass(frozen=True, slots=True)
class Cut:
    """Something that a metric can be cut by: MetricFlow's name of it, the model it stands in, and its expression."""

    name: str
    dunder: str
    model: str
    expr: str


def cuts(source: Source, metric: str) -> list[Cut]:
    """Return what a metric can be cut by, days left out; of two with one name the nearer: that of what is measured.

    Whose a sale is, is told by the sale; whose the lead is that was sold to, is another question.
    """
    with _one_at_a_time:
        found = _engine(source).simple_dimensions_for_metrics([metric], without_any_property=())
    measured = {model["name"] for model in source.part["semantic_models"] if model["measures"]}

    def distance(one: Any) -> tuple[int, bool, str]:
        return len(one.entity_links), _model(one) not in measured, one.dunder_name

    nearest: dict[str, Cut] = {}
    for each in sorted(found, key=distance):
        if each.type.value != "time" and not HIDDEN.match(each.name):
            model = _model(each)
            nearest.setdefault(each.name, Cut(each.name, each.dunder_name, model, each.expr or each.name))
    return list(nearest.values())


def _model(dimension: Any) -> str:
    reference = dimension.semantic_model_reference
    return str(reference.semantic_model_name) if reference else ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: a dimension (MetricFlow's name, or `TIME`), an operator's SQL with one `{value}`, the number of its
    value: days are bound too, so that one compilation serves a question of whatever days."""

    dimension: str
    sql: str
    position: int


def compile_sql(
    source: Source,
    metrics: Sequence[str],
    group_by: Sequence[str],
    conditions: Sequence[Condition] = (),
    *,
    schema: str = READ,
) -> str:
    """Return the SELECT for some metrics by some group-bys (MetricFlow's names), of what meets some conditions.

    The columns are named as the metrics and group-bys; `$n` stands where condition n wants its value. The relations
    are those of `schema`.
    """
    with _one_at_a_time:
        compiled = _compiled(source, tuple(metrics), tuple(group_by), tuple(conditions))
    return _reading(schema, compiled)


def _reading(schema: str, sql: str) -> str:
    if not IDENTIFIER.fullmatch(schema):
        raise ValueError(f"{schema!r} is no schema of ours")
    return sql.replace(SCHEMA, f'"{schema}"')


@lru_cache(maxsize=1024)
def _compiled(
    source: Source,
    metrics: tuple[str, ...],
    group_by: tuple[str, ...],
    conditions: tuple[Condition, ...],
) -> str:
    # Not MetricFlow's own time constraint: it widens the range to whole weeks or months of the grain asked for.
    return _explained(source, metrics, group_by, [_template(condition) for condition in conditions])


def _explained(source: Source, metrics: Sequence[str], group_by: Sequence[str], wheres: Sequence[str]) -> str:
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    request = MetricFlowQueryRequest.create(
        metric_names=list(metrics), group_by_names=list(group_by), where_constraints=list(wheres) or None
    )
    with _one_at_a_time:
        sql: str = _engine(source).explain(request).sql_statement.sql
    return PLACEHOLDER.sub(r"$\1", sql)


def compile_cycles_sql(metric: str, *, schema: str = READ) -> str:
    """Return the SELECT for a metric of single lead cycles: `lead`, `lead_cycle`, the metric, `latest_received` (when
    the cycle began, seconds since 1970). `$1` wants the ids of the leads. The relations are those of `schema`.
    """
    return _reading(schema, _compiled_cycles(metric))


@lru_cache(maxsize=16)
def _compiled_cycles(metric: str) -> str:
    part = manifest.together([manifest.part_of(metric), manifest.part_of("latest_received")])
    source = Source(("cycles", metric), part)
    wheres = ["{{ Entity('lead') }} = any('__value_1__'::uuid[])"]
    return _explained(source, [metric, "latest_received"], ["lead", "lead_cycle"], wheres)


def _template(condition: Condition) -> str:
    is_day = condition.dimension == TIME
    column = f"{{{{ TimeDimension('{TIME}', 'day') }}}}" if is_day else f"{{{{ Dimension('{condition.dimension}') }}}}"
    return condition.sql.format(column=column, value=f"'__value_{condition.position}__'")
