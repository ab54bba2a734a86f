"""A page of figures, drawn from its table of contents."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from dashboards import catalogue, charts, downloads, figures, filters, names, plots, session, words
from dashboards.figures import Ask, Figures
from dashboards.layout import Board, Pair, Part, Ranking, Stacked, Table, Tiles, Trend
from dashboards.queries import Scope
from dashboards.views import table, tile
from dashboards.words import say

LOOKS = 20
"""Seconds between two looks for another publication."""
Extra = Callable[[Scope], None]


def page(board: Board, *below: Extra, above: Sequence[Extra] = ()) -> Callable[[], None]:
    """Return what shows a board, and above and below its figures some parts of its own."""

    def show() -> None:
        _show(board, above, below)

    show.__name__ = board.key  # Streamlit knows pages by it
    return show


def _show(board: Board, above: Sequence[Extra], below: Sequence[Extra]) -> None:
    shown = begin(board)
    if shown is None:
        return
    for extra in above:
        extra(shown.scope)
    show_parts(mine(board).parts, shown)
    for extra in below:
        extra(shown.scope)
    watch(catalogue.publication())


@dataclass(frozen=True)
class Shown:
    """The figures of a page, and of what they are."""

    figures: Figures
    scope: Scope
    grain: str


def begin(board: Board, *more: Ask) -> Shown | None:
    """Show title, filter bar and download of a board; return its figures, and those asked for besides.

    None: there is nothing to show, and the page says why.
    """
    with st.container(key="head", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(say(board.key), anchor=False)
        place = st.empty()
    caption = st.empty()
    scope, grain = filters.choose(board.dims)
    if scope is None:
        return None
    asks = (*mine(board).asks(grain), *more)
    found = figures.ask(scope, asks)
    if found.as_of is None and catalogue.publication() is None:
        st.info(say("not_published"), icon=":material/hourglass_top:")
        return None
    with place:
        downloads.offer(board.key, asks, found, scope)
    caption.caption(_up_to(found.as_of or catalogue.publication(), scope))
    return Shown(found, scope, grain)


def mine(board: Board) -> Board:
    """Return a board as far as its figures are for the signed-in person: who may see a team's is told no others."""
    return board if session.may("kpi.view") else board.of(catalogue.catalogue())


def show_parts(parts: Iterable[Part | Pair], shown: Shown) -> None:
    """Show parts of a board from top to bottom."""
    for part in parts:
        _part(part, shown)


def _up_to(instant: str | None, scope: Scope) -> str:
    at = words.instant(instant, shape="d MMMM y HH:mm")
    first, last = words.day_of(scope.first.isoformat()), words.day_of(scope.last.isoformat())
    days = words.number((scope.last - scope.first).days + 1)
    return f"{say('up_to', at=at, first=first, last=last)}. {say('against', days=days)} {say('next_look')}"


def _part(part: Part | Pair, shown: Shown) -> None:
    match part:
        case Tiles():
            tile.show_all(part, shown.figures, shown.scope, shown.grain)
        case Pair(left, right):
            with st.container(key=f"pair-{left.title.replace('.', '-')}"):
                places = st.columns(2, gap="small")
            for place, each in zip(places, (left, right), strict=True):
                with place, st.container(border=True, height="stretch"):
                    show_chart(each, shown)
        case Trend() | Ranking():
            with st.container(border=True):
                show_chart(part, shown)
        case Stacked():
            with st.container(border=True):
                _stacked(part, shown)
        case Table():
            with st.container(border=True):
                table.show(part, shown.figures, shown.scope, shown.grain)


def show_chart(part: Trend | Ranking, shown: Shown) -> None:
    """Show metrics over time or by a dimension, or why there is nothing of them to show."""
    reply = shown.figures[part.asks(shown.grain)[0]]
    metrics = part.names if isinstance(part, Trend) else (part.metric,)
    st.header(say(part.title), anchor=False, help="\n\n---\n\n".join(catalogue.definition(name) for name in metrics))
    series = {name: rows for name in metrics if (rows := reply.series(name))}
    if not any(row[name] is not None for name, rows in series.items() for row in rows):
        why = next(iter(reply.missing.values()), "nothing")
        st.caption(f":material/hourglass_empty: {tile.reason(why)}")
    elif isinstance(part, Trend):
        chart = plots.over_time(
            series, shown.scope.periods(shown.grain), shown.grain, limit=part.limit, are_bars=part.is_bars
        )
        charts.draw(chart, plots.said(series))
        if any(row.get("is_mature") is False for rows in series.values() for row in rows):
            st.caption(f"○ {say('hollow')}")
    else:
        rows = [{**row, "name": names.label(part.by, row[part.by])} for row in reply.series(part.metric)]
        chart = plots.ranking(part.metric, rows, limit=part.limit)
        charts.draw(chart, plots.said_ranking(part.metric, rows))


def _stacked(part: Stacked, shown: Shown) -> None:
    reply = shown.figures[part.asks(shown.grain)[0]]
    st.header(say(part.title), anchor=False, help=catalogue.definition(part.metric))
    rows = [{**row, "name": names.label(part.by, row[part.by])} for row in reply.series(part.metric)]
    if not any(row[part.metric] for row in rows):
        st.caption(f":material/hourglass_empty: {tile.reason(next(iter(reply.missing.values()), 'nothing'))}")
        return
    found_values = dict.fromkeys(row[part.by] for row in rows)
    order = [names.label(part.by, value) for value in sorted(found_values, key=names.place_of(part.by))]
    totals = {name: sum(row[part.metric] or 0 for row in rows if row["name"] == name) for name in order}
    said = ", ".join(f"{name} {catalogue.written(part.metric, total)}" for name, total in totals.items())
    chart = plots.stacked(part.metric, rows, shown.scope.periods(shown.grain), shown.grain, order)
    charts.draw(chart, said)


@st.fragment(run_every=LOOKS)
def watch(shown: str | None) -> None:
    """Look for another publication by and by; show the page anew once another publication stands."""
    try:
        if session.is_open() and catalogue.publication() != shown:
            st.rerun()
    except session.Silent:
        return  # the next full run says so
    except session.Refused as refusal:
        if refusal.status == 401:
            st.rerun()  # renews a session that ran out; one that was ended shows nothing any more
