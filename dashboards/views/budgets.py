"""How many more people each dialling campaign may leave without an agent, as the floor shows it."""

import streamlit as st

from dashboards import live, markup, moment, session
from dashboards.queries import Scope
from dashboards.views import floor_dialling
from dashboards.words import say

SECONDS = 15


def show(_scope: Scope) -> None:
    """Show the error budgets of this moment, whatever the period."""
    if not session.may("dialling.view"):
        return
    st.html(markup.STYLE)
    st.header(say("compliance.budgets"), anchor=False, help=say("budget.help"))
    live.watch("budgets", moment.dialling, floor_dialling.draw, every=SECONDS, is_first=True)
