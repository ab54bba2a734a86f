"""The head-line figures, each against the period before where that one is comparable."""

from typing import Any

import streamlit as st

from dashboards import queries, words
from dashboards.queries import Answer, Scope
from dashboards.words import say

COMPARABLE = 3
"""A period with less than a third of this one's leads had barely begun, and says nothing about change."""


def reached(answer: Answer, stage: str) -> int:
    """Return how many cycles of an answer reached a stage."""
    return sum(row["funnel_reached"] or 0 for row in answer.rows if row.get("stage") == stage)


def value(answer: Answer | None, metric: str) -> Any:
    """Return a metric of an answer without dimensions; None when there is no answer."""
    return next((row[metric] for row in answer.rows if metric in row), None) if answer else None


def show(scope: Scope, totals: Answer) -> None:
    """Show the six figures in one row."""
    asked, language = ("funnel_reached", "speed_to_lead_s"), words.language()
    before: Answer | None = queries.kpis(scope.before(), *asked, language=language)
    days = queries.kpis(scope, *asked, grain="day", language=language).rows
    if before and reached(before, "lead") * COMPARABLE < reached(totals, "lead"):
        before = None
    with st.container(key="tiles"):
        places = iter(st.columns(6, gap="small"))
    for key, stage in (("leads", "lead"), ("sales", "sale")):
        now, then = reached(totals, stage), before and reached(before, stage)
        # The youngest leads have hardly had time to buy: a line of sales by day of receipt would seem to collapse.
        trend = _trend(days, "funnel_reached", stage) if stage == "lead" else None
        _tile(next(places), key, words.number(now), _change(now, then), trend)
    contacted = _contacted(totals)
    _tile(next(places), "contacted", words.share(contacted), _points(contacted, before and _contacted(before)))
    _conversion(next(places), totals)
    speed, fast = "speed_to_lead_s", "speed_to_lead_s_share_5m"
    change = _change(value(totals, speed), value(before, speed))
    _tile(next(places), "speed", words.span(value(totals, speed)), change, _trend(days, speed), less_is_better=True)
    points = _points(value(totals, fast), value(before, fast))
    _tile(next(places), "share_5m", words.share(value(totals, fast)), points, _trend(days, fast))


def _contacted(answer: Answer) -> float:
    return reached(answer, "contacted") / reached(answer, "lead")


def _conversion(place: Any, totals: Answer) -> None:
    is_mature = value(totals, "is_mature")
    place.metric(
        say("conversion"), words.share(value(totals, "conversion_rate")), say("mature" if is_mature else "provisional"),
        delta_color="off", delta_arrow="off", border=True, height="stretch", help=say("conversion.help"),
    )  # fmt: skip


def _tile(
    place: Any,
    key: str,
    text: str,
    delta: str | None,
    trend: list[float] | None = None,
    *,
    less_is_better: bool = False,
) -> None:
    place.metric(
        say(key), text, delta, delta_color="inverse" if less_is_better else "normal", border=True, chart_data=trend,
        chart_type="area", height="stretch", help=say("before") if delta else None,
    )  # fmt: skip


def _trend(days: queries.Rows, metric: str, stage: str | None = None) -> list[float]:
    return [row[metric] or 0 for row in days if metric in row and row.get("stage") == stage]


def _change(now: float | None, then: float | None) -> str | None:
    if not now or not then:
        return None
    change = now / then - 1
    return f"{'-' if change < 0 else '+'}{words.share(abs(change), 0)}"


def _points(now: float | None, then: float | None) -> str | None:
    if now is None or then is None:
        return None
    change = (now - then) * 100
    return f"{'-' if change < 0 else '+'}{words.number(abs(change), 1)} {say('points')}"
