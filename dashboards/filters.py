"""The one filter bar: period, grain and dimensions, kept in the address, so that a link shows what its sender saw."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import streamlit as st

from dashboards import address, figures, names, words
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


def choose(dims: Sequence[str]) -> tuple[Scope | None, str]:
    """Show the bar; return the scope and the grain. No scope: only one end of the period is chosen so far."""
    today = datetime.now(words.ZONE).date()
    usual = (today - timedelta(days=SPAN - 1), today)
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom", gap="small"):
        shape = words.DATES[words.language()]
        period = address.period(say("period"), "period", usual, today, format=shape, width=235)
        grain = address.one_of(say("grain"), GRAINS, "grain", lambda each: say(f"grain.{each}"))
        chosen = {dim: _values(dim, known) for dim, known in _offered(dims).items()}
        if any(chosen.values()):
            st.button(
                say("clear"), icon=":material/filter_alt_off:", type="tertiary", on_click=address.clear,
                args=(list(chosen),),
            )  # fmt: skip
    _say_idle(chosen)
    if period is None:
        return None, grain
    return Scope(*period, {MEANS.get(dim, dim): values for dim, values in chosen.items() if values}), grain


def _values(dim: str, known: Sequence[str]) -> list[str]:
    return address.some_of(
        say(dim), known, dim, lambda value: names.label(dim, value), placeholder=say("all"), width="stretch"
    )  # fmt: skip


def _say_idle(shown: Mapping[str, Sequence[str]]) -> None:
    """Say which choices of other pages stay in the address without narrowing this one."""
    idle = [dim for dim in ANCHORS if dim not in shown and dim in st.query_params]
    if idle:
        st.caption(f":material/filter_alt_off: {say('idle', dims=', '.join(say(dim) for dim in idle))}")


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
        if rows:
            offered[dim] = [row[by] for row in rows]
    return offered
