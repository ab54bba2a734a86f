"""One cached function per question, asking the API. An answer is kept for each person on their own (`who`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import streamlit as st

from dashboards import session, words
from dashboards.words import ZONE

FRESH = 20
"""Seconds an answer is good for: the pipeline publishes every few minutes."""

PROBED = 10
"""Seconds between two looks at which publication stands."""
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

    def before(self) -> "Scope":
        """Return the equally long period before this one."""
        length = self.last - self.first + timedelta(days=1)
        return Scope(self.first - length, self.last - length, self.chosen)


@dataclass(frozen=True)
class Answer:
    """Rows of metrics; `as_of` None: nothing is published yet."""

    rows: Rows
    as_of: str | None
    definition: str | None


@st.cache_data(ttl=PROBED, show_spinner=False)
def _publication(who: str, _token: str) -> str | None:
    body = {"metrics": ["funnel_reached"], "from": "2000-01-01", "to": "2000-01-02"}
    as_of: str | None = session.send("POST", "/kpis/query", _token, "en", json=body)["as_of"]
    return as_of


def publication() -> str | None:
    """Return up to when the published figures hold everything; None before the first publication."""
    return _publication(session.me()["id"], session.token())


@st.cache_data(ttl=KEPT, show_spinner=False, max_entries=400)
def _kpis(
    who: str,
    published: str | None,
    _token: str,
    language: str,
    metrics: tuple[str, ...],
    by: tuple[str, ...],
    grain: str | None,
    scope: tuple[Any, ...],
) -> Answer:
    first, last, chosen = scope
    question = {
        "metrics": list(metrics),
        "by": list(by),
        "grain": grain,
        "from": first.isoformat(),
        "to": (last + timedelta(days=1)).isoformat(),
        "filters": [{"dim": dim, "values": list(values)} for dim, values in chosen if values],
    }
    found = session.send("POST", "/kpis/query", _token, language, json=question)
    return Answer(found["rows"], found["as_of"], found["definition"])


def kpis(scope: Scope, *metrics: str, by: Sequence[str] = (), grain: str | None = None, language: str) -> Answer:
    """Answer metrics of a scope, by dimensions and in a grain of time."""
    return _kpis(session.me()["id"], publication(), session.token(), language, metrics, tuple(by), grain, scope.key)


@st.cache_data(ttl=300, show_spinner=False)
def _campaigns(who: str, _token: str) -> dict[str, str]:
    names: dict[str, str] = {}
    cursor = ""
    while True:
        page = session.send("GET", "/campaigns", _token, "en", params={"limit": 200, "cursor": cursor})
        names |= {row["external_id"]: row["name"] for row in page["items"]}
        if not (cursor := page["next_cursor"] or ""):
            return names


def campaigns() -> dict[str, str]:
    """Return the campaigns' names by the id that leads carry; nothing for who may not see campaigns."""
    return _campaigns(session.me()["id"], session.token()) if session.may("campaign.view") else {}


@st.cache_data(ttl=300, show_spinner=False)
def _teams(who: str, _token: str) -> dict[str, str]:
    return {row["id"]: row["name"] for row in session.send("GET", "/teams", _token, "en")["items"]}


@st.cache_data(ttl=60, show_spinner=False)
def _people(who: str, _token: str) -> dict[str, str]:
    return {row["id"]: row["name"] for row in session.send("GET", "/dashboard/agents", _token, "en")["items"]}


@st.cache_data(ttl=300, show_spinner=False)
def _dial_campaigns(who: str, _token: str) -> dict[str, str]:
    names: dict[str, str] = {}
    cursor = ""
    while True:
        asked = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = session.send("GET", "/dialer/campaigns", _token, "en", params=asked)
        names |= {row["id"]: row["name"] for row in page["items"]}
        if not (cursor := page["next_cursor"] or ""):
            return names


@st.cache_data(ttl=60, show_spinner=False)
def _queues(who: str, _token: str, language: str) -> dict[str, str]:
    lines = session.send("GET", "/queue/board", _token, language)["queues"]
    return {line["code"]: line["labels"].get(language) or line["code"] for line in lines}


def names_of(dim: str) -> dict[str, str]:
    """Return what people call the values of a dimension, by the id or code that figures carry; nothing for who may not
    see them."""
    who, token = session.me()["id"], session.token()
    if dim in ("campaign", "dial_campaign"):
        return campaigns() | (_dial_campaigns(who, token) if session.may("dialling.view") else {})
    if dim == "team" and session.may("team.view"):
        return _teams(who, token)
    if dim == "agent" and session.may("dashboard.view"):
        return _people(who, token)
    if dim == "queue" and session.may("queue.view"):
        return _queues(who, token, words.language())
    return {}


CODED = {"reason": "reason", "stage": "stage", "state": "agent", "outcome": "visit", "result": "result"}
"""Dimensions whose values are codes of ours, and the group of words that names them."""
STATES = ("available", "ringing", "reserved", "on_call", "hold", "wrap_up", "paused", "not_responding", "offline")
"""States of agents in the order in which they are shown."""


def place_of(dim: str) -> Callable[[Any], tuple[int, str]]:
    """Return the order of a dimension's values: that of states where they are some."""
    return lambda value: (STATES.index(value) if dim == "state" and value in STATES else len(STATES), str(value))


def label(dim: str, value: str | None) -> str:
    """Return what people call a value of a dimension: a campaign's name for its platform's id."""
    if value is None or value in ("unknown", "none"):
        return words.say("no_campaign" if dim == "campaign" else "unknown")
    if dim in ("platform", "source"):
        return words.name_of("", value)
    if dim in CODED:
        return words.name_of(CODED[dim], value)
    known = names_of(dim).get(value)
    return known or (f"…{value[-6:]}" if len(value) == 36 else value)  # an id without a name, as of a former system


@st.cache_data(ttl=300, show_spinner=False)
def _statuses(language: str, _token: str) -> Rows:
    return session.send("GET", "/leads/statuses", _token, language)["items"]


def statuses(language: str) -> Rows:
    """Return the statuses with their labels and stages."""
    return _statuses(language, session.token())


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
    return _leads(session.me()["id"], session.token(), language, tuple(wanted))


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
    return _calls(session.me()["id"], session.token(), tuple(wanted))


@st.cache_data(ttl=5, show_spinner=False)
def _call(who: str, _token: str, call_id: str) -> dict[str, Any]:
    return session.send("GET", f"/cdr/{call_id}", _token, "en")


def call(call_id: str) -> dict[str, Any]:
    """Return a call with its legs and its stays in queues."""
    return _call(session.me()["id"], session.token(), call_id)


@st.cache_data(ttl=5, show_spinner=False)
def _lead(who: str, _token: str, language: str, lead_id: str) -> dict[str, Any]:
    return session.send("GET", f"/leads/{lead_id}", _token, language)


def lead(lead_id: str) -> dict[str, Any]:
    """Return one lead."""
    return _lead(session.me()["id"], session.token(), words.language(), lead_id)


@st.cache_data(ttl=5, show_spinner=False)
def _timeline(who: str, _token: str, lead_id: str) -> Rows:
    return session.send("GET", f"/leads/{lead_id}/timeline", _token, "en", params={"limit": 100})["items"]


def timeline(lead_id: str) -> Rows:
    """Return what happened to a lead, the newest first."""
    return _timeline(session.me()["id"], session.token(), lead_id)


@st.cache_data(ttl=2, show_spinner=False)
def _stats(who: str, _token: str) -> dict[str, Any]:
    return session.send("GET", "/dashboard/stats", _token, "en")


def stats() -> dict[str, Any]:
    """Return the figures of this moment."""
    return _stats(session.me()["id"], session.token())


@st.cache_data(ttl=5, show_spinner=False)
def _api_health(who: str, _token: str, last: str) -> dict[str, Any]:
    return session.send("GET", "/dashboard/api-health", _token, "en", params={"last": last})


def api_health(last: str) -> dict[str, Any]:
    """Return requests, errors and latencies of each route over `1h` or `24h`."""
    return _api_health(session.me()["id"], session.token(), last)


@st.cache_data(ttl=FRESH, show_spinner=False)
def _overdue(who: str, _token: str, wanted: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return session.send("GET", "/sla/overdue", _token, "en", params=list(wanted))


def overdue(team: str | None, *, limit: int) -> dict[str, Any]:
    """Return what is overdue now, the longest overdue first, of one team or of all one sees."""
    wanted = (("limit", limit), *([("team_id", team)] if team else []))
    return _overdue(session.me()["id"], session.token(), wanted)


@st.cache_data(ttl=FRESH, show_spinner=False)
def _experiments(who: str, _token: str) -> Rows:
    return session.send("GET", "/experiments", _token, "en")["items"]


def experiments() -> Rows:
    """Return every experiment, the latest first."""
    return _experiments(session.me()["id"], session.token())


@st.cache_data(ttl=FRESH, show_spinner=False)
def _readout(who: str, _token: str, experiment_id: str) -> dict[str, Any]:
    return session.send("GET", f"/experiments/{experiment_id}/readout", _token, "en")


def readout(experiment_id: str) -> dict[str, Any]:
    """Return what an experiment shows now."""
    return _readout(session.me()["id"], session.token(), experiment_id)


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
    return _board(session.me()["id"], session.token())


@st.cache_data(ttl=1, show_spinner=False)
def _agents(who: str, _token: str) -> dict[str, Any]:
    return _live("/dashboard/agents", _token)


def agents() -> dict[str, Any]:
    """Return the agents and how they stand at the telephone."""
    return _agents(session.me()["id"], session.token())


@st.cache_data(ttl=300, show_spinner=False)
def _pause_reasons(who: str, _token: str, language: str) -> dict[str, str]:
    return {row["code"]: row["label"] for row in _live("/pbx/pause-reasons", _token, language)["items"]}


def pause_reasons(language: str) -> dict[str, str]:
    """Return what the firm calls its reasons for a pause; nothing for who may not see them."""
    if not (session.may("agent.work") or session.may("agent.supervise")):
        return {}
    return _pause_reasons(session.me()["id"], session.token(), language)


@st.cache_data(ttl=5, show_spinner=False)
def _dialling(who: str, _token: str) -> dict[str, Any]:
    found = []
    for status in NOT_OVER:
        cursor = ""
        while True:
            page = _live(
                "/dialer/campaigns", _token, status=status, limit=200, **({"cursor": cursor} if cursor else {})
            )
            found += page["items"]
            if not (cursor := page["next_cursor"] or ""):
                break
    items = [item for each in found if (item := _with_budget(each["id"], _token))]
    return {"as_of": datetime.now(UTC).isoformat(), "items": items}


def _with_budget(campaign_id: str, token: str) -> dict[str, Any] | None:
    """Return a campaign and its budget; None when it was deleted a moment ago."""
    try:
        campaign = _live(f"/dialer/campaigns/{campaign_id}", token)
        return {**campaign, "budget": _live(f"/dialer/campaigns/{campaign_id}/budget", token)}
    except session.Refused as refusal:
        if refusal.status == 404:
            return None
        raise


def dialling() -> dict[str, Any]:
    """Return the dialling campaigns that are not over, each with its error budget."""
    return _dialling(session.me()["id"], session.token())


@st.cache_data(ttl=5, show_spinner=False)
def _queue_day(who: str, _token: str, day: date) -> dict[str, Any]:
    asked = {"since": day.isoformat(), "until": day.isoformat()}
    by_queue, total = (_live("/queue/statistics", _token, **asked, by=by)["items"] for by in ("queue", "all"))
    return {"as_of": datetime.now(UTC).isoformat(), "items": by_queue, "total": total}


def queue_day() -> dict[str, Any]:
    """Return the figures of today, by queue and in all."""
    return _queue_day(session.me()["id"], session.token(), datetime.now(ZONE).date())
