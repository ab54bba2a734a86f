"""Metrics by a dimension: a row for each value, which opens what is behind it."""

from functools import partial
from typing import Any

import streamlit as st

from dashboards import catalogue, grid, names
from dashboards.figures import Figures
from dashboards.layout import Table
from dashboards.queries import Scope
from dashboards.views import behind, tile
from dashboards.words import say


def rows_of(part: Table, found: Figures) -> dict[str | None, dict[str, Any]]:
    """Return the metrics of each value of the dimension, from however many answers they came in."""
    together: dict[str | None, dict[str, Any]] = {}
    reply = found[part.asks("day")[0]]
    for name in part.names:
        for row in reply.series(name):
            into = together.setdefault(row[part.by], {"immature": set()})
            into[name] = row[name]
            if row.get("is_mature") is False:
                into["immature"].add(name)
    return together


def show(part: Table, found: Figures, scope: Scope, grain: str) -> None:
    """Show the table; a picked row opens the list behind it."""
    rows = rows_of(part, found)
    reply = found[part.asks(grain)[0]]
    shown = [name for name in part.names if not reply.why_missing(name)]
    opens = any(behind.of(name) for name in shown)
    st.header(say(part.title), anchor=False, help=say("row_help") if opens else None)
    if not rows or not shown:
        why = next(iter(reply.missing.values()), "nothing")
        st.caption(f":material/hourglass_empty: {tile.reason(why)}")
        return
    by_size = sorted(rows, key=lambda value: (names.is_none(value), -(rows[value].get(shown[0]) or 0)))
    order = list(rows) if part.by == "stage" else by_size  # stages have an order of their own
    data = [{"name": names.label(part.by, value)} | {name: rows[value].get(name) for name in shown} for value in order]
    writes = {name: partial(catalogue.written, name) for name in shown}
    young = {name: [place for place, value in enumerate(order) if name in rows[value]["immature"]] for name in shown}
    picked = grid.show(
        data, _columns(part, shown), writes, young=young, width="content", key=f"table-{part.title}", picks=opens
    )
    if any(row["immature"] for row in rows.values()):
        st.caption(f"{grid.YOUNG}{say('provisional')}")
    if opens:
        _open(part, shown, scope, [order[place] for place in picked])


def _columns(part: Table, shown: list[str]) -> dict[str, Any]:
    heads = {
        name: st.column_config.TextColumn(catalogue.head(name), help=catalogue.definition(name), alignment="right")
        for name in shown
    }
    return {"name": st.column_config.TextColumn(say(part.by), pinned=True), **heads}


def _open(part: Table, shown: list[str], scope: Scope, picked: list[str | None]) -> None:
    """Open the list behind a row that was picked just now; closed, it stays closed until another is picked."""
    key = f"opened-{part.title}"
    if not picked:
        st.session_state.pop(key, None)
        return
    name = next((name for name in shown if behind.of(name)), None)
    if name is None or st.session_state.get(key) == picked:
        return
    st.session_state[key] = picked
    behind.open_for(name, scope, narrowed={part.by: picked[0]} if picked[0] is not None else None)
