"""How the API is doing: requests, server errors and durations by route, refreshed by itself."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards import address, charts, queries, session, words
from dashboards.words import say

COLUMNS = ("method", "route", "requests", "errors", "error_rate", "p50_ms", "p95_ms")


def show() -> None:
    """Show the page for the stretch of time that its address names."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(say("health"), anchor=False)
        last = address.one_of(say("period"), ("1h", "24h"), "last", say, label_visibility="collapsed")
    st.caption(say("health.help"))
    queries.api_health(last)  # a refusal shows on the page, not inside the part that refreshes
    _figures(last)


@st.fragment(run_every=10)
def _figures(last: str) -> None:
    if not session.is_open():
        return
    try:
        found = queries.api_health(last)
    except session.Silent:
        st.info(say("no_api", url=session.url()), icon=":material/cloud_off:")
        return
    except session.Refused:
        return  # the next full run says so, or renews the session
    rows: list[dict[str, Any]] = found["routes"]
    if not rows:
        st.info(say("health.empty"), icon=":material/search_off:")
        return
    requests, errors = sum(row["requests"] for row in rows), sum(row["errors"] for row in rows)
    slowest = max(rows, key=lambda row: row["p95_ms"])
    with st.container(horizontal=True, gap="small"):
        st.metric(say("requests"), words.number(requests), border=True, height="stretch")
        quiet: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True, "height": "stretch"}
        st.metric(say("errors"), words.number(errors), words.share(errors / requests, 2), **quiet)
        st.metric(say("slowest"), f"{words.number(slowest['p95_ms'], 1)} ms", slowest["route"], **quiet)
    with st.container(border=True):
        st.header(say("durations"), anchor=False)
        slow = sorted(rows, key=lambda row: -row["p95_ms"])[:3]
        said = ", ".join(f"{row['method']} {row['route']} {words.number(row['p95_ms'], 1)} ms" for row in slow)
        st.altair_chart(charts.durations(rows), theme=None, alt=f"{say('slowest')}: {said}")
    table = pd.DataFrame(rows).sort_values("requests", ascending=False)
    table["error_rate"] *= 100
    st.dataframe(
        table, hide_index=True, width="stretch", column_order=COLUMNS,
        column_config={
            "method": st.column_config.TextColumn(say("method"), width="small"),
            "route": st.column_config.TextColumn(say("route"), width="large"),
            "requests": st.column_config.NumberColumn(say("requests"), format="localized"),
            "errors": st.column_config.NumberColumn(say("errors")),
            "error_rate": st.column_config.NumberColumn("%", format="%.2f"),
            "p50_ms": st.column_config.NumberColumn(f"{say('p50')} (ms)", format="%.1f"),
            "p95_ms": st.column_config.NumberColumn("p95 (ms)", format="%.1f"),
        },
    )  # fmt: skip
