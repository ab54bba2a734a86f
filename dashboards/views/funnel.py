"""The sales funnel: head-line figures, funnel, conversion, speed to lead, and down to one lead's timeline."""

import streamlit as st

from dashboards import boards, catalogue, charts, figures, queries, session, words
from dashboards.views import board, breakdown, lead
from dashboards.words import say

REACHED = figures.Ask(("funnel_reached",))


def show() -> None:
    """Show the page for the period and the selection that its address names."""
    shown = board.begin(boards.FUNNEL, REACHED, breakdown.ask(boards.FUNNEL.dims))
    if shown is None:
        return
    _now()
    stages = shown.figures[REACHED].series("funnel_reached")
    if not any(row["funnel_reached"] for row in stages):
        st.info(say("empty"), icon=":material/search_off:")
        return
    head, conversion, *below = boards.FUNNEL.parts
    board.show_parts((head,), shown)
    with st.container(key="pair-funnel"):
        left, right = st.columns([8, 5], gap="small")
    with left, st.container(border=True, height="stretch"):
        stage = _funnel(stages)
    with right, st.container(border=True, height="stretch"):
        board.show_chart(conversion, shown)
    board.show_parts(below, shown)
    with st.container(border=True):
        breakdown.show(shown, boards.FUNNEL.dims)
    with st.container(border=True):
        lead.explore(shown.scope, stage=stage)
    board.watch(catalogue.publication())


@st.fragment(run_every=5)
def _now() -> None:
    """Show the live figures, which move by themselves."""
    if not session.is_open() or not session.may("dashboard.view"):
        return
    try:
        stats = queries.stats()
    except (session.Refused, session.Silent):
        return  # the page itself says what is wrong
    figures = (
        ("today", words.number(stats["received_today"])),
        ("waiting", words.number(stats["unassigned"])),
        ("taking", f"{stats['agents_accepting']}/{stats['agents']}"),
        ("open", words.number(stats["leads"])),
    )
    said = " &nbsp;·&nbsp; ".join(f"{say(key)} **{value}**" for key, value in figures)
    st.markdown(f":green-badge[:material/sensors: {say('now')}] &nbsp; {said}")


def _funnel(stages: queries.Rows) -> str | None:
    """Draw the funnel; return the stage that was clicked."""
    st.header(say("funnel"), anchor=False, help=say("funnel.help"))
    said = ", ".join(f"{words.name_of('stage', row['stage'])} {words.number(row['funnel_reached'])}" for row in stages)
    event = charts.draw(charts.funnel(stages), said, on_select="rerun", selection_mode="stage", key="picked")
    picked = event["selection"].get("stage") or []
    return str(picked[0]["stage"]) if picked else None
