"""The funnel by platform, campaign or form: how far the leads of each came."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import address, charts, names, queries, words
from dashboards.queries import Scope
from dashboards.views.table import height
from dashboards.words import say

LATER = charts.STAGES[1:-1]
"""Stages shown as a share of the leads; the last one is the conversion rate."""


def show(scope: Scope, dimensions: Sequence[str]) -> None:
    """Show one row for each value of the dimension that is chosen."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(say("breakdown"), anchor=False)
        by = address.one_of(say("by"), dimensions, "by", say, usual=dimensions[1], label_visibility="collapsed")
    table = _table(scope, by)
    st.dataframe(table, hide_index=True, column_config=_columns(by), width="stretch", height=height(len(table)))


def _table(scope: Scope, by: str) -> pd.DataFrame:
    asked = ("funnel_reached", "conversion_rate", "speed_to_lead_s")
    groups: dict[str | None, dict[str, Any]] = {}
    for row in queries.kpis(scope, *asked, by=[by], language=words.language()).rows:
        group = groups.setdefault(row[by], {"name": names.label(by, row[by])})
        group |= {row["stage"]: row["funnel_reached"] or 0} if "stage" in row else row
    rows = [_row(group) for group in sorted(groups.values(), key=lambda group: -group.get("lead", 0))]
    return pd.DataFrame(rows, columns=["name", "leads", *LATER, "rate", "speed"])


def _row(group: dict[str, Any]) -> dict[str, Any]:
    leads = group.get("lead", 0)
    state = say("mature" if group.get("is_mature") else "provisional")
    return {
        "name": group["name"],
        "leads": words.number(leads),
        **{stage: 100 * group.get(stage, 0) / leads if leads else None for stage in LATER},
        "rate": f"{words.share(group.get('conversion_rate'))} · {state}",
        "speed": words.span(group.get("speed_to_lead_s")),
    }


def _columns(by: str) -> dict[str, Any]:
    column = st.column_config
    shares = {
        stage: column.ProgressColumn(say(f"stage.{stage}"), format="%.0f %%", min_value=0, max_value=100, width=120)
        for stage in LATER
    }
    return {
        "name": column.TextColumn(say(by), width=265, pinned=True),
        "leads": column.TextColumn(say("leads"), alignment="right", width=75),
        **shares,
        "rate": column.TextColumn(say("conversion"), help=say("conversion.help"), alignment="right", width=130),
        "speed": column.TextColumn(say("speed"), alignment="right", width=140),
    }
