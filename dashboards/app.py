"""The dashboards: `streamlit run dashboards/app.py`. Signs in with the API's accounts and shows what a role may see."""

from pathlib import Path

import streamlit as st

from dashboards import session, words
from dashboards.views import funnel, health, signin
from dashboards.words import say

HERE = Path(__file__).parent
STYLE = """
<style>
.stMainBlockContainer {padding-top: 3.2rem; max-width: 1320px}
[data-testid="stMetricValue"] {font-variant-numeric: tabular-nums}
</style>"""


def choose_language() -> None:
    """Offer the language; the choice stays in the address."""
    st.segmented_control(
        say("language"),
        list(words.LANGUAGES),
        format_func=words.LANGUAGES.__getitem__,
        key="lang",
        default="tr",
        required=True,
        bind="query-params",
        label_visibility="collapsed",
        width="stretch",
    )


def main() -> None:
    """Show the page that was asked for, or the sign-in."""
    st.set_page_config(page_title="Santral", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.html(STYLE)
    st.logo(str(HERE / "logo.svg"), size="large")
    if not session.is_open():
        page = st.navigation(
            [st.Page(signin.show, title=say("sign_in"), url_path="sign-in", default=True)], position="hidden"
        )
        page.run()
        return
    with st.sidebar:
        choose_language()
    pages = [
        st.Page(funnel.show, title=say("funnel"), icon=":material/filter_alt:", url_path="funnel", default=True),
        st.Page(health.show, title=say("health"), icon=":material/monitor_heart:", url_path="health"),
    ]
    page = st.navigation(pages)
    with st.sidebar:
        person = session.me()
        roles = ", ".join(words.name_of("role", role) for role in person["roles"])
        st.caption(f"**{person['name']}**  \n{roles}")
        st.button(
            say("sign_out"),
            icon=":material/logout:",
            on_click=session.sign_out,
            args=(words.language(),),
            width="stretch",
        )
    _run(page)


def _run(page: "st.navigation") -> None:
    try:
        page.run()
    except session.Silent:
        st.info(say("no_api", url=session.url()), icon=":material/cloud_off:")
    except session.Refused as refusal:
        if refusal.status == 401:
            _go_on()
        elif refusal.status == 403:
            st.info(say("forbidden"), icon=":material/lock:")
        else:
            st.warning(say("refused", message=str(refusal)), icon=":material/error:")


def _go_on() -> None:
    """Renew a session that ran out and show the page again; without one, ask to sign in."""
    if not session.renew(words.language()):
        st.session_state["notice"] = say("signed_out")
    st.rerun()


main()
