"""How the API is doing: requests, server errors and durations by route, refreshed by itself."""

from typing import Any

import streamlit as st

from dashboards import address, charts, grid, queries, session, words
from dashboards.words import say

WRITTEN = {
    "requests": words.number,
    "errors": words.number,
    "error_rate": lambda value: words.share(value, 2),
    "p50_ms": lambda value: words.exact(value, 1),
    "p95_ms": lambda value: words.exact(value, 1),
}
"""The columns of figures, what matters first, and how each is written."""


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
        st.metric(say("slowest"), f"{words.number(slowest['p95_ms'])} ms", _name(slowest), **quiet)
    with st.container(border=True):
        st.header(say("durations"), anchor=False)
        slow = sorted(rows, key=lambda row: -row["p95_ms"])[:3]
        said = ", ".join(f"{_name(row)} {words.number(row['p95_ms'], 1)} ms" for row in slow)
        charts.draw(charts.durations(rows), f"{say('slowest')}: {said}")
    rows.sort(key=lambda row: -row["requests"])
    data = [{"route": _name(row)} | {key: row[key] for key in WRITTEN} for row in rows]
    columns = {
        "route": st.column_config.TextColumn(say("route"), pinned=True, width=275),
        **{key: st.column_config.TextColumn(say(key), alignment="right", width=95) for key in WRITTEN},
    }
    grid.show(data, columns, WRITTEN)


def _name(row: dict[str, Any]) -> str:
    return f"{row['method']} {row['route']}"
