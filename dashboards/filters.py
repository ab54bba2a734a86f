"""The one filter bar: period, grain and dimensions, kept in the address, so that a link shows what its sender saw."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from dashboards import figures, queries, words
from dashboards.figures import Ask
from dashboards.queries import Scope
from dashboards.words import say

MEANS = {"dial_campaign": "campaign"}
"""Filters by another name than their dimension has: advertising and dialling both call something a campaign."""
GRAINS = ("day", "week", "month")
SPAN = 30
"""Days that are shown until somebody chooses others."""
ANCHORS = {
    "platform": "funnel_reached",
    "source": "funnel_reached",
    "campaign": "funnel_reached",
    "form": "funnel_reached",
    "team": "funnel_reached",
    "queue": "offered",
    "agent": "handled",
    "dial_campaign": "connect_rate",
}
"""The metric whose values of a dimension are offered, the busiest first."""


def choose(dims: Sequence[str], *, with_grain: bool = True) -> tuple[Scope | None, str]:
    """Show the bar; return the scope and the grain. No scope: only one end of the period is chosen so far."""
    today = datetime.now(words.ZONE).date()
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom", gap="small"):
        period = st.date_input(
            say("period"), (today - timedelta(days=SPAN - 1), today), max_value=today,
            format=words.DATES[words.language()], key="period", bind="query-params", width=235,
        )  # fmt: skip
        grain = str(_grain()) if with_grain else "day"
        chosen = {dim: _values(dim, known) for dim, known in _offered(dims).items()}
    if not isinstance(period, tuple) or len(period) != 2:
        return None, grain
    return Scope(period[0], period[1], {MEANS.get(dim, dim): values for dim, values in chosen.items() if values}), grain


def _grain() -> str | None:
    return st.segmented_control(
        say("grain"), GRAINS, format_func=lambda grain: say(f"grain.{grain}"), key="grain", default="day",
        required=True, bind="query-params",
    )  # fmt: skip


def _values(dim: str, known: Sequence[str]) -> Sequence[str]:
    return st.multiselect(
        say(dim), known, format_func=lambda value: queries.label(dim, value), key=dim, bind="query-params",
        placeholder=say("all"), width="stretch",
    )  # fmt: skip


def _offered(dims: Sequence[str]) -> dict[str, list[str]]:
    """Return the values that dimensions have had over the last year; a dimension nobody knows yet is not offered."""
    today = datetime.now(words.ZONE).date()
    asks = {dim: Ask((ANCHORS[dim],), by=(MEANS.get(dim, dim),)) for dim in dims}
    found = figures.ask(Scope(today - timedelta(days=365), today), asks.values())
    offered = {}
    for dim, ask in asks.items():
        (by,) = ask.by
        rows = [row for row in found[ask].rows if row.get("stage", "lead") == "lead" and row[by] is not None]
        rows.sort(key=lambda row: -(row[ANCHORS[dim]] or 0))
        if rows or ANCHORS[dim] == "funnel_reached":
            offered[dim] = [row[by] for row in rows]
    return offered
