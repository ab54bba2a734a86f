"""What the gates hold back from the numbers and why, letting it in, and what the person on duty was told."""

import re
from html import escape
from typing import Any

import streamlit as st

from dashboards import markup, queries, session, words
from dashboards.charts import GREEN, ORANGE
from dashboards.queries import Scope
from dashboards.words import name_of, say

SIGNS = {
    "held": ("■", markup.VERMILLION),
    "error": ("■", markup.VERMILLION),
    "warning": ("▲", ORANGE),
}
DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
BECAUSE = ("checked_at_source", "campaign_paused", "campaign_started", "source_was_down", "holiday")
"""Why somebody lets in what is held: codes that stay with it."""


def show_held(_scope: Scope) -> None:
    """Show what is held or was let through to be looked at, whatever the period."""
    st.html(markup.STYLE)
    _thank()
    st.header(say("quality.held"), anchor=False, help=say("quality.held.help"))
    found = queries.quarantine()
    held = [hold for hold in found if hold["status"] == "held"]
    if not held:
        st.success(say("quality.held.none"), icon=":material/check_circle:")
    for hold in held:
        with st.container(border=True, key=f"hold-{hold['id']}"):
            _hold(hold)
    if warned := [hold for hold in found if hold["status"] != "held"]:
        _warned(warned)


def _warned(found: list[dict[str, Any]]) -> None:
    """List what is in the numbers and only wants a look."""
    heads = [escape(say(f"warned.{key}")) for key in ("what", "why", "since")]
    rows = [
        markup.row(
            escape(_what(hold)),
            (escape("; ".join(_reasons(hold))), escape(words.instant(hold["since"]))),
            right=(2,),
        )
        for hold in found
    ]
    with st.container(border=True):
        st.header(say("warned"), anchor=False, help=say("warned.help"))
        table = markup.table(say("warned"), heads, rows, widths=(40, 44, 16), right=(2,))
        st.html(f'<div class="floor wraps">{table}</div>')


def _reasons(hold: dict[str, Any]) -> list[str]:
    reasons: list[str] = hold["reasons_tr"] if words.language() == "tr" else hold["reasons"]
    return reasons


def _hold(hold: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<div class="floor">{_sign(hold["status"])}<b>{escape(_what(hold))}</b></div>', width="content")
        if hold["may_be_released"] and session.may("quarantine.release"):
            st.button(
                say("quality.release"), icon=":material/input:", key=f"release-{hold['id']}", on_click=_open,
                args=(hold,),
            )  # fmt: skip
    st.html(f'<ul class="said">{"".join(f"<li>{escape(reason)}</li>" for reason in _reasons(hold))}</ul>')
    since = words.instant(hold["since"], shape="d MMMM y HH:mm")
    judged = words.instant(hold["judged_at"], shape="d MMMM HH:mm")
    st.caption(say("quality.since", since=since, judged=judged))


def _sign(kind: str) -> str:
    sign, colour = SIGNS.get(kind, ("●", markup.GREY))
    return (
        f'<span class="sign" style="color:{colour}" aria-hidden="true">{sign}</span>'
        f'<span class="tag">{escape(name_of("hold", kind))}</span> &nbsp;'
    )


def _what(hold: dict[str, Any]) -> str:
    """Return what a set is, without the firm, who knows its name, and its day as days are written here."""
    label = hold["label"].partition(", ")[2] or hold["label"]
    days = [words.day_of(hold["day"])] if hold["day"] else []
    return " · ".join([name_of("feed", hold["feed"]), label.removesuffix(f", {hold['day']}"), *days])


def _open(hold: dict[str, Any]) -> None:
    st.session_state["releasing"] = hold


def ask_before_release(_scope: Scope) -> None:
    """Ask whether and why the set that was pointed at is let into the numbers."""
    hold = st.session_state.pop("releasing", None)
    if hold:
        st.dialog(say("quality.release.title"))(_confirm)(hold)


def _confirm(hold: dict[str, Any]) -> None:
    st.markdown(f"**{markup.plain(_what(hold))}**")
    st.markdown(say("quality.release.sure"))
    because = st.selectbox(say("quality.because"), BECAUSE, format_func=lambda code: name_of("because", code))
    if not st.button(say("quality.release.yes"), type="primary", icon=":material/input:", width="stretch"):
        return
    try:
        queries.release(hold["id"], str(because))
    except session.Refused as refusal:
        st.error(say("refused", message=str(refusal)), icon=":material/error:")
        return
    st.session_state["released"] = _what(hold)
    st.rerun()


def _thank() -> None:
    if what := st.session_state.pop("released", None):
        st.success(say("quality.released", what=markup.plain(what)), icon=":material/check_circle:")


def show_alerts(_scope: Scope) -> None:
    """Show what was told to the person on duty, what stands first."""
    if not session.may("alert.view"):
        return
    st.header(say("quality.alerts"), anchor=False, help=say("quality.alerts.help"))
    found = sorted(queries.alerts(), key=lambda alert: not alert["is_open"])
    if not found:
        st.success(say("quality.alerts.none"), icon=":material/check_circle:")
        return
    heads = [escape(say(f"alert.{key}")) for key in ("state", "at", "what", "owner", "subject")]
    rows = [_alert(alert) for alert in found]
    with st.container(border=True):
        table = markup.table(say("quality.alerts"), heads, rows, widths=(13, 13, 48, 14, 12), right=())
        st.html(f'<div class="floor wraps">{table}</div>')


def _alert(alert: dict[str, Any]) -> str:
    sign, colour = SIGNS.get(alert["severity"], ("●", markup.GREY)) if alert["is_open"] else ("✓", GREEN)
    state = name_of("alert", "open" if alert["is_open"] else "over")
    signed = f'<span class="sign" style="color:{colour}" aria-hidden="true">{sign}</span>{escape(state)}'
    said = DAY.sub(lambda day: words.day_of(day[0]), alert["sentence_tr" if words.language() == "tr" else "sentence"])
    cells = (
        escape(words.instant(alert["raised_at"])),
        "<br>".join(escape(each) for each in said.split("; ")),
        escape(alert["owner"].removeprefix("team:").replace("-", " ")),
        f"<code>{escape(alert['subject'])}</code>",
    )
    return markup.row(signed, cells, right=(), kind="" if alert["is_open"] else "faint")
