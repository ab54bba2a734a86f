"""Tables: sorted by their values, shown as people write them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from dashboards import charts, words

MOST_ROWS = 15
YOUNG = "◌ "
"""The sign of what may still change."""
UNSEEN = str.maketrans("01", "\t ")
"""Binary digits as white space, which is neither shown nor read out; a tab comes before a blank."""


def show(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    writes: Mapping[str, Callable[[Any], str]],
    *,
    young: Mapping[str, Collection[int]] | None = None,
    width: Literal["stretch", "content"] = "stretch",
    height: int | None = None,
    key: str | None = None,
    picks: bool = False,
) -> list[int]:
    """Show rows under columns (Streamlit's), each value as it is written; return the row that is picked, if one is.

    `young`: of which columns which rows may still change; these are marked and grey.
    """
    if height is None and len(rows) > MOST_ROWS:
        height = 35 * (MOST_ROWS + 1)
    event: Any = st.dataframe(
        _written(rows, writes, young or {}), hide_index=True, placeholder=words.NOTHING, width=width,
        height=height or "content", key=key, column_config=dict(columns), selection_mode="single-row",
        on_select="rerun" if picks else "ignore",
    )  # fmt: skip
    return list(event["selection"]["rows"]) if picks else []


def _written(
    rows: Sequence[Mapping[str, Any]],
    writes: Mapping[str, Callable[[Any], str]],
    young: Mapping[str, Collection[int]],
) -> Any:
    """Return rows with values as people write them, in texts that sort as the values do; grey what may still change."""
    data = pd.DataFrame(rows)
    for name, write in writes.items():
        texts = [
            f"{YOUNG}{write(row[name])}" if place in young.get(name, ()) and row[name] is not None else write(row[name])
            for place, row in enumerate(rows)
        ]
        data[name] = [mark + text for mark, text in zip(_marks([row[name] for row in rows]), texts, strict=True)]
    shown = data.style.format(str.strip, subset=[*writes])
    return shown.map(lambda text: f"color: {charts.faint()}" if YOUNG in text else "", subset=[*writes])


def _marks(values: Sequence[Any]) -> list[str]:
    """Return for each value its place among all in white space, no value first.

    A cell's text is what is read out and what is sorted by, both: without marks "9 dk" would come after "10 sa".
    """
    places = {value: place for place, value in enumerate(sorted({value for value in values if value is not None}), 1)}
    length = len(places).bit_length()
    return [f"{places.get(value, 0):0{length}b}".translate(UNSEEN) if length else "" for value in values]
