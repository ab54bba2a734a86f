"""The funnel by platform, campaign or form: how far the leads of each came."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards import address, charts, grid, names, words
from dashboards.figures import Ask, Figures
from dashboards.views.board import Shown
from dashboards.words import say

LATER = charts.STAGES[1:-1]
"""Stages shown as a share of the leads; the last one is the conversion rate."""
USUAL = "campaign"
WRITES = {"leads": words.number, "rate": words.share, "speed": words.span}
"""The columns of figures and how each is written."""


def ask(dimensions: Sequence[str]) -> Ask:
    """Return what is to be asked for the dimension that the address names."""
    by = address.chosen(dimensions, "by", USUAL)
    return Ask(("funnel_reached", "conversion_rate", "speed_to_lead_s"), by=(by,))


def show(shown: Shown, dimensions: Sequence[str]) -> None:
    """Show one row for each value of the dimension that is chosen."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(say("breakdown"), anchor=False)
        by = address.one_of(say("by"), dimensions, "by", say, usual=USUAL, label_visibility="collapsed")
    groups = _groups(shown.figures, ask(dimensions))
    young = {"rate": [place for place, group in enumerate(groups) if not group.get("is_mature")]}
    grid.show([_row(group) for group in groups], _columns(by), WRITES, young=young)


def _groups(found: Figures, asked: Ask) -> list[dict[str, Any]]:
    (by,), reply = asked.by, found[asked]
    groups: dict[str | None, dict[str, Any]] = {}
    for name in asked.names:
        for row in reply.series(name):
            group = groups.setdefault(row[by], {"name": names.label(by, row[by])})
            group |= {row["stage"]: row[name] or 0} if "stage" in row else {name: row[name]}
            if name == "conversion_rate":
                group["is_mature"] = row.get("is_mature")
    return sorted(groups.values(), key=lambda group: -group.get("lead", 0))


def _row(group: dict[str, Any]) -> dict[str, Any]:
    leads = group.get("lead", 0)
    return {
        "name": group["name"],
        "leads": leads,
        "rate": group.get("conversion_rate"),
        "speed": group.get("speed_to_lead_s"),
        **{stage: 100 * group.get(stage, 0) / leads if leads else None for stage in LATER},
    }


def _columns(by: str) -> dict[str, Any]:
    column = st.column_config
    shares = {
        stage: column.ProgressColumn(
            say(f"stage.{stage}"),
            format="%%%.0f" if words.language() == "tr" else "%.0f%%",
            min_value=0,
            max_value=100,
            width=120,
        )
        for stage in LATER
    }
    return {
        "name": column.TextColumn(say(by), width=230, pinned=True),
        "leads": column.TextColumn(say("leads"), alignment="right", width=75),
        **shares,
        "rate": column.TextColumn(say("conversion"), help=say("conversion.help"), alignment="right", width=115),
        "speed": column.TextColumn(say("speed"), alignment="right", width=130),
    }
