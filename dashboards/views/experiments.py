"""Experiments as the API reads them out: what each variant came to, and what may be said of it."""

from html import escape
from typing import Any

import streamlit as st

from dashboards import catalogue, markup, queries, words
from dashboards.charts import GREEN
from dashboards.markup import tip, value
from dashboards.views import tile
from dashboards.words import name_of, say

FIGURES = ("exposures", "decided", "rate", "difference")
RIGHT = (1, 2, 3, 4)


def show() -> None:
    """Show every experiment, the latest first."""
    st.html(markup.STYLE)
    with st.container(key="head", horizontal=True):
        st.title(say("experiments"), anchor=False)
    st.caption(say("experiments.help"))
    found = queries.experiments()
    if not found:
        st.info(say("experiments.none"), icon=":material/science:")
        return
    for each in found:
        with st.container(border=True):
            _experiment(each)


def _experiment(each: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(each["key"], anchor=False)
        st.badge(name_of("experiment", each["status"]), color="green" if each["status"] == "running" else "gray")
    st.markdown(markup.plain(each["hypothesis"]))
    st.caption(_design(each))
    if each["status"] == "draft":
        return
    readout = queries.readout(each["id"])
    st.html(f'<div class="floor">{_ratio(readout)}{_table(each, readout)}</div>')
    at = words.instant(readout["outcomes_as_of"] or readout["as_of"], shape="d MMMM y HH:mm")
    st.caption(say("experiments.as_of", at=at))


def _design(each: dict[str, Any]) -> str:
    began = words.instant(each["started_at"], shape="d MMM y") if each["started_at"] else words.NOTHING
    ended = words.instant(each["stopped_at"], shape="d MMM y") if each["stopped_at"] else "…"
    measured = catalogue.label(each["metric"]) if each["metric"] != "event" else say("experiments.event")
    return say(
        "experiments.design", metric=measured, days=words.number(each["window_days"]), began=began, ended=ended
    )  # fmt: skip


def _ratio(readout: dict[str, Any]) -> str:
    """Say whether people were shared out as designed: where they were not, nothing else may be believed."""
    sign = ("✓", GREEN) if readout["ratio_verdict"] in ("kept", "no_units") else ("▲", markup.VERMILLION)
    said = readout["ratio_sentence"].get(words.language(), "")
    return (
        f'<p><span class="sign" style="color:{sign[1]}" aria-hidden="true">{sign[0]}</span>{escape(said)}</p>'
        if said
        else ""
    )


def _table(each: dict[str, Any], readout: dict[str, Any]) -> str:
    heads = (
        escape(say("experiments.variant")),
        *(tip(say(f"experiments.{key}"), say(f"experiments.{key}.help")) for key in FIGURES),
    )
    rows = [_row(one, is_winner=each["winner"] == one["key"]) for one in readout["variants"]]
    said = "".join(
        f"<p>{escape(one['sentence'][words.language()])}</p>" for one in readout["variants"] if one["sentence"]
    )
    return markup.table(each["key"], heads, rows, widths=(28, 15, 15, 15, 27), right=RIGHT) + said


def _row(one: dict[str, Any], *, is_winner: bool) -> str:
    control = "" if one["sentence"] else f' <span class="quiet">{escape(say("experiments.control"))}</span>'
    name = f"{escape(one['key'])}{' ★' if is_winner else ''}{control}"
    hidden = words.capital(tile.reason("suppressed")) if one["is_suppressed"] else ""
    cells = (
        value(words.number(one["exposures"]), hidden),
        value(words.number(one["decided"]), hidden),
        value(words.share(one["rate"]), hidden or say("experiments.rate.none")),
        _difference(one["difference"], hidden or say("experiments.difference.none")),
    )
    return markup.row(name, cells, right=RIGHT)


def _difference(found: dict[str, Any] | None, none: str) -> str:
    """Return the difference in points and the bounds that hold at every look; why there is `none`, where there is."""
    if found is None or found["estimate"] is None:
        return value(words.NOTHING, none)
    low, estimate, high = (_points(found[key]) for key in ("low", "estimate", "high"))
    return f'{estimate}<br><span class="quiet">[{low}; {high}]</span>'


def _points(share: float) -> str:
    return f"{'−' if share < 0 else '+'}{words.exact(abs(100 * share), 1)} {say('points')}"
