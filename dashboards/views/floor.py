"""The floor as it is now: queues, agents at the telephone, dialling campaigns with their error budgets, the day."""

import streamlit as st

from dashboards import live, markup, moment, session, words
from dashboards.views import floor_agents, floor_day, floor_dialling, floor_queues
from dashboards.words import say

SECONDS, SLOWER = 3, 6
"""How often what changes by the second is asked anew, and what changes by the call."""


def show() -> None:
    """Show the page, moving by itself unless that is switched off."""
    st.html(markup.STYLE)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(say("floor"), anchor=False)
        moves = st.toggle(say("live"), value=True, key="moves", help=say("live.help"))
    often, seldom = (SECONDS, SLOWER) if moves else (None, None)
    _head("queues")
    live.watch("queues", moment.board, floor_queues.draw, every=often, is_first=True)
    if session.may("dashboard.view"):
        _head("agents")
        live.watch("agents", _agents, floor_agents.draw, every=often)
    if session.may("dialling.view"):
        st.header(say("dialling"), anchor=False, help=say("budget.help"))
        live.watch("dialling", moment.dialling, floor_dialling.draw, every=seldom)
    if session.may("queue.manage") or session.may("kpi.view"):
        _head("day")
        live.watch("day", _day, floor_day.draw, every=seldom)
    else:
        st.caption(say("day.forbidden"))


def _head(key: str) -> None:
    st.header(say(key), anchor=False)


def _agents() -> dict[str, object]:
    return {**moment.agents(), "reasons": moment.pause_reasons(words.language())}


def _day() -> dict[str, object]:
    return {**moment.queue_day(), "queues": moment.board()["queues"]}
