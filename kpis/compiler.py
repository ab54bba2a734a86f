"""MetricFlow, fenced: metrics and group-bys in, one SELECT for PostgreSQL out. Nothing else of ours imports it.

Values of filters never travel through it: its `where` is a template of raw SQL, so a filter enters as a placeholder
literal that we wrote ourselves, and leaves as a bind parameter.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Any, cast

from kpis import project

DAY = "{{ TimeDimension('metric_time', 'day') }}"
PLACEHOLDER = re.compile(r"'__value_(\d+)__'")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
READ = "marts"
"""The schema whose relations are read when a question names no other."""
SCHEMA = '"__schema__"'
"""Stands in compiled SQL for the schema to read, so that one compilation serves every publication."""
_one_at_a_time = threading.Lock()
"""MetricFlow numbers its nodes in a global counter."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric as its definition says: names, words, and what its `meta` adds."""

    name: str
    label: str
    description: str
    meta: Mapping[str, Any]
    dimensions: Mapping[str, str]
    """Short name of a dimension → MetricFlow's name of it."""


class _Dialect:
    """The part of a SQL client that compiling needs: which dialect to write."""

    def __init__(self) -> None:
        from metricflow.protocols.sql_client import SqlEngine
        from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer

        self.sql_engine_type = SqlEngine.POSTGRES
        self.sql_plan_renderer = PostgresSQLSqlPlanRenderer()


@cache
def _manifest() -> Any:
    from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest

    manifest = json.loads((project.target() / "semantic_manifest.json").read_text())
    for one in (*manifest["semantic_models"], *manifest["project_configuration"]["time_spines"]):
        # Without the names of database and schema the same SQL runs in any database and publication of ours.
        relation = one["node_relation"]
        relation |= {"database": None, "relation_name": f'{SCHEMA}."{relation["alias"]}"'}
    return parse_manifest_from_dbt_generated_manifest(manifest_json_string=json.dumps(manifest))


@cache
def _engine() -> Any:
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

    return MetricFlowEngine(
        semantic_manifest_lookup=SemanticManifestLookup(_manifest()), sql_client=cast(Any, _Dialect())
    )


@cache
def definitions() -> Mapping[str, Definition]:
    """Return every metric of the project, building blocks (`meta.internal`) included."""
    with _one_at_a_time:
        return {metric.name: _definition(metric) for metric in _manifest().metrics}


def _definition(metric: Any) -> Definition:
    meta = dict(metric.config.meta) if metric.config and metric.config.meta else {}
    dimensions = {
        element.name: element.dunder_name
        for element in _engine().simple_dimensions_for_metrics([metric.name], without_any_property=())
        if element.name not in ("metric_time", "received_on", "is_test")
    }
    return Definition(metric.name, metric.label or metric.name, metric.description or "", meta, dimensions)


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: a dimension (MetricFlow's name), an operator's SQL with one `{value}`, the number of its value."""

    dimension: str
    sql: str
    position: int


def compile_sql(
    metrics: tuple[str, ...],
    group_by: tuple[str, ...],
    since: date | None,
    until: date | None,
    conditions: tuple[Condition, ...],
    *,
    schema: str = READ,
) -> str:
    """Return the SELECT for some metrics by some group-bys (MetricFlow's names), of days in `[since, until)`.

    The columns are named as the metrics and group-bys; `$n` stands where condition n wants its value. The relations
    are those of `schema`.
    """
    return _reading(schema, _compiled(metrics, group_by, since, until, conditions))


def _reading(schema: str, sql: str) -> str:
    if not IDENTIFIER.fullmatch(schema):
        raise ValueError(f"{schema!r} is no schema of ours")
    return sql.replace(SCHEMA, f'"{schema}"')


@lru_cache(maxsize=512)
def _compiled(
    metrics: tuple[str, ...],
    group_by: tuple[str, ...],
    since: date | None,
    until: date | None,
    conditions: tuple[Condition, ...],
) -> str:
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    request = MetricFlowQueryRequest.create(
        metric_names=list(metrics),
        group_by_names=list(group_by),
        order_by_names=list(group_by),
        # Not MetricFlow's own time constraint: it widens the range to whole weeks or months of the grain asked for.
        where_constraints=[
            *(f"{DAY} >= '{since.isoformat()}'" for since in (since,) if since),
            *(f"{DAY} < '{until.isoformat()}'" for until in (until,) if until),
            *(_template(condition) for condition in conditions),
        ]
        or None,
    )
    with _one_at_a_time:
        sql: str = _engine().explain(request).sql_statement.sql
    return PLACEHOLDER.sub(r"$\1", sql)


def compile_cycles_sql(metric: str, *, schema: str = READ) -> str:
    """Return the SELECT for a metric of single lead cycles: `lead`, `lead_cycle`, the metric, `latest_received` (when
    the cycle began, seconds since 1970). `$1` wants the ids of the leads. The relations are those of `schema`.
    """
    return _reading(schema, _compiled_cycles(metric))


@lru_cache(maxsize=16)
def _compiled_cycles(metric: str) -> str:
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    request = MetricFlowQueryRequest.create(
        metric_names=[metric, "latest_received"],
        group_by_names=["lead", "lead_cycle"],
        where_constraints=["{{ Entity('lead') }} = any('__value_1__'::uuid[])"],
    )
    with _one_at_a_time:
        sql: str = _engine().explain(request).sql_statement.sql
    return PLACEHOLDER.sub(r"$\1", sql)


def _template(condition: Condition) -> str:
    entity, _, name = condition.dimension.rpartition("__")
    column = f"{{{{ Dimension('{entity}__{name}') }}}}"
    return condition.sql.format(column=column, value=f"'__value_{condition.position}__'")


def definition_hash(metrics: Sequence[str]) -> str:
    """Return a short hash of how these metrics are defined: it changes when a number may mean something else."""
    manifest = _manifest()
    wanted = [metric.json(sort_keys=True) for metric in manifest.metrics if metric.name in metrics]
    models = [model.json(sort_keys=True) for model in manifest.semantic_models]
    return hashlib.sha256("\n".join(sorted(wanted) + sorted(models)).encode()).hexdigest()[:16]
