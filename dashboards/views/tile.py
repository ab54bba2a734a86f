"""One head-line figure: value, change, trend, definition on hover, and the way to what is behind it."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards import catalogue, markup, plots, words
from dashboards.figures import Figures
from dashboards.layout import Tiles
from dashboards.queries import Scope
from dashboards.views import behind
from dashboards.words import say

NEITHER = frozenset({"spend", "offered", "handled", "occupancy", "callback_share", "utilisation", "platform_lead_gap"})
"""Metrics whose change is neither good nor bad by itself."""
COMPARABLE = 3
"""A figure that was less than a quarter of this one's had barely begun to be counted, and says nothing about change."""


def show_all(part: Tiles, figures: Figures, scope: Scope, grain: str) -> None:
    """Show the figures of a part side by side, as many as there is room for."""
    if part.title:
        st.header(say(part.title), anchor=False)
    now, before, trend = (figures[one] for one in part.asks(grain))
    with st.container(key=f"tiles-{len(part.names)}-{part.title.replace('.', '-')}"):
        for name, place in zip(part.names, st.columns(len(part.names), gap="small"), strict=True):
            with place:
                why = now.why_missing(name)
                value = None if why else now.value(name)
                if value is None:
                    _absent(name, why or now.why_null(name))
                    continue
                change = _change(name, value, before.value(name))
                show(name, value, change, [row[name] for row in trend.series(name)], now.is_mature(name), scope)


def show(
    name: str, value: float, change: str | None, trend: Sequence[float | None], is_final: bool, scope: Scope
) -> None:
    """Show one figure; one that is not final is grey, and says when it will be."""
    key = name.replace(".", "-")
    with st.container(border=True, key=f"tile-{key}{'' if is_final else '-provisional'}", height="stretch"):
        st.metric(
            catalogue.label(name), catalogue.written(name, value), _told(change, is_final),
            delta_color=_colour(name) if is_final else "off", delta_arrow="auto" if change else "off",
            help=catalogue.definition(name),
        )  # fmt: skip
        drawn = [each for each in trend if each is not None]
        if len(drawn) > 2:
            said = plots.said({name: [{name: each} for each in drawn]})
            st.html(markup.sparkline(drawn, said, markup.blue() if is_final else markup.GREY))
        if behind.of(name):
            said = say("open_behind", name=catalogue.label(name))
            if st.button(said, key=f"open-{key}", icon=":material/arrow_outward:", type="tertiary"):
                behind.open_for(name, scope)


def _told(change: str | None, is_final: bool) -> str | None:
    """Return what is said below a figure."""
    return " · ".join(part for part in (change, None if is_final else say("provisional")) if part) or None


def _absent(name: str, why: str) -> None:
    """Show the place of a figure that is not there, and why."""
    with st.container(border=True, key=f"tile-{name.replace('.', '-')}-absent", height="stretch"):
        st.metric(
            catalogue.label(name), words.NOTHING, reason(why), delta_color="off", delta_arrow="off",
            help=catalogue.definition(name),
        )  # fmt: skip


def reason(why: str) -> str:
    """Return in words why a figure is missing."""
    known = why in ("unknown", "no_source", "refused", "nothing", "suppressed")
    return say(f"missing.{why}") if known else say("missing.dimension", dim=words.name_of("", why).lower())


def _colour(name: str) -> Any:
    if name in NEITHER:
        return "off"
    return "inverse" if catalogue.is_better_low(name) else "normal"


def _change(name: str, now: float | None, then: float | None) -> str | None:
    """Return the change against the period before: shares in points, all else in per cent."""
    known = catalogue.kpi(name)
    if now is None or then is None:
        return None
    if known is not None and known.unit == "share":
        points = (now - then) * 100
        if abs(points) < 0.05:
            return None
        return f"{'-' if points < 0 else '+'}{words.exact(abs(points), 1)} {say('points')}"
    if not then:
        return None
    change = now / then - 1
    if abs(change) > COMPARABLE or abs(change) < 0.005:
        return None
    return f"{'-' if change < 0 else '+'}{words.share(abs(change), 0)}"
