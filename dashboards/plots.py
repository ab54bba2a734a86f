"""Charts of KPIs: metrics over time, and one metric by a dimension. What they say is in words too, for who hears it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from dashboards import catalogue, charts, session, words
from dashboards.charts import GREEN, ORANGE
from dashboards.words import say

VERMILLION = "#D55E00"
TOP = 12
"""Bars of a ranking that are shown."""
LOG_FROM = 50
"""From this ratio between the largest and the smallest duration on, the scale is logarithmic."""
STEPS = [1, 5, 15, 30, 60, 300, 900, 3600, 14400, 86400, 345600, 1209600]
"""Where a logarithmic scale of seconds has its lines."""

EVEN = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400,
        172800, 432000, 864000, 1728000]  # fmt: skip
"""How far apart the lines of an even scale of seconds may stand."""

Series = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each metric."""


def over_time(
    series: Series, days: Sequence[str], grain: str, *, limit: float | None, are_bars: bool
) -> alt.LayerChart:
    """Return metrics of one unit over periods, told by their first days; one that is not final is drawn hollow."""
    names = list(series)
    data = [_point(name, row, grain) for name, rows in series.items() for row in rows if row[name] is not None]
    periods = charts.periods(days, grain)
    labels = [catalogue.label(name) for name in names]
    unit = _unit(names[0])
    colours = alt.Scale(domain=labels, range=[charts.blue(), ORANGE, GREEN][: len(labels)])
    y = alt.Y("value:Q", title=None, stack=None, scale=_scale(unit, data, limit), axis=_axis(unit, data))
    legend = charts.legend("top", labels, symbol="circle" if are_bars else "stroke") if len(labels) > 1 else None
    colour = alt.Color("name:N", scale=colours, legend=legend)
    base = charts.chart(data).encode(
        x=periods, tooltip=charts.tips(said=" ", name=" ", text="=", state=" ")
    )  # fmt: skip
    if are_bars:
        marks = [
            base.mark_bar(cornerRadiusEnd=2).encode(
                y=y, color=colour, xOffset=alt.XOffset("name:N", sort=labels) if len(labels) > 1 else alt.XOffset()
            )
        ]
    else:
        dash = alt.StrokeDash("name:N", scale=alt.Scale(domain=labels, range=DASHES[: len(labels)]), legend=legend)
        line = base.mark_line(strokeWidth=2.4, interpolate="linear").encode(y=y, color=colour, strokeDash=dash)
        dots = base.mark_point(size=34, filled=True, opacity=1, strokeWidth=1.6).encode(
            y=y,
            color=alt.Color("name:N", scale=colours, legend=None),
            stroke=alt.Stroke("name:N", scale=colours, legend=None),
            fillOpacity=alt.FillOpacity("solid:Q", scale=None),
        )
        marks = [line, dots]
    return charts.bare(alt.layer(*marks, *_limit(names[0], limit)), 250)


def _unit(name: str) -> str:
    known = catalogue.kpi(name)
    return known.unit if known else ""


DASHES = [[1, 0], [6, 3], [2, 2]]


def _point(name: str, row: Mapping[str, Any], grain: str) -> dict[str, Any]:
    is_final = row.get("is_mature", True) is not False
    return {
        "day": row["metric_time"],
        "said": words.period_of(row["metric_time"], grain),
        "value": row[name],
        "name": catalogue.label(name),
        "text": catalogue.written(name, row[name]),
        "state": "" if is_final else say("provisional"),
        "solid": 1 if is_final else 0,
    }


def _is_wide(unit: str, data: Sequence[Mapping[str, Any]]) -> bool:
    values = [row["value"] for row in data if row["value"] > 0]
    return unit == "seconds" and bool(values) and max(values) / min(values) >= LOG_FROM


def _scale(unit: str, data: Sequence[Mapping[str, Any]], limit: float | None) -> alt.Scale:
    if _is_wide(unit, data):
        return alt.Scale(type="log", clamp=True, domainMin=max(1, 0.7 * min(row["value"] for row in data)))
    top = max([row["value"] for row in data if math.isfinite(row["value"])] + [limit or 0, 0.0001])
    highest = min(1.0, top * 1.08) if unit == "share" and top <= 1 else top * 1.08
    return alt.Scale(domain=[0, highest])


def _axis(unit: str, data: Sequence[Mapping[str, Any]]) -> alt.Axis:
    more: dict[str, Any] = {"values": _even(data)} if unit == "seconds" else {"tickCount": 4}
    if _is_wide(unit, data):
        least = min(row["value"] for row in data)
        more = {"values": [step for step in STEPS if step >= 0.7 * least]}
    return charts.scale_axis(labelExpr=written(unit), minExtent=52, **more)


def _even(data: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return lines at even steps of seconds, minutes, hours or days, five at most."""
    top = max(row["value"] for row in data)
    step = next((step for step in EVEN if 5 * step >= top), EVEN[-1])
    return [n * step for n in range(int(1.08 * top / step) + 1)]


def written(unit: str) -> str:
    """Return the Vega expression that writes a value of an axis as the visit's language does."""
    is_turkish, plain = words.language() == "tr", charts.plain
    if unit == "share":
        number = plain("datum.value * 100", ".3~r")
        return f"'%' + {number}" if is_turkish else f"{number} + '%'"
    if unit == "seconds":
        second, minute, hour, day = ("sn", "dk", "sa", "gün") if is_turkish else ("s", "min", "h", "d")
        return (
            f"datum.value >= 86400 ? {plain('datum.value / 86400', '.2~f')} + ' {day}'"
            f" : datum.value >= 3600 ? {plain('datum.value / 3600', '.2~f')} + ' {hour}'"
            f" : datum.value >= 60 ? {plain('datum.value / 60', '.1~f')} + ' {minute}'"
            f" : {plain('datum.value', '.3~r')} + ' {second}'"
        )
    if unit == "milliseconds":
        return f"{plain('datum.value')} + ' ms'"
    sign = words.sign_of(session.me().get("currency")) if unit.startswith("money") else ""
    return f"'{sign}' + {plain('datum.value')}"


def _limit(name: str, limit: float | None) -> list[alt.Chart]:
    """Return the line of a target or bound, told by its dashes as well."""
    if limit is None:
        return []
    said = say("limit" if catalogue.is_better_low(name) else "target", value=words.share(limit, 0))
    rule = charts.chart([{"limit": limit, "text": said}])
    line = rule.mark_rule(strokeDash=[5, 4], strokeWidth=1.6, color=VERMILLION).encode(y="limit:Q")
    text = rule.mark_text(align="right", baseline="bottom", dy=-4, fontSize=12, color=charts.ink())
    return [line, text.encode(y="limit:Q", x=alt.XValue("width"), text="text:N")]


def stacked(
    metric: str, rows: Sequence[Mapping[str, Any]], days: Sequence[str], grain: str, order: Sequence[str]
) -> alt.LayerChart:
    """Return a metric over periods as shares of its `name`s, in an order in which colours are told."""
    data = [
        {
            "day": row["metric_time"],
            "said": words.period_of(row["metric_time"], grain),
            "value": row[metric],
            "name": row["name"],
            "place": order.index(row["name"]),
            "text": catalogue.written(metric, row[metric]),
        }
        for row in rows
        if row[metric]
    ]
    named = [name for name in order if any(row["name"] == name for row in data)]
    colours = alt.Scale(domain=named, range=[PALETTE[order.index(name) % len(PALETTE)] for name in named])
    axis = charts.scale_axis(labelExpr=written("share"), tickCount=4, minExtent=52)
    bars = charts.chart(data).mark_bar().encode(
        x=charts.periods(days, grain),
        y=alt.Y("value:Q", stack="normalize", title=None, axis=axis),
        color=alt.Color("name:N", scale=colours, sort=named, legend=charts.legend("top")),
        order=alt.Order("place:Q"),
        tooltip=charts.tips(said=" ", name=" ", text="="),
    )  # fmt: skip
    return charts.bare(alt.layer(bars), 260)


PALETTE = ("#009E73", "#56B4E9", "#0072B2", "#CC79A7", "#E69F00", "#7F7F7F", "#D55E00", "#F0E442", "#B8C0C6")
"""Okabe and Ito's colours, in an order in which neighbours differ in lightness too."""


def ranking(metric: str, rows: Sequence[Mapping[str, Any]], *, limit: float | None) -> alt.LayerChart:
    """Return one metric by `name`, the largest first; grey where it is provisional."""
    found = sorted((row for row in rows if row[metric] is not None), key=lambda row: -row[metric])[:TOP]
    data = [
        {
            "name": row["name"],
            "value": row[metric],
            "text": catalogue.written(metric, row[metric]),
            "state": say("provisional" if row.get("is_mature") is False else "mature"),
        }
        for row in found
    ]
    top = max([row["value"] for row in data] + [limit or 0, 0.0001])
    states = alt.Scale(domain=[say("mature"), say("provisional")], range=[charts.blue(), charts.grey()])
    is_mixed = any(row["state"] == say("provisional") for row in data)
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, top * 1.3]), axis=None)
    base = charts.chart(data).encode(y=charts.names(data, "name", size=13, room=200), x=x)
    bars = base.mark_bar(cornerRadius=4).encode(
        color=alt.Color("state:N", scale=states, legend=charts.legend("bottom") if is_mixed else None),
        tooltip=charts.tips(name=" ", text=catalogue.label(metric), state=" "),
    )
    texts = base.mark_text(align="left", dx=8, fontSize=14, fontWeight=600, color=charts.ink()).encode(text="text:N")
    marks = [bars, texts]
    if limit is not None:
        rule = charts.chart([{"limit": limit}]).mark_rule(strokeDash=[5, 4], strokeWidth=1.6, color=VERMILLION)
        marks.append(rule.encode(x="limit:Q"))
    return charts.bare(alt.layer(*marks), 40 * len(data) + (40 if is_mixed else 10))


def said(series: Series) -> str:
    """Return a chart over time in words: for each metric its first, lowest, highest and last value."""
    texts = []
    for name, rows in series.items():
        values = [row[name] for row in rows if row[name] is not None]
        if values:
            of = {key: catalogue.written(name, value) for key, value in _ends(values).items()}
            texts.append(say("chart.said", name=catalogue.label(name), **of))
    return " ".join(texts) or say("no_data")


def _ends(values: Sequence[float]) -> dict[str, float]:
    return {"first": values[0], "low": min(values), "high": max(values), "last": values[-1]}


def said_ranking(metric: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a ranking in words."""
    found = sorted((row for row in rows if row[metric] is not None), key=lambda row: -row[metric])[:TOP]
    texts = [f"{row['name']} {catalogue.written(metric, row[metric])}" for row in found]
    return f"{catalogue.label(metric)}: {', '.join(texts)}" if texts else say("no_data")
