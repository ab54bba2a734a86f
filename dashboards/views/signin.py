"""Signing in."""

import streamlit as st

from dashboards import session, words
from dashboards.words import say


def show() -> None:
    """Ask for e-mail and password; say what is wrong in the API's own words."""
    _, middle, _ = st.columns([1, 1.15, 1])
    with middle:
        st.space("large")
        st.title("Santral", anchor=False)
        st.caption(say("tagline"))
        if notice := st.session_state.pop("notice", None):
            st.info(notice, icon=":material/schedule:")
        with st.form("sign-in", border=True):
            email = st.text_input(say("email"), autocomplete="username", key="email")
            password = st.text_input(say("password"), type="password", autocomplete="current-password", key="password")
            if st.form_submit_button(say("sign_in"), type="primary", width="stretch"):
                _sign_in(email, password)
        words.choose_language()


def _sign_in(email: str, password: str) -> None:
    try:
        session.sign_in(email.strip(), password, words.language())
    except session.Refused as refusal:
        st.error(str(refusal), icon=":material/lock:")
    except session.Silent:
        st.error(say("no_api", url=session.url()), icon=":material/cloud_off:")
    else:
        st.rerun()
