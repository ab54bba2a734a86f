"""The sales funnel: head-line figures, funnel, conversion, speed to lead, and down to one lead's timeline."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import charts, queries, session, words
from dashboards.queries import Answer, Scope
from dashboards.views import lead
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
        caption.caption("")
        st.info(say("not_published"), icon=":material/hourglass_top:")
        return
    caption.caption(say("as_of", at=words.instant(totals.as_of), definition=totals.definition))
    if not _reached(totals, "lead"):
        st.info(say("empty"), icon=":material/search_off:")
        return
    _tiles(scope, totals)
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(border=True, height="stretch"):
        _heading("funnel")
        picked = st.altair_chart(
            charts.funnel([row for row in totals.rows if "stage" in row]), on_select="rerun", selection_mode="stage",
            key="picked", theme=None,
        )  # fmt: skip
    with right, st.container(border=True, height="stretch"):
        _conversion(scope)
    with st.container(border=True):
        _speed(scope)
    with st.container(border=True):
        _breakdown(scope)
    stages = (picked.get("selection") or {}).get("stage") or []
    lead.explore(scope, stage=stages[0]["stage"] if stages else None)


def _heading(key: str) -> None:
    st.subheader(say(key), anchor=False, help=say(f"{key}.help"))


def _scope() -> Scope | None:
    """Ask for period and selection; both stay in the address. None while only one end of the period is chosen."""
    today = datetime.now(words.ZONE).date()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        period = st.date_input(
            say("period"), (today - timedelta(days=29), today), max_value=today, format=words.DATES[words.language()],
            key="period", bind="query-params", width=250,
        )  # fmt: skip
        chosen = {dim: _choose(dim) for dim in DIMENSIONS}
    if not isinstance(period, tuple) or len(period) != 2:
        return None
    return Scope(period[0], period[1], {dim: values for dim, values in chosen.items() if values})


@st.cache_data(ttl=120, show_spinner=False)
def _known(who: str, dim: str, _today: date) -> list[str]:
    """Return the values a dimension has had over the last year, the busiest first."""
    scope = Scope(_today - timedelta(days=365), _today)
    rows = queries.kpis(scope, "funnel_reached", by=[dim], language="en").rows
    leads = [row for row in rows if row["stage"] == "lead" and row[dim] is not None]
    return [row[dim] for row in sorted(leads, key=lambda row: -(row["funnel_reached"] or 0))]


def _choose(dim: str) -> Sequence[str]:
    known = _known(session.me()["id"], dim, datetime.now(words.ZONE).date())
    return st.multiselect(
        say(dim), known, format_func=lambda value: label(dim, value), key=dim, bind="query-params",
        placeholder=say("all"), width="stretch",
    )  # fmt: skip


def label(dim: str, value: str | None) -> str:
    """Return what people call a value of a dimension: a campaign's name for its platform's id."""
    if value is None or value == "unknown":
        return say("unknown")
    if dim == "campaign":
        return queries.campaigns().get(value, value)
    return words.name_of("", value) if dim == "platform" else value


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
        ("today", stats["received_today"]),
        ("waiting", stats["unassigned"]),
        ("taking", f"{stats['agents_accepting']}/{stats['agents']}"),
        ("open", stats["leads"]),
    )
    said = "  ·  ".join(
        f"{say(key)} **{value if isinstance(value, str) else words.number(value)}**" for key, value in figures
    )
    st.markdown(f":green-badge[:material/sensors: {say('now')}]  {said}")


def _reached(answer: Answer, stage: str) -> int:
    return sum(row["funnel_reached"] or 0 for row in answer.rows if row.get("stage") == stage)


def _value(answer: Answer, metric: str) -> Any:
    return next((row[metric] for row in answer.rows if metric in row), None)


def _tiles(scope: Scope, totals: Answer) -> None:
    language = words.language()
    before = queries.kpis(scope.before(), "funnel_reached", "conversion_rate", "speed_to_lead_s", language=language)
    days = queries.kpis(scope, "funnel_reached", "speed_to_lead_s", grain="day", language=language).rows
    was = before if _reached(before, "lead") else None
    speed, slow = _value(totals, "speed_to_lead_s"), was and _value(was, "speed_to_lead_s")
    with st.container(horizontal=True, gap="small"):
        for key, stage in (("leads", "lead"), ("sales", "sale")):
            now, then = _reached(totals, stage), was and _reached(was, stage)
            trend = [row["funnel_reached"] or 0 for row in days if row.get("stage") == stage]
            _tile(key, words.number(now), _change(now, then), trend)
        contacted = _reached(totals, "contacted") / _reached(totals, "lead")
        earlier = was and _reached(was, "contacted") / _reached(was, "lead")
        _tile("contacted", words.share(contacted), _points(contacted, earlier), None)
        rate = next(row for row in totals.rows if "conversion_rate" in row)
        state = say("mature" if rate["is_mature"] else "provisional")
        _tile("conversion", words.share(rate["conversion_rate"]), None, None, note=state)
        trend = [row["speed_to_lead_s"] for row in days if row.get("speed_to_lead_s") is not None]
        _tile("speed", words.span(speed), _change(speed, slow), [value / 60 for value in trend], less_is_better=True)
        fast = _value(totals, "speed_to_lead_s_share_5m")
        _tile("share_5m", words.share(fast), _points(fast, was and _value(was, "speed_to_lead_s_share_5m")), None)


def _tile(
    key: str, value: str, delta: str | None, trend: list[float] | None, *, note: str | None = None, less_is_better: bool = False
) -> None:  # fmt: skip
    st.metric(
        say(key), value, delta or note, delta_color="off" if note else "inverse" if less_is_better else "normal",
        delta_arrow="off" if note else "auto", border=True, chart_data=trend or None, chart_type="area",
        help=say("conversion.help") if key == "conversion" else say("before") if delta else None, height="stretch",
    )  # fmt: skip


def _change(now: float | None, then: float | None) -> str | None:
    if not now or not then:
        return None
    change = now / then - 1
    return ("+" if change >= 0 else "-") + words.share(abs(change), 0)


def _points(now: float | None, then: float | None) -> str | None:
    if now is None or then is None:
        return None
    change = (now - then) * 100
    return (
        ("+" if change >= 0 else "-") + words.number(abs(change), 1) + (" puan" if words.language() == "tr" else " pts")
    )


def _conversion(scope: Scope) -> None:
    st.subheader(say("conversion_by", dim=say("platform").lower()), anchor=False, help=say("conversion.help"))
    rows = queries.kpis(scope, "conversion_rate", by=["platform"], language=words.language()).rows
    st.altair_chart(
        charts.conversion([{**row, "name": label("platform", row["platform"])} for row in rows]), theme=None
    )


def _speed(scope: Scope) -> None:
    st.subheader(say("speed.title"), anchor=False, help=say("speed.help"))
    rows = queries.kpis(scope, "speed_to_lead_s", grain="day", language=words.language()).rows
    for chart in charts.speed(rows):
        st.altair_chart(chart, theme=None)


def _breakdown(scope: Scope) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(say("breakdown"), anchor=False)
        by = st.segmented_control(
            say("by"), DIMENSIONS, format_func=say, key="by", default="campaign", required=True, bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
    st.dataframe(_table(scope, str(by)), hide_index=True, column_config=_columns(str(by)), width="stretch")


def _table(scope: Scope, by: str) -> pd.DataFrame:
    language = words.language()
    found = queries.kpis(scope, "funnel_reached", "conversion_rate", "speed_to_lead_s", by=[by], language=language).rows
    groups: dict[str | None, dict[str, Any]] = {}
    for row in found:
        group = groups.setdefault(row[by], {"name": label(by, row[by])})
        if "stage" in row:
            group[row["stage"]] = row["funnel_reached"] or 0
        else:
            group |= {key: value for key, value in row.items() if key != by}
    rows = sorted(groups.values(), key=lambda group: -group.get("lead", 0))
    for row in rows:
        leads = row.get("lead") or 0
        for stage in charts.STAGES[1:]:
            row[f"{stage}_share"] = 100 * row.get(stage, 0) / leads if leads else None
        row["speed"] = words.span(row.get("speed_to_lead_s"))
        row["rate"] = words.share(row.get("conversion_rate"))
        row["state"] = say("mature" if row.get("is_mature") else "provisional")
    return pd.DataFrame(
        rows, columns=["name", "lead", *(f"{s}_share" for s in charts.STAGES[1:]), "rate", "state", "speed"]
    )


def _columns(by: str) -> dict[str, Any]:
    shares = {
        f"{stage}_share": st.column_config.ProgressColumn(
            say(f"stage.{stage}"), format="%.1f %%", min_value=0, max_value=100
        )
        for stage in charts.STAGES[1:]
    }
    return {
        "name": st.column_config.TextColumn(say(by), width="large", pinned=True),
        "lead": st.column_config.NumberColumn(say("leads"), format="localized"),
        **shares,
        "rate": st.column_config.TextColumn(say("conversion"), help=say("conversion.help"), alignment="right"),
        "state": st.column_config.TextColumn(" "),
        "speed": st.column_config.TextColumn(say("speed"), alignment="right"),
    }
