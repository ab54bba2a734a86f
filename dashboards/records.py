"""The records behind figures: leads, calls, and what happened to one; an answer is kept for each person and role."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import streamlit as st

from dashboards import session, words
from dashboards.queries import FRESH, Rows, Scope
from dashboards.words import ZONE


@st.cache_data(ttl=300, show_spinner=False)
def _statuses(who: str, _token: str, language: str) -> Rows:
    return session.send("GET", "/leads/statuses", _token, language)["items"]


def statuses(language: str) -> Rows:
    """Return the firm's statuses with their labels and stages."""
    return _statuses(session.who(), session.token(), language)


@st.cache_data(ttl=FRESH, show_spinner=False)
def _leads(who: str, _token: str, language: str, wanted: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return session.send("GET", "/leads", _token, language, params=list(wanted))


def leads(scope: Scope, *, filters: Sequence[str], cursor: str | None, language: str) -> dict[str, Any]:
    """Return a page of the leads received in a scope, the newest first, that pass the API's filters too."""
    wanted: list[tuple[str, Any]] = [("limit", 25), ("filter", "is_test:is:false")]
    wanted += [("filter", f"received_at:gte:{_midnight(scope.first)}")]
    wanted += [("filter", f"received_at:lt:{_midnight(scope.last + timedelta(days=1))}")]
    wanted += [("filter", among(dim, values)) for dim, values in scope.chosen.items() if values]
    wanted += [("filter", text) for text in filters]
    wanted += [("cursor", cursor)] if cursor else []
    return _leads(session.who(), session.token(), language, tuple(wanted))


def among(field: str, values: Sequence[str]) -> str:
    """Return the API's filter on any of the values, each in quotes as it may hold a comma."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return f"{field}:in:" + ",".join(f'"{value}"' for value in quoted)


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), ZONE).astimezone(UTC).isoformat()


@st.cache_data(ttl=FRESH, show_spinner=False)
def _calls(who: str, _token: str, wanted: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return session.send("GET", "/cdr", _token, "en", params=list(wanted))


def calls(scope: Scope, *, filters: Sequence[str], cursor: str | None) -> dict[str, Any]:
    """Return a page of the calls begun in a scope, the latest first, that pass the API's filters too."""
    wanted: list[tuple[str, Any]] = [("limit", 25)]
    wanted += [("filter", f"requested_at:gte:{_midnight(scope.first)}")]
    wanted += [("filter", f"requested_at:lt:{_midnight(scope.last + timedelta(days=1))}")]
    wanted += [("filter", among(dim, values)) for dim, values in scope.chosen.items() if values]
    wanted += [("filter", text) for text in filters]
    wanted += [("cursor", cursor)] if cursor else []
    return _calls(session.who(), session.token(), tuple(wanted))


@st.cache_data(ttl=5, show_spinner=False)
def _call(who: str, _token: str, call_id: str) -> dict[str, Any]:
    return session.send("GET", f"/cdr/{call_id}", _token, "en")


def call(call_id: str) -> dict[str, Any]:
    """Return a call with its legs and its stays in queues."""
    return _call(session.who(), session.token(), call_id)


@st.cache_data(ttl=5, show_spinner=False)
def _lead(who: str, _token: str, language: str, lead_id: str) -> dict[str, Any]:
    return session.send("GET", f"/leads/{lead_id}", _token, language)


def lead(lead_id: str) -> dict[str, Any]:
    """Return one lead."""
    return _lead(session.who(), session.token(), words.language(), lead_id)


@st.cache_data(ttl=5, show_spinner=False)
def _timeline(who: str, _token: str, lead_id: str) -> Rows:
    return session.send("GET", f"/leads/{lead_id}/timeline", _token, "en", params={"limit": 100})["items"]


def timeline(lead_id: str) -> Rows:
    """Return what happened to a lead, the newest first."""
    return _timeline(session.who(), session.token(), lead_id)


@st.cache_data(ttl=FRESH, show_spinner=False)
def _overdue(who: str, _token: str, wanted: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return session.send("GET", "/sla/overdue", _token, "en", params=list(wanted))


def overdue(team: str | None, *, limit: int) -> dict[str, Any]:
    """Return what is overdue now, the longest overdue first, of one team or of all one sees."""
    wanted = (("limit", limit), *([("team_id", team)] if team else []))
    return _overdue(session.who(), session.token(), wanted)
