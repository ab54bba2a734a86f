"""Parts of a page that ask again by themselves, and say so when there is no answer."""

from collections.abc import Callable
from html import escape
from typing import Any

import streamlit as st

from dashboards import session, words
from dashboards.words import say

Ask = Callable[[], dict[str, Any]]
Draw = Callable[[dict[str, Any]], str]


def watch(name: str, ask: Ask, draw: Draw, *, every: float | None, is_first: bool = False) -> None:
    """Show what an answer (with its `as_of`) is drawn as, anew every so many seconds; None: once.

    While the API is silent the last answer stays, faint, with the instant it is of; the first part of a page says so
    out loud. A session that ran out is renewed here, so that a screen on a wall goes on by itself.
    """

    def part() -> None:
        if not session.is_open():
            return
        answer: dict[str, Any] | None
        try:
            answer, is_late = _heard(ask, name), False
        except session.Silent:
            answer, is_late = _last(name), True
        except session.Refused as refusal:
            st.warning(say("refused", message=str(refusal)), icon=":material/error:")
            return
        if is_late:
            _warn(answer, is_first)
        if answer:
            at = f'<p class="quiet at">{escape(say("at", at=_at(answer)))}</p>'
            st.html(f'<div class="floor{" late" if is_late else ""}">{at}{draw(answer)}</div>')

    st.fragment(part, run_every=every)()


def _warn(answer: dict[str, Any] | None, is_first: bool) -> None:
    if is_first:
        said = say("silent", at=_at(answer)) if answer else say("no_api", url=session.url())
        st.error(said, icon=":material/cloud_off:")
    elif answer:
        st.caption(f":material/cloud_off: {say('stood')}")


def _at(answer: dict[str, Any]) -> str:
    return words.instant(answer["as_of"], shape="HH:mm:ss")


def _heard(ask: Ask, name: str) -> dict[str, Any]:
    """Ask, once more with a renewed session when it has run out; keep the answer."""
    try:
        answer = ask()
    except session.Refused as refusal:
        if refusal.status != 401:
            raise
        if not session.renew(words.language()):
            st.session_state["notice"] = say("signed_out")
            st.rerun()
        answer = ask()
    st.session_state[_key(name)] = answer
    return answer


def _last(name: str) -> dict[str, Any] | None:
    return st.session_state.get(_key(name))


def _key(name: str) -> str:
    return f"live {session.who()} {name}"
