"""The charts, as Altair specifications. Colours are Okabe and Ito's, which colour-blind people tell apart."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from dashboards import words
from dashboards.words import say

BLUE, ORANGE, GREEN, SKY = "#0072B2", "#E69F00", "#009E73", "#56B4E9"
STAGES = ("lead", "contacted", "qualified", "proposal", "sale")
BLUES = ("#9CC7E2", "#6FB0D8", "#3E92C6", "#0F78B4", "#04507F")
BLUES_DARK = ("#1F4E6B", "#2A6C94", "#3A8CBD", "#56B4E9", "#9ED6F5")

Rows = Sequence[dict[str, Any]]


def is_dark() -> bool:
    """Tell whether the visit's theme is dark."""
    return st.context.theme.type == "dark"


def _ink(faint: bool = False) -> str:
    return ("#93A1AC" if faint else "#E6EBEF") if is_dark() else ("#6B7780" if faint else "#1D2730")


def _grey() -> str:
    return "#57646E" if is_dark() else "#B8C0C6"


def funnel(rows: Rows) -> alt.LayerChart:
    """Return the funnel: a bar for each stage over the faint bar of the stage before, count and step conversion beside."""
    counts = {row["stage"]: row["funnel_reached"] or 0 for row in rows}
    data = []
    for place, stage in enumerate(STAGES):
        count, before = counts.get(stage, 0), counts.get(STAGES[max(place - 1, 0)], 0)
        step = count / before if place and before else None
        data.append(
            {
                "stage": stage,
                "label": say(f"stage.{stage}"),
                "count": count,
                "before": before,
                "text": words.number(count),
                "step": f"↓ {words.share(step)}" if place else "",
            }
        )
    top = max((row["before"] for row in data), default=1) or 1
    pick = alt.selection_point(name="stage", fields=["stage"], on="click", clear="dblclick")
    base = alt.Chart(alt.Data(values=data)).encode(
        y=alt.Y(
            "label:N", sort=[row["label"] for row in data], title=None,
            axis=alt.Axis(labelFontSize=14, labelColor=_ink(), labelPadding=10, ticks=False, domain=False, labelLimit=160),
            scale=alt.Scale(paddingInner=0.28, paddingOuter=0.1),
        )
    )  # fmt: skip
    scale = alt.Scale(domain=[0, top * 1.3])
    ghost = base.mark_bar(cornerRadius=5, color=_ink(True), opacity=0.14).encode(
        x=alt.X("before:Q", scale=scale, axis=None)
    )
    colours = alt.Scale(domain=list(STAGES), range=list(BLUES_DARK if is_dark() else BLUES))
    bars = (
        base.mark_bar(cornerRadius=5, cursor="pointer")
        .encode(
            x=alt.X("count:Q", scale=scale, axis=None),
            color=alt.Color("stage:N", scale=colours, legend=None),
            opacity=alt.condition(pick, alt.value(1.0), alt.value(0.45)),
            tooltip=[alt.Tooltip("label:N", title=" "), alt.Tooltip("text:N", title=say("leads")), alt.Tooltip("step:N", title="→")],
        )
        .add_params(pick)
    )  # fmt: skip
    counts_text = base.mark_text(align="left", dx=10, fontSize=16, fontWeight=600, color=_ink()).encode(
        x=alt.X("before:Q", scale=scale), text="text:N"
    )
    longest = max(len(row["text"]) for row in data)
    steps_text = base.mark_text(align="left", dx=22 + 9.5 * longest, fontSize=13, color=_ink(True)).encode(
        x=alt.X("before:Q", scale=scale), text="step:N"
    )
    return (
        alt.layer(ghost, bars, counts_text, steps_text)
        .properties(height=58 * len(STAGES))
        .configure_view(strokeWidth=0)
    )


def conversion(rows: Rows) -> alt.LayerChart:
    """Return conversion by a dimension: coloured where it is final, grey where it is provisional."""
    data = [
        {
            "name": row["name"],
            "rate": row["conversion_rate"] or 0.0,
            "text": words.share(row["conversion_rate"]),
            "state": say("mature" if row.get("is_mature") else "provisional"),
        }
        for row in rows
    ]
    data.sort(key=lambda row: -row["rate"])
    top = max((row["rate"] for row in data), default=0) or 0.01
    base = alt.Chart(alt.Data(values=data)).encode(
        y=alt.Y(
            "name:N", sort=[row["name"] for row in data], title=None,
            axis=alt.Axis(labelFontSize=13, labelColor=_ink(), labelPadding=8, ticks=False, domain=False, labelLimit=210),
            scale=alt.Scale(paddingInner=0.35, paddingOuter=0.15),
        ),
        x=alt.X("rate:Q", scale=alt.Scale(domain=[0, top * 1.25]), axis=None),
    )  # fmt: skip
    states = [say("mature"), say("provisional")]
    bars = base.mark_bar(cornerRadius=4).encode(
        color=alt.Color(
            "state:N",
            scale=alt.Scale(domain=states, range=[GREEN, _grey()]),
            legend=alt.Legend(title=None, orient="bottom", direction="horizontal", symbolType="circle"),
        ),
        tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("text:N", title=say("conversion")), alt.Tooltip("state:N", title=" ")],
    )  # fmt: skip
    text = base.mark_text(align="left", dx=8, fontSize=13, fontWeight=600, color=_ink()).encode(text="text:N")
    return alt.layer(bars, text).properties(height=max(150, 36 * len(data) + 40)).configure_view(strokeWidth=0)


def speed(rows: Rows) -> tuple[alt.Chart, alt.Chart]:
    """Return speed to lead over days: median and ninetieth percentile (logarithmic), and the share within 5 minutes."""
    lines, shares = [], []
    for row in rows:
        day, of_day = row["metric_time"], words.day_of(row["metric_time"])
        for key, name in (("speed_to_lead_s", say("median")), ("speed_to_lead_s_p90", say("p90"))):
            if row[key] is not None:
                lines.append(
                    {
                        "day": day,
                        "said": of_day,
                        "minutes": max(row[key] / 60, 0.1),
                        "name": name,
                        "text": words.span(row[key]),
                    }
                )
        share = row["speed_to_lead_s_share_5m"]
        if share is not None:
            shares.append({"day": day, "said": of_day, "share": share, "text": words.share(share)})
    days = sorted({row["metric_time"] for row in rows})
    every = max(1, math.ceil(len(days) / 10))
    marks = {day: words.day_of(day) for place, day in enumerate(days) if place % every == 0}
    axis = dict(
        labelColor=_ink(True), titleColor=_ink(True), titleFontWeight="normal", labelFontSize=12, titleFontSize=12
    )
    said = " : ".join(f"datum.value === '{day}' ? '{text}'" for day, text in marks.items()) or "''"
    x = alt.X(
        "day:O", title=None, sort=days, scale=alt.Scale(domain=days),
        axis=alt.Axis(values=list(marks), labelExpr=f"{said} : ''" if marks else "''", labelAngle=0, ticks=False, domain=False, **axis),
    )  # fmt: skip
    ticks = [0.5, 1, 5, 15, 60, 240, 1440, 5760]
    hours = "datum.value >= 60 ? datum.value / 60 + ' {h}' : replace('' + datum.value, '.', '{dot}') + ' {m}'"
    units = {"tr": {"h": "sa", "m": "dk", "dot": ","}, "en": {"h": "h", "m": "min", "dot": "."}}[words.language()]
    top = (
        alt.Chart(alt.Data(values=lines))
        .mark_line(point=alt.OverlayMarkDef(size=34), strokeWidth=2.4, interpolate="monotone")
        .encode(
            x=x,
            y=alt.Y("minutes:Q", title=None, scale=alt.Scale(type="log"), axis=alt.Axis(values=ticks, labelExpr=hours.format(**units), gridOpacity=0.35, domain=False, ticks=False, **axis)),
            color=alt.Color("name:N", scale=alt.Scale(domain=[say("median"), say("p90")], range=[SKY if is_dark() else BLUE, ORANGE]), legend=alt.Legend(title=None, orient="top", direction="horizontal", symbolType="circle", labelFontSize=13)),
            strokeDash=alt.StrokeDash("name:N", scale=alt.Scale(domain=[say("median"), say("p90")], range=[[1, 0], [6, 3]]), legend=None),
            tooltip=[alt.Tooltip("said:N", title=" "), alt.Tooltip("name:N", title=" "), alt.Tooltip("text:N", title=say("speed.title"))],
        )
        .properties(height=230, width="container")
    )  # fmt: skip
    percent = "'%' + round(datum.value * 100)" if words.language() == "tr" else "round(datum.value * 100) + '%'"
    bottom = (
        alt.Chart(alt.Data(values=shares))
        .mark_bar(cornerRadiusTopLeft=3, cornerRadiusTopRight=3, color=GREEN)
        .encode(
            x=x,
            y=alt.Y("share:Q", title=None, axis=alt.Axis(labelExpr=percent, tickCount=4, gridOpacity=0.35, domain=False, ticks=False, **axis)),
            tooltip=[alt.Tooltip("said:N", title=" "), alt.Tooltip("text:N", title=say("share_axis"))],
        )
        .properties(height=110, width="container", title=alt.TitleParams(say("share_axis"), anchor="start", fontSize=13, fontWeight="normal", color=_ink(True), offset=8))
    )  # fmt: skip
    return top, bottom


def durations(rows: Rows) -> alt.LayerChart:
    """Return the slowest routes: median and 95th percentile as two points on one line."""
    data = sorted(rows, key=lambda row: -row["p95_ms"])[:14]
    values = [
        {**row, "name": f"{row['method']} {row['route']}", "text": f"{words.number(row['p50_ms'], 1)} / {words.number(row['p95_ms'], 1)} ms"}
        for row in data
    ]  # fmt: skip
    y = alt.Y(
        "name:N", sort=[row["name"] for row in values], title=None,
        axis=alt.Axis(labelLimit=320, labelFontSize=12, labelColor=_ink(), labelPadding=8, ticks=False, domain=False),
    )  # fmt: skip
    scale = alt.Scale(type="symlog", constant=5, nice=True)
    axis = alt.Axis(
        labelColor=_ink(True),
        gridOpacity=0.35,
        domain=False,
        ticks=False,
        values=[0, 1, 5, 10, 25, 50, 100, 250, 1000, 5000],
    )
    base = alt.Chart(alt.Data(values=values)).encode(
        y=y, tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("text:N", title="p50 / p95")]
    )
    line = base.mark_rule(strokeWidth=3, color=_grey(), opacity=0.8).encode(
        x=alt.X("p50_ms:Q", scale=scale, title=None, axis=axis), x2="p95_ms:Q"
    )
    named = [say("p50"), say("p95")]
    colours = alt.Scale(domain=named, range=[SKY if is_dark() else BLUE, ORANGE])
    legend = alt.Legend(title=None, orient="top", direction="horizontal", labelFontSize=13)
    dots = [
        base.transform_calculate(which=f"'{name}'")
        .mark_circle(size=110, opacity=1)
        .encode(
            x=alt.X(f"{key}:Q", scale=scale, title=None, axis=axis),
            color=alt.Color("which:N", scale=colours, legend=legend),
        )
        for key, name in zip(("p50_ms", "p95_ms"), named, strict=True)
    ]
    return alt.layer(line, *dots).properties(height=max(140, 32 * len(values) + 50)).configure_view(strokeWidth=0)
