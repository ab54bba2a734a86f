"""The sales funnel: head-line figures, funnel, conversion, speed to lead, and down to one lead's timeline."""

import streamlit as st

from dashboards import boards, charts, downloads, figures, filters, names, plots, queries, session, words
from dashboards.queries import Scope
from dashboards.views import board, breakdown, lead
from dashboards.words import say


def show() -> None:
    """Show the page for the period and the selection that its address names."""
    with st.container(key="head", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(say("funnel"), anchor=False)
        place = st.empty()
    caption = st.empty()
    scope, grain = filters.choose(boards.FUNNEL.dims)
    if scope is None:
        return
    _now()
    totals = queries.kpis(scope, "funnel_reached", "conversion_rate", "speed_to_lead_s", language=words.language())
    if totals.as_of is None:
        st.info(say("not_published"), icon=":material/hourglass_top:")
        return
    caption.caption(say("as_of", at=words.instant(totals.as_of, shape="d MMMM y HH:mm"), definition=totals.definition))
    if not any(row["funnel_reached"] for row in totals.rows if "stage" in row):
        st.info(say("empty"), icon=":material/search_off:")
        return
    found = figures.ask(scope, boards.FUNNEL.asks(grain))
    head, *below = boards.FUNNEL.parts
    board.show_parts((head,), found, scope, grain)
    with st.container(key="pair-funnel"):
        left, right = st.columns([8, 5], gap="small")
    with left, st.container(border=True, height="stretch"):
        stage = _funnel(totals.rows)
    with right, st.container(border=True, height="stretch"):
        _conversion(scope)
    with st.container(border=True):
        _speed(scope, grain)
    board.show_parts(below, found, scope, grain)
    with place:
        downloads.offer(boards.FUNNEL, found, scope, grain)
    with st.container(border=True):
        breakdown.show(scope, boards.FUNNEL.dims)
    with st.container(border=True):
        lead.explore(scope, stage=stage)
    board.watch(queries.publication())


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


def _funnel(rows: queries.Rows) -> str | None:
    """Draw the funnel; return the stage that was clicked."""
    st.header(say("funnel"), anchor=False, help=say("funnel.help"))
    stages = [row for row in rows if "stage" in row]
    chart = charts.funnel(stages)
    said = ", ".join(f"{words.name_of('stage', row['stage'])} {words.number(row['funnel_reached'])}" for row in stages)
    event = st.altair_chart(chart, on_select="rerun", selection_mode="stage", key="picked", theme=None, alt=said)
    picked = event["selection"].get("stage") or []
    return str(picked[0]["stage"]) if picked else None


def _conversion(scope: Scope) -> None:
    st.header(say("conversion_by"), anchor=False, help=say("conversion.help"))
    rows = queries.kpis(scope, "conversion_rate", by=["platform"], language=words.language()).rows
    named = [{**row, "name": names.label("platform", row["platform"])} for row in rows]
    st.altair_chart(charts.conversion(named), theme=None, alt=plots.said_ranking("conversion_rate", named))


def _speed(scope: Scope, grain: str) -> None:
    st.header(say("speed.title"), anchor=False, help=say("speed.help"))
    rows = queries.kpis(scope, "speed_to_lead_s", grain=grain, language=words.language()).rows
    heard = {name: [row for row in rows if name in row] for name in ("speed_to_lead_s", "speed_to_lead_s_p90")}
    st.altair_chart(charts.speed(rows, grain), theme=None, alt=plots.said(heard))
    st.caption(say("share_axis"))
    share = {"speed_to_lead_s_share_5m": rows}
    st.altair_chart(charts.share_within(rows, grain), theme=None, alt=plots.said(share))
