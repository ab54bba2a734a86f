"""One cached function per question, asking the API. An answer is kept for each person and role (`session.who`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import streamlit as st

from dashboards import session

FRESH = 20
"""Seconds an answer is good for: the pipeline publishes every few minutes."""
KEPT = 900
"""Seconds an answer about a publication is kept at most; another publication has another key."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Scope:
    """What is looked at: business days from `first` to `last`, both meant, and chosen values of dimensions."""

    first: date
    last: date
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """The scope as a cache takes it."""
        return self.first, self.last, tuple((dim, tuple(values)) for dim, values in sorted(self.chosen.items()))

    def periods(self, grain: str) -> list[str]:
        """Return the first day of each business day, week or month that the scope touches, as figures carry it."""
        days = [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]
        begins: Mapping[str, Callable[[date], date]] = {
            "week": lambda day: day - timedelta(days=day.weekday()),
            "month": lambda day: day.replace(day=1),
        }
        return [day.isoformat() for day in dict.fromkeys(map(begins.get(grain, lambda day: day), days))]

    def before(self) -> "Scope":
        """Return the equally long period before this one."""
        length = self.last - self.first + timedelta(days=1)
        return Scope(self.first - length, self.last - length, self.chosen)


@st.cache_data(ttl=2, show_spinner=False)
def _stats(who: str, _token: str) -> dict[str, Any]:
    return session.send("GET", "/dashboard/stats", _token, "en")


def stats() -> dict[str, Any]:
    """Return the figures of this moment."""
    return _stats(session.who(), session.token())


@st.cache_data(ttl=5, show_spinner=False)
def _api_health(who: str, _token: str, last: str) -> dict[str, Any]:
    return session.send("GET", "/dashboard/api-health", _token, "en", params={"last": last})


def api_health(last: str) -> dict[str, Any]:
    """Return requests, errors and latencies of each route over `1h` or `24h`."""
    return _api_health(session.who(), session.token(), last)


@st.cache_data(ttl=FRESH, show_spinner=False)
def _experiments(who: str, _token: str) -> Rows:
    return session.send("GET", "/experiments", _token, "en")["items"]


def experiments() -> Rows:
    """Return every experiment, the latest first."""
    return _experiments(session.who(), session.token())


@st.cache_data(ttl=FRESH, show_spinner=False)
def _readout(who: str, _token: str, experiment_id: str) -> dict[str, Any]:
    return session.send("GET", f"/experiments/{experiment_id}/readout", _token, "en")


def readout(experiment_id: str) -> dict[str, Any]:
    """Return what an experiment shows now."""
    return _readout(session.who(), session.token(), experiment_id)


@st.cache_data(ttl=5, show_spinner=False)
def _quarantine(who: str, _token: str) -> Rows:
    return session.send("GET", "/quarantine", _token, "en")["items"]


def quarantine() -> Rows:
    """Return what the gates hold back from the numbers, then what is only to be looked at."""
    return _quarantine(session.who(), session.token())


def release(hold_id: str, because: str) -> None:
    """Let a held set into the numbers; `because` is a code that stays with it.

    :raises Refused: when it is not held any more.
    """
    session.send("POST", f"/quarantine/{hold_id}/release", session.token(), "en", json={"because": because})
    _quarantine.clear()


@st.cache_data(ttl=5, show_spinner=False)
def _alerts(who: str, _token: str) -> Rows:
    return session.send("GET", "/alerts", _token, "en")["items"]


def alerts() -> Rows:
    """Return what was told to the person on duty, the latest first."""
    return _alerts(session.who(), session.token())
