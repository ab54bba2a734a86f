"""What is so at this moment: queues, agents, dialling campaigns, the day so far; kept for seconds only."""

from datetime import UTC, date, datetime
from typing import Any

import streamlit as st

from dashboards import session
from dashboards.words import ZONE

SOON = 5
"""Seconds within which a live answer comes, or the API counts as silent: a board must not stand still unmarked."""
NOT_OVER = ("running", "draining", "paused", "draft")
"""The statuses of dialling campaigns that are not over, in the order in which they matter."""


def _live(path: str, token: str, language: str = "en", **params: Any) -> Any:
    return session.send("GET", path, token, language, params=params, timeout=SOON)


@st.cache_data(ttl=1, show_spinner=False)
def _board(who: str, _token: str) -> dict[str, Any]:
    return _live("/queue/board", _token)


def board() -> dict[str, Any]:
    """Return how each queue stands at this moment."""
    return _board(session.who(), session.token())


@st.cache_data(ttl=1, show_spinner=False)
def _agents(who: str, _token: str) -> dict[str, Any]:
    return _live("/dashboard/agents", _token)


def agents() -> dict[str, Any]:
    """Return the agents and how they stand at the telephone."""
    return _agents(session.who(), session.token())


@st.cache_data(ttl=300, show_spinner=False)
def _pause_reasons(who: str, _token: str, language: str) -> dict[str, str]:
    return {row["code"]: row["label"] for row in _live("/pbx/pause-reasons", _token, language)["items"]}


def pause_reasons(language: str) -> dict[str, str]:
    """Return what the firm calls its reasons for a pause; nothing for who may not see them."""
    if not (session.may("agent.work") or session.may("agent.supervise")):
        return {}
    return _pause_reasons(session.who(), session.token(), language)


@st.cache_data(ttl=5, show_spinner=False)
def _dialling(who: str, _token: str) -> dict[str, Any]:
    found = [
        item["id"]
        for status in NOT_OVER
        for item in session.every("/dialer/campaigns", _token, timeout=SOON, status=status)
    ]
    paths = [path for each in found for path in (f"/dialer/campaigns/{each}", f"/dialer/campaigns/{each}/budget")]
    answers = session.send_all([("GET", path, {"timeout": SOON}) for path in paths], _token, "en")
    if refusal := next((each for each in answers if isinstance(each, session.Refused) and each.status != 404), None):
        raise refusal
    pairs = zip(answers[::2], answers[1::2], strict=True)
    # One that was deleted a moment ago is not told.
    items = [one | {"budget": budget} for one, budget in pairs if isinstance(one, dict) and isinstance(budget, dict)]
    return {"as_of": datetime.now(UTC).isoformat(), "items": items}


def dialling() -> dict[str, Any]:
    """Return the dialling campaigns that are not over, each with its error budget."""
    return _dialling(session.who(), session.token())


@st.cache_data(ttl=5, show_spinner=False)
def _queue_day(who: str, _token: str, day: date) -> dict[str, Any]:
    asked = {"since": day.isoformat(), "until": day.isoformat()}
    by_queue, total = (_live("/queue/statistics", _token, **asked, by=by)["items"] for by in ("queue", "all"))
    return {"as_of": datetime.now(UTC).isoformat(), "items": by_queue, "total": total}


def queue_day() -> dict[str, Any]:
    """Return the figures of today, by queue and in all."""
    return _queue_day(session.who(), session.token(), datetime.now(ZONE).date())
