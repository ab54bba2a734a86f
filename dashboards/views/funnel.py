"""The sales funnel: head-line figures, funnel, conversion, speed to lead, and down to one lead's timeline."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import streamlit as st

from dashboards import charts, queries, session, words
from dashboards.queries import Scope
from dashboards.views import breakdown, lead, tiles
from dashboards.words import say

DIMENSIONS = ("platform", "campaign", "form")


def show() -> None:
    """Show the page for the period and the selection that its address names."""
    st.title(say("funnel"), anchor=False)
    caption = st.empty()
    scope = _scope()
    if scope is None:
        return
    _now()
    totals = queries.kpis(scope, "funnel_reached", "conversion_rate", "speed_to_lead_s", language=words.language())
    if totals.as_of is None:
        st.info(say("not_published"), icon=":material/hourglass_top:")
        return
    caption.caption(say("as_of", at=words.instant(totals.as_of, shape="d MMMM y HH:mm"), definition=totals.definition))
    if not tiles.reached(totals, "lead"):
        st.info(say("empty"), icon=":material/search_off:")
        return
    tiles.show(scope, totals)
    with st.container(key="pair"):
        left, right = st.columns([8, 5], gap="small")
    with left, st.container(border=True, height="stretch"):
        stage = _funnel(totals.rows)
    with right, st.container(border=True, height="stretch"):
        _conversion(scope)
    with st.container(border=True):
        _speed(scope)
    with st.container(border=True):
        breakdown.show(scope, DIMENSIONS)
    with st.container(border=True):
        lead.explore(scope, stage=stage)


def _scope() -> Scope | None:
    """Ask for period and selection; both stay in the address. None while only one end of the period is chosen."""
    today = datetime.now(words.ZONE).date()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        period = st.date_input(
            say("period"), (today - timedelta(days=29), today), max_value=today, format=words.DATES[words.language()],
            key="period", bind="query-params", width=250,
        )  # fmt: skip
        chosen = {dim: _choose(dim, today) for dim in DIMENSIONS}
    if not isinstance(period, tuple) or len(period) != 2:
        return None
    return Scope(period[0], period[1], {dim: values for dim, values in chosen.items() if values})


def _choose(dim: str, today: date) -> Sequence[str]:
    """Offer the values that a dimension has had over the last year, the busiest first."""
    year = Scope(today - timedelta(days=365), today)
    rows = queries.kpis(year, "funnel_reached", by=[dim], language=words.language()).rows
    leads = [row for row in rows if row["stage"] == "lead" and row[dim] is not None]
    known = [row[dim] for row in sorted(leads, key=lambda row: -(row["funnel_reached"] or 0))]
    return st.multiselect(
        say(dim), known, format_func=lambda value: queries.label(dim, value), key=dim, bind="query-params",
        placeholder=say("all"), width="stretch",
    )  # fmt: skip


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
    st.subheader(say("funnel"), anchor=False, help=say("funnel.help"))
    chart = charts.funnel([row for row in rows if "stage" in row])
    event = st.altair_chart(chart, on_select="rerun", selection_mode="stage", key="picked", theme=None)
    picked = event["selection"].get("stage") or []
    return str(picked[0]["stage"]) if picked else None


def _conversion(scope: Scope) -> None:
    st.subheader(say("conversion_by"), anchor=False, help=say("conversion.help"))
    rows = queries.kpis(scope, "conversion_rate", by=["platform"], language=words.language()).rows
    named = [{**row, "name": queries.label("platform", row["platform"])} for row in rows]
    st.altair_chart(charts.conversion(named), theme=None)


def _speed(scope: Scope) -> None:
    st.subheader(say("speed.title"), anchor=False, help=say("speed.help"))
    rows = queries.kpis(scope, "speed_to_lead_s", grain="day", language=words.language()).rows
    st.altair_chart(charts.speed(rows), theme=None)
    st.caption(say("share_axis"))
    st.altair_chart(charts.share_within(rows), theme=None)
