"""The charts, as Altair specifications. Colours are Okabe and Ito's, which colour-blind people tell apart."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from dashboards import words
from dashboards.words import say

BLUE, ORANGE, GREEN, SKY = "#0072B2", "#E69F00", "#009E73", "#56B4E9"
STAGES = ("lead", "contacted", "qualified", "proposal", "sale")
BLUES = ("#9CC7E2", "#6FB0D8", "#3E92C6", "#0F78B4", "#04507F")
BLUES_IN_THE_DARK = ("#1F4E6B", "#2A6C94", "#3A8CBD", "#56B4E9", "#9ED6F5")
LONG = 50
"""Letters that there is room for beside each other in a chart's legend."""

Rows = Sequence[Mapping[str, Any]]
alt.theme.enable("none")


def is_dark() -> bool:
    """Tell whether the visit's theme is dark."""
    return st.context.theme.type == "dark"


def ink() -> str:
    """Return the colour of texts."""
    return "#E6EBEF" if is_dark() else "#1D2730"


def faint() -> str:
    """Return the colour of axes."""
    return "#93A1AC" if is_dark() else "#6B7780"


def grey() -> str:
    """Return the colour of what is provisional."""
    return "#57646E" if is_dark() else "#B8C0C6"


def blue() -> str:
    """Return the theme's blue."""
    return SKY if is_dark() else BLUE


def chart(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return an empty chart of rows."""
    return alt.Chart(alt.Data(values=list(rows)))


def names(rows: Rows, key: str, *, size: int, room: int) -> alt.Y:
    """Return the vertical axis of a bar chart: names in the order of the rows, no lines."""
    axis = alt.Axis(
        labelFontSize=size, labelColor=ink(), labelPadding=10, labelLimit=room, ticks=False, domain=False, grid=False
    )
    scale = alt.Scale(paddingInner=0.3, paddingOuter=0.12)
    return alt.Y(f"{key}:N", sort=[row[key] for row in rows], title=None, axis=axis, scale=scale)


def legend(orient: str, names: Sequence[str] = (), *, symbol: str = "circle") -> alt.Legend:
    """Return a legend without a title; long names stand one below the other."""
    return alt.Legend(
        title=None,
        orient=orient,
        direction="horizontal",
        symbolType=symbol,
        symbolSize=400 if symbol == "stroke" else 100,
        labelFontSize=13,
        labelColor=ink(),
        labelLimit=340,
        columns=1 if sum(map(len, names)) > LONG else 0,
    )


def scale_axis(**more: Any) -> alt.Axis:
    """Return a quiet axis of values."""
    return alt.Axis(labelColor=faint(), labelFontSize=12, domain=False, ticks=False, gridOpacity=0.35, **more)


def plain(value: str, shape: str = ",.2~f") -> str:
    """Return the Vega expression that writes a number as the visit's language does."""
    text = f"format({value}, '{shape}')"
    swapped = f"replace(replace(replace({text}, regexp(',', 'g'), ';'), '.', ','), regexp(';', 'g'), '.')"
    return swapped if words.language() == "tr" else text


def tips(**titles: str) -> list[alt.Tooltip]:
    """Return what is said on hover: fields with their titles."""
    return [alt.Tooltip(f"{key}:N", title=title) for key, title in titles.items()]


def bare(chart: alt.LayerChart, height: int) -> alt.LayerChart:
    """Return a chart of a height, without a frame or room below, in the page's letters; `draw` says it in words."""
    return chart.properties(height=height, padding={"bottom": 0}).configure(
        font='"Source Sans", sans-serif',
        view=alt.ViewConfig(strokeWidth=0),
        mark=alt.MarkConfig(aria=False),
        axis=alt.AxisConfig(aria=False),
        legend=alt.LegendConfig(aria=False),
    )


def draw(chart: alt.LayerChart, said: str, **more: Any) -> Any:
    """Show a chart, and say in words what it shows. Altair's own check takes longer than all else on a page."""
    return st.vega_lite_chart(spec=chart.to_dict(validate=False), theme=None, alt=said, **more)


def funnel(rows: Rows) -> alt.LayerChart:
    """Return the funnel: a bar for each stage over the faint one of the stage before, with count and step conversion.

    A click picks a stage (selection `stage`).
    """
    counts = {row["stage"]: row["funnel_reached"] or 0 for row in rows}
    data = []
    for place, stage in enumerate(STAGES):
        count, before = counts.get(stage, 0), counts.get(STAGES[max(place - 1, 0)], 0)
        step = f"↓ {words.share(count / before)}" if place and before else ""
        bar = {"stage": stage, "label": say(f"stage.{stage}"), "count": count, "before": before}
        data.append(bar | {"text": words.number(count), "step": step})
    widest = max(row["before"] for row in data) or 1
    scale = alt.Scale(domain=[0, widest * 1.38])
    before, count = (alt.X(f"{key}:Q", scale=scale, axis=None) for key in ("before", "count"))
    shades = alt.Scale(domain=list(STAGES), range=list(BLUES_IN_THE_DARK if is_dark() else BLUES))
    pick = alt.selection_point(name="stage", fields=["stage"], on="click", clear="dblclick")
    base = chart(data).encode(y=names(data, "label", size=14, room=160))
    ghost = base.mark_bar(cornerRadius=5, color=faint(), opacity=0.14).encode(x=before)
    bars = base.mark_bar(cornerRadius=5, cursor="pointer").encode(
        x=count,
        color=alt.Color("stage:N", scale=shades, legend=None),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.4)),
        tooltip=tips(label=" ", text=say("leads"), step=" "),
    )
    numbers = base.mark_text(align="left", dx=10, fontSize=16, fontWeight=600, color=ink())
    steps = base.mark_text(align="right", dx=-6, fontSize=14, color=faint())
    marks = (
        ghost,
        bars.add_params(pick),
        numbers.encode(x=before, text="text:N"),
        steps.encode(x=alt.XValue("width"), text="step:N"),
    )
    return bare(alt.layer(*marks), 56 * len(STAGES))


def periods(days: Sequence[str], grain: str) -> alt.X:
    """Return the horizontal axis of periods by their first days, each tenth or so named."""
    named = [day for place, day in enumerate(days) if place % max(1, math.ceil(len(days) / 10)) == 0]
    texts = " : ".join(f"datum.value === '{day}' ? '{words.period_of(day, grain)}'" for day in named) or "false ? ''"
    axis = alt.Axis(
        values=named, labelExpr=f"{texts} : ''", labelAngle=0, labelColor=faint(), labelFontSize=12, labelPadding=9,
        labelOverlap="parity", labelSeparation=4, ticks=False, domain=False, grid=False,
    )  # fmt: skip
    return alt.X("day:O", title=None, sort=None, scale=alt.Scale(domain=list(days)), axis=axis)


def durations(rows: Rows) -> alt.LayerChart:
    """Return the slowest routes: median and 95th percentile as the two ends of a line."""
    data = [
        {
            **row,
            "name": f"{row['method']} {row['route']}",
            "text": f"{words.number(row['p50_ms'], 1)} / {words.number(row['p95_ms'], 1)} ms",
        }
        for row in sorted(rows, key=lambda row: -row["p95_ms"])[:14]
    ]
    scale = alt.Scale(type="symlog", constant=5, nice=True)
    axis = scale_axis(values=[0, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000], labelExpr=plain("datum.value"))
    base = chart(data).encode(y=names(data, "name", size=12, room=320), tooltip=tips(name=" ", text="p50 / p95"))
    p50, p95 = (alt.X(f"{key}:Q", scale=scale, title=None, axis=axis) for key in ("p50_ms", "p95_ms"))
    colours = alt.Scale(domain=[say("p50"), say("p95")], range=[blue(), ORANGE])
    dots = [
        base.transform_calculate(which=f"'{name}'")
        .mark_circle(size=110, opacity=1)
        .encode(x=x, color=alt.Color("which:N", scale=colours, legend=legend("top")))
        for x, name in ((p50, say("p50")), (p95, say("p95")))
    ]
    line = base.mark_rule(strokeWidth=3, color=grey(), opacity=0.8).encode(x=p50, x2="p95_ms:Q")
    return bare(alt.layer(line, *dots), max(140, 32 * len(data) + 50))
