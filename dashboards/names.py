"""What people call the values of dimensions: names for ids, words for codes."""

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboards import session, words


@st.cache_resource(ttl=300, show_spinner=False)  # a resource is not copied each time a name is looked up
def _campaigns(who: str, _token: str) -> dict[str, str]:
    return {row["external_id"]: row["name"] for row in session.every("/campaigns", _token)}


def campaigns() -> dict[str, str]:
    """Return the campaigns' names by the id that leads carry; nothing for who may not see campaigns."""
    return _campaigns(session.who(), session.token()) if session.may("campaign.view") else {}


@st.cache_resource(ttl=300, show_spinner=False)
def _teams(who: str, _token: str) -> dict[str, str]:
    return {row["id"]: row["name"] for row in session.send("GET", "/teams", _token, "en")["items"]}


@st.cache_resource(ttl=60, show_spinner=False)
def _people(who: str, _token: str) -> dict[str, str]:
    return {row["id"]: row["name"] for row in session.send("GET", "/dashboard/agents", _token, "en")["items"]}


@st.cache_resource(ttl=300, show_spinner=False)
def _dial_campaigns(who: str, _token: str) -> dict[str, str]:
    return {row["id"]: row["name"] for row in session.every("/dialer/campaigns", _token)}


@st.cache_resource(ttl=60, show_spinner=False)
def _queues(who: str, _token: str, language: str) -> dict[str, str]:
    lines = session.send("GET", "/queue/board", _token, language)["queues"]
    return {line["code"]: line["labels"].get(language) or line["code"] for line in lines}


def names_of(dim: str) -> dict[str, str]:
    """Return what people call the values of a dimension, by the id or code that figures carry; nothing for who may not
    see them."""
    who, token = session.who(), session.token()
    if dim in ("campaign", "dial_campaign"):
        return campaigns() | (_dial_campaigns(who, token) if session.may("dialling.view") else {})
    if dim == "team" and session.may("team.view"):
        return _teams(who, token)
    if dim == "agent" and session.may("dashboard.view"):
        return _people(who, token)
    if dim == "queue" and session.may("queue.view"):
        return _queues(who, token, words.language())
    return {}


CODED = {
    "reason": "reason",
    "stage": "stage",
    "state": "agent",
    "outcome": "visit",
    "result": "result",
    "domain": "domain",
}
"""Dimensions whose values are codes of ours, and the group of words that names them."""
STATES = ("available", "ringing", "reserved", "on_call", "hold", "wrap_up", "paused", "not_responding", "offline")
"""States of agents in the order in which they are shown."""


def is_none(value: str | None) -> bool:
    """Tell whether a value of a dimension says that there is none."""
    return value is None or value in ("unknown", "none")


ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def place_of(dim: str) -> Callable[[Any], tuple[int, str]]:
    """Return the order of a dimension's values: that of states where they are some."""
    return lambda value: (STATES.index(value) if dim == "state" and value in STATES else len(STATES), str(value))


def label(dim: str, value: str | None) -> str:
    """Return what people call a value of a dimension: a campaign's name for its platform's id."""
    if is_none(value):
        return words.capital(words.say("no_campaign" if dim == "campaign" else "unknown"))
    if dim in ("platform", "source"):
        return words.name_of("", value)
    if dim in CODED:
        return words.capital(words.name_of(CODED[dim], value))
    known = names_of(dim).get(value)
    return known or (f"…{value[-6:]}" if ID.fullmatch(value) else value)  # nobody has a name for it any more
