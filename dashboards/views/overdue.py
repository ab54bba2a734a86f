"""What is overdue at this moment: open clocks that are due, and the timeline of the lead behind one."""

from functools import partial
from typing import Any

import streamlit as st

from dashboards import grid, names, records, session, words
from dashboards.queries import Scope
from dashboards.views import lead
from dashboards.words import name_of, say

MOST = 50
"""Clocks that are asked for."""


def show(scope: Scope) -> None:
    """List what is overdue now, whatever the period; of one team when one is chosen."""
    if not session.may("sla.view"):
        return
    with st.container(border=True):
        st.header(say("sla.overdue"), anchor=False, help=say("sla.overdue.help"))
        teams = scope.chosen.get("team", ())
        page = records.overdue(teams[0] if len(teams) == 1 else None, limit=MOST)
        items = [item for item in page["items"] if not teams or item["team_id"] in teams]
        if not items:
            st.success(say("sla.overdue.none"), icon=":material/check_circle:")
            return
        picked = grid.show(
            [_row(item) for item in items], _columns(), WRITES, width="content", key="overdue", picks=True
        )
        if page["next_cursor"]:
            st.caption(say("overdue.more", n=MOST))
        _open([items[place]["lead_id"] for place in picked])


HEADS = ("kind", "late", "due", "status", "owner", "team")
WRITES = {"late": partial(words.span, in_days=False), "due": words.instant}


def _columns() -> dict[str, Any]:
    column = st.column_config
    late = column.TextColumn(say("overdue.late"), help=say("overdue.late.help"), alignment="right")
    return {key: column.TextColumn(say(f"overdue.{key}")) for key in HEADS} | {"late": late}


def _row(item: dict[str, Any]) -> dict[str, Any]:
    late = item["late_by_s"] if item["late_by_s"] is not None else -(item["remaining_s"] or 0)
    return {
        "kind": words.capital(name_of("clock", item["kind"])),
        "late": late,
        "due": item["due_at"],
        "status": _statuses().get(item["lead_status"], item["lead_status"]),
        "owner": names.names_of("agent").get(item["owner_id"] or "", words.NOTHING),
        "team": names.names_of("team").get(item["team_id"] or "", words.NOTHING),
    }


def _statuses() -> dict[str, str]:
    return {row["code"]: row["label"] for row in records.statuses(words.language())}


def _open(picked: list[str]) -> None:
    """Open the lead that was picked just now; closed, it stays closed until another is picked."""
    if not picked or st.session_state.get("overdue opened") == picked:
        st.session_state["overdue opened"] = picked
        return
    st.session_state["overdue opened"] = picked
    st.dialog(say("timeline"), width="medium")(lambda: lead.show_timeline(records.lead(picked[0])))()
