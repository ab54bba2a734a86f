"""The calls behind a figure, and of one of them all that happened, down to the timeline of its lead."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboards import grid, names, records, session, words
from dashboards.queries import Scope
from dashboards.views import lead
from dashboards.words import name_of, say

FIELDS = ("queue", "agent", "campaign")
"""Dimensions of figures that the list of calls can be narrowed by."""


def of_scope(scope: Scope, filters: Sequence[str]) -> None:
    """Show the calls begun in a scope that pass the API's filters, and what happened in one."""
    with st.container(key="explore-over"):
        left, right = st.columns([8, 5], gap="medium")
    with left:
        chosen = _list(scope, tuple(filters))
    with right:
        if chosen:
            _call(chosen)
        else:
            st.info(say("calls.pick"), icon=":material/touch_app:")


def _list(scope: Scope, filters: tuple[str, ...]) -> dict[str, Any] | None:
    known = {dim: values for dim, values in scope.chosen.items() if dim in FIELDS}
    place = hash((scope.key, filters))
    trail: list[str] = st.session_state.setdefault(f"trail {place}", [])
    narrowed = Scope(scope.first, scope.last, known)
    page = records.calls(narrowed, filters=filters, cursor=trail[-1] if trail else None)
    if not page["items"]:
        st.info(say("calls.empty"), icon=":material/search_off:")
        return None
    rows = grid.show(
        [_row(item) for item in page["items"]], _columns(), WRITES, height=500, key=f"calls {place} {len(trail)}",
        picks=True,
    )  # fmt: skip
    with st.container(horizontal=True):
        if trail:
            st.button(say("back"), icon=":material/first_page:", key=f"first {place}", on_click=trail.clear)
        if page["next_cursor"]:
            more = {"on_click": trail.append, "args": (page["next_cursor"],)}
            st.button(say("calls.more"), icon=":material/chevron_right:", key=f"next {place}", **more)
    return page["items"][rows[0]] if rows else None


HEADS = ("at", "direction", "outcome", "queue", "agent", "talk")
WRITES = {"at": words.instant, "talk": words.clock}


def _columns() -> dict[str, Any]:
    column = st.column_config
    return {key: column.TextColumn(say(f"call.{key}")) for key in HEADS} | {
        "talk": column.TextColumn(say("call.talk"), alignment="right")
    }


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": item["requested_at"],
        "direction": words.capital(name_of("direction", item["direction"])),
        "outcome": words.capital(name_of("call", item["outcome"])),
        "queue": names.label("queue", item["queue"]) if item["queue"] else words.NOTHING,
        "agent": item["agent_name"] or words.NOTHING,
        "talk": item["talk_s"],
    }


def _call(item: dict[str, Any]) -> None:
    call = records.call(item["id"])
    st.markdown(f"### {words.instant(call['requested_at'], shape='d MMMM y HH:mm:ss')}")
    st.caption(f"{name_of('direction', call['direction'])} · {name_of('call', call['outcome'])}")
    steps = "".join(
        f"<li>{escape(words.instant(step['at'], shape='HH:mm:ss'))} · {escape(name_of('step', step['status']))}</li>"
        for step in call["steps"]
    )
    visits = "".join(_visit(visit) for visit in call["visits"])
    st.html(f'<ul class="steps">{steps}{visits}</ul>')
    if call["lead_id"] and any(session.may(permission) for permission in lead.VIEW):
        try:
            lead.show_timeline(records.lead(call["lead_id"]))
        except session.Refused as refusal:
            if refusal.status != 404:
                raise
            st.caption(say("calls.hidden_lead"))


def _visit(visit: dict[str, Any]) -> str:
    said = say(
        "calls.visit", queue=names.label("queue", visit["queue"]), wait=words.span(visit["wait_s"]),
        outcome=name_of("visit", visit["outcome"]),
    )  # fmt: skip
    return f"<li>{escape(said)}</li>"
