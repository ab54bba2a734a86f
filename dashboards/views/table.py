"""Metrics by a dimension: a row for each value, which opens what is behind it."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards import catalogue, charts, names, words
from dashboards.figures import Figures
from dashboards.layout import Table
from dashboards.queries import Scope
from dashboards.views import behind, tile
from dashboards.words import say

MOST_ROWS = 15
YOUNG = "◌ "
"""The sign of what may still change."""


def height(rows: int) -> Any:
    """Return a height that shows all rows, or the first ones with a bar to scroll by."""
    return "content" if rows <= MOST_ROWS else 35 * (MOST_ROWS + 1)


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
    by_size = sorted(rows, key=lambda value: -(rows[value].get(shown[0]) or 0))
    order = list(rows) if part.by == "stage" else by_size  # stages have an order of their own
    data = _data(part, {value: rows[value] for value in order}, shown)
    event = st.dataframe(
        data, hide_index=True, width="stretch", height=height(len(order)), on_select="rerun" if opens else "ignore",
        selection_mode="single-row", key=f"table-{part.title}", column_config=_columns(part, shown),
    )  # fmt: skip
    if any(row["immature"] for row in rows.values()):
        st.caption(f"◌ {say('provisional')}")
    if opens:
        _open(part, shown, scope, [order[place] for place in event["selection"]["rows"]])


def _data(part: Table, rows: dict[str | None, dict[str, Any]], shown: list[str]) -> Any:
    """Return the table in words, which is what is read out of it too; grey what may still change."""
    data = pd.DataFrame([_texts(part, value, row, shown) for value, row in rows.items()])
    return data.style.map(lambda text: f"color: {charts.faint()}" if text.startswith(YOUNG) else "", subset=shown)


def _texts(part: Table, value: str | None, row: dict[str, Any], shown: list[str]) -> dict[str, str]:
    texts = {name: written(name, row.get(name), is_young=name in row["immature"]) for name in shown}
    return {"name": names.label(part.by, value)} | texts


def written(name: str, value: float | None, *, is_young: bool) -> str:
    """Return a value of a table as people write it, marked where it may still change."""
    text = catalogue.written(name, value)
    return f"{YOUNG}{text}" if is_young and text != words.NOTHING else text


def _columns(part: Table, shown: list[str]) -> dict[str, Any]:
    column = st.column_config.TextColumn
    heads = {name: column(catalogue.label(name), help=catalogue.definition(name), alignment="right") for name in shown}
    return {"name": column(say(part.by), pinned=True), **heads}


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
