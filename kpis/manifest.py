"""The semantic manifest as dbt writes it, cut into parts: one metric with all it is made of, and nothing else.

A part is what a number means. It is small, so an engine for it is made in milliseconds however large the project grows;
it has a hash, which changes when the number may mean something else; and it can be kept, so that a question asked today
can be answered by yesterday's definition.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from kpis import project

Json = dict[str, Any]

NAMED = re.compile(r"Dimension\('(?:\w+__)?(\w+?)__\w+?'")
"""In a filter: the entity whose dimension it names."""
WORDS = ("label", "description", "metadata")
"""What says a thing in other words and changes no number."""
COUNTS = ("maturity_days", "youngest", "final_days", "always_by")
"""What of a metric's `meta` changes answers."""


@cache
def whole() -> Json:
    """Return the manifest of the project as it stands."""
    manifest: Json = json.loads((project.target() / "semantic_manifest.json").read_text())
    return manifest


@cache
def _indexed() -> tuple[dict[str, Json], dict[str, tuple[Json, Json]], dict[str, list[Json]]]:
    """Return metrics by name, (model, measure) by the measure's name, and models by the entity they are of."""
    manifest = whole()
    metrics = {metric["name"]: metric for metric in manifest["metrics"]}
    measures = {
        measure["name"]: (model, measure) for model in manifest["semantic_models"] for measure in model["measures"]
    }
    owners: dict[str, list[Json]] = {}
    for model in manifest["semantic_models"]:
        for entity in model["entities"]:
            if entity["type"] in ("primary", "unique", "natural"):
                owners.setdefault(entity["name"], []).append(model)
    return metrics, measures, owners


def names() -> list[str]:
    """Return the names of all metrics, building blocks included."""
    return sorted(_indexed()[0])


def metric(name: str) -> Json:
    """Return a metric as the manifest has it."""
    return _indexed()[0][name]


@cache
def part_of(name: str) -> Json:
    """Return the manifest cut down to a metric: what it is made of, its measures, and all it can be cut by."""
    metrics, measures, _ = _indexed()
    wanted = {each: metrics[each] for each in _made_of(name, metrics)}
    needed = {measure for each in wanted.values() for measure in _measures(each)}
    models = {measures[measure][0]["name"]: measures[measure][0] for measure in sorted(needed)}
    for model in [*_tables_of_dimensions(models.values()), *_named_in_filters(wanted.values())]:
        models.setdefault(model["name"], model)
    return {
        "metrics": [wanted[each] for each in sorted(wanted)],
        "semantic_models": [_without_other_measures(models[each], needed) for each in sorted(models)],
        "project_configuration": whole()["project_configuration"],
        "saved_queries": [],
    }


def _made_of(name: str, metrics: Mapping[str, Json]) -> set[str]:
    found, ahead = set(), [name]
    while ahead:
        each = ahead.pop()
        if each not in found:
            found.add(each)
            ahead += [*inputs(metrics[each]), *_youngest(metrics[each])]
    return found


def inputs(metric: Json) -> list[str]:
    """Return the metrics that a metric is made of directly; of a ratio the denominator comes first."""
    params = metric["type_params"]
    ratio = [params[side]["name"] for side in ("denominator", "numerator") if params.get(side)]
    cumulative = (params.get("cumulative_type_params") or {}).get("metric")
    return [
        *ratio,
        *(one["name"] for one in params.get("metrics") or []),
        *([cumulative["name"]] if cumulative else []),
    ]


def _measures(metric: Json) -> list[str]:
    params = metric["type_params"]
    conversion = params.get("conversion_type_params") or {}
    direct = [params.get("measure"), conversion.get("base_measure"), conversion.get("conversion_measure")]
    return [one["name"] for one in direct if one]


def _youngest(metric: Json) -> list[str]:
    found = meta(metric).get("youngest")
    return [found] if found else []


def _tables_of_dimensions(models: Iterable[Json]) -> Iterator[Json]:
    """Yield the dimension tables that models point at. Other facts they point at would only double their rows' cost."""
    for model in list(models):
        for entity in model["entities"]:
            for owner in _indexed()[2].get(entity["name"], []):
                if owner["node_relation"]["alias"].startswith("dim_"):
                    yield owner


def _named_in_filters(metrics: Iterable[Json]) -> Iterator[Json]:
    """Yield the models whose dimensions filters name: their entity stands before the dimension's name."""
    for entity in NAMED.findall(json.dumps([one.get("filter") for one in metrics])):
        yield from _indexed()[2].get(entity, [])


def _without_other_measures(model: Json, needed: set[str]) -> Json:
    return {**model, "measures": [measure for measure in model["measures"] if measure["name"] in needed]}


def meta(element: Json) -> Json:
    """Return what the `meta` of a metric or a model says."""
    return dict((element.get("config") or {}).get("meta") or {})


def hash_of(part: Json) -> str:
    """Return the short hash of a part: it changes when a number may mean something else, not when its words do."""
    meaning = {
        "metrics": [
            {**_wordless(one), "config": {key: meta(one)[key] for key in COUNTS if key in meta(one)}}
            for one in part["metrics"]
        ],
        "semantic_models": [
            {**_wordless(one), "node_relation": one["node_relation"]["alias"]} for one in part["semantic_models"]
        ],
    }
    return digest(meaning)


def digest(value: Any) -> str:
    """Return the short hash of something that JSON knows."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _wordless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _wordless(each) for key, each in value.items() if key not in (*WORDS, "config")}
    return [_wordless(each) for each in value] if isinstance(value, list) else value


def leaf(part: Json, name: str) -> tuple[Json, Json, list[Json]]:
    """Return whom a metric counts: the model and the measure below its denominators, and the filters on the way."""
    metrics = {one["name"]: one for one in part["metrics"]}
    filters: list[Json] = []
    while True:
        each = metrics[name]
        filters += (each.get("filter") or {}).get("where_filters", [])
        below = _measures(each)
        if below:
            filters += _filters_of_measure(each)
            model, measure = _measure(part, below[0])
            return model, measure, filters
        name = inputs(each)[0]
        filters += _filters_of_input(each, name)


def _filters_of_measure(metric: Json) -> list[Json]:
    measure = metric["type_params"].get("measure") or {}
    return list((measure.get("filter") or {}).get("where_filters", []))


def _filters_of_input(metric: Json, name: str) -> list[Json]:
    params = metric["type_params"]
    given = [params.get("denominator"), params.get("numerator"), *(params.get("metrics") or [])]
    first = next(one for one in given if one and one["name"] == name)
    return list((first.get("filter") or {}).get("where_filters", []))


def _measure(part: Json, name: str) -> tuple[Json, Json]:
    return next(
        (model, measure)
        for model in part["semantic_models"]
        for measure in model["measures"]
        if measure["name"] == name
    )


def models_of(part: Json) -> list[str]:
    """Return the tables that a part's measures are taken from."""
    return sorted({model["node_relation"]["alias"] for model in part["semantic_models"] if model["measures"]})


def counted(part: Json, name: str) -> tuple[Json, str, str | None]:
    """Return a part that also counts what stands behind a metric.

    The names of what it adds: how many rows of the fact stand below the denominator (for what must not be told of few;
    where a row stands for many, `row_stands_for` of its model says for how many), and, where the metric looks ahead
    (`maturity_days`) and does not name its own `youngest`, the end of the youngest cohort in seconds since 1970.
    """
    own = meta(next(one for one in part["metrics"] if one["name"] == name))
    model, measure, filters = leaf(part, name)
    added = [_measure_of(measure, f"rows_of_{name}", "sum", str(meta(model).get("row_stands_for", "1")))]
    youngest = own.get("youngest")
    if own.get("maturity_days") and not youngest:
        youngest = f"youngest_of_{name}"
        day = _day_of(model, measure)
        added += [
            _measure_of(measure, youngest, "max", f"extract(epoch from ({day})::timestamp at time zone 'UTC') + 86400")
        ]
    models = [
        {**one, "measures": [*one["measures"], *added]} if one["name"] == model["name"] else one
        for one in part["semantic_models"]
    ]
    metrics = [_simple(one["name"], filters) for one in added]
    return {**part, "semantic_models": models, "metrics": [*part["metrics"], *metrics]}, f"rows_of_{name}", youngest


def _measure_of(like: Json, name: str, agg: str, expr: str) -> Json:
    bare = {"agg_params": None, "non_additive_dimension": None, "description": None, "label": None}
    return {**like, **bare, "name": name, "agg": agg, "expr": expr}


def _day_of(model: Json, measure: Json) -> str:
    wanted = measure.get("agg_time_dimension") or model["defaults"]["agg_time_dimension"]
    found = next(one for one in model["dimensions"] if one["name"] == wanted)
    return str(found.get("expr") or wanted)


def _simple(name: str, filters: list[Json]) -> Json:
    measure = {"name": name, "filter": None, "alias": None, "join_to_timespine": False, "fill_nulls_with": None}
    return {
        "name": name, "description": None, "type": "simple", "metadata": None, "label": None, "config": None,
        "time_granularity": None, "filter": {"where_filters": filters} if filters else None,
        "type_params": {"measure": measure, "input_measures": [measure]},
    }  # fmt: skip


def read_once(part: Json, names: Sequence[str]) -> tuple[Json, dict[str, str]]:
    """Return a part in which all of some metrics can be had from one reading of their table, and the names for that.

    MetricFlow reads a table once for its simple metrics and once for those that are made of others. Where both are
    wanted, the simple ones are given under a name of their own as made of themselves.
    """
    metrics = {one["name"]: one for one in part["metrics"]}
    simple = [name for name in names if metrics[name]["type"] == "simple"]
    if len(simple) in (0, len(names)):
        return part, {}
    as_told = {name: f"{name}__told" for name in simple}
    return {**part, "metrics": [*part["metrics"], *(_derived(new, name) for name, new in as_told.items())]}, as_told


def _derived(name: str, of: str) -> Json:
    given = {"name": of, "filter": None, "alias": None}
    params = {
        "expr": of,
        "metrics": [{**given, "offset_window": None, "offset_to_grain": None}],
        "input_measures": [{**given, "join_to_timespine": False, "fill_nulls_with": None}],
    }
    return {**_simple(name, []), "type": "derived", "type_params": params}


def together(parts: Iterable[Json]) -> Json:
    """Return one part that holds several of the same manifest, so that one statement can answer them."""
    metrics: dict[str, Json] = {}
    models: dict[str, Json] = {}
    project_configuration: Json = {}
    for part in parts:
        project_configuration = part["project_configuration"]
        metrics |= {one["name"]: one for one in part["metrics"]}
        for model in part["semantic_models"]:
            known = models.get(model["name"])
            models[model["name"]] = _with_measures(known, model) if known else model
    return {
        "metrics": list(metrics.values()), "semantic_models": list(models.values()),
        "project_configuration": project_configuration, "saved_queries": [],
    }  # fmt: skip


def _with_measures(model: Json, other: Json) -> Json:
    measures = {one["name"]: one for one in (*model["measures"], *other["measures"])}
    return {**model, "measures": list(measures.values())}
