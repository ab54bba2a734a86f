"""A part of a page that asks by itself outlives its access token, and remembers what it last heard."""

from typing import Any

import pytest
import streamlit as st

from dashboards import live, session

ANSWER = {"as_of": "2026-11-20T21:30:00Z"}


@pytest.fixture(autouse=True)
def visit(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A visit of somebody who is signed in."""
    state: dict[str, Any] = {"me": {"id": "1"}, "access": "old", "refresh": "good"}
    monkeypatch.setattr(st, "session_state", state)
    return state


class TestHeard:
    def test_asks_once_more_with_a_renewed_session(self, monkeypatch, visit):
        def send(method, path, token, language, **more):
            assert (path, more["json"]) == ("/auth/refresh", {"refresh_token": "good"})
            return {"access_token": "new", "refresh_token": "better"}

        def ask():
            if session.token() == "old":
                raise session.Refused(401, "auth.expired", "the session has run out")
            return ANSWER

        monkeypatch.setattr(session, "send", send)

        assert live._heard(ask, "queues") == ANSWER
        assert (visit["access"], visit["refresh"]) == ("new", "better")

    def test_keeps_an_answer_for_the_person_who_asked(self, visit):
        live._heard(lambda: ANSWER, "queues")

        assert live._last("queues") == ANSWER
        assert live._last("agents") is None
        visit["me"] = {"id": "2"}
        assert live._last("queues") is None

    def test_forgets_with_the_role_what_was_heard_in_it(self, visit):
        visit["me"] = {"id": "1", "roles": ["admin"]}
        live._heard(lambda: ANSWER, "queues")

        visit["me"] = {"id": "1", "roles": ["analyst"]}

        assert live._last("queues") is None

    def test_hands_on_what_the_api_refuses(self):
        def ask():
            raise session.Refused(403, "auth.forbidden", "not allowed")

        with pytest.raises(session.Refused, match="not allowed"):
            live._heard(ask, "queues")
