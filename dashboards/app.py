"""The dashboards: `streamlit run dashboards/app.py`. Signs in with the API's accounts and shows what a role may see."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dashboards import session, words
from dashboards.views import floor, funnel, health, signin
from dashboards.words import say

HERE = Path(__file__).parent
# Streamlit's columns shrink without end; these wrap on a tablet.
STYLE = """
<style>
.stMainBlockContainer {padding-top: 3.2rem; max-width: 1320px}
[data-testid="stMetricValue"] {font-variant-numeric: tabular-nums}
.st-key-tiles .stHorizontalBlock {display: grid; grid-template-columns: repeat(auto-fit, minmax(142px, 1fr))}
.st-key-tiles .stColumn {width: auto; min-width: 0}
@media (max-width: 1100px) {
  .st-key-pair .stHorizontalBlock, .st-key-explore .stHorizontalBlock {flex-direction: column}
  .st-key-pair .stColumn, .st-key-explore .stColumn {width: 100%}
}
</style>"""


def main() -> None:
    """Show the page that was asked for; before that, the sign-in at the same address."""
    st.set_page_config(page_title="Santral", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.html(STYLE)
    st.logo(str(HERE / "logo.svg"), size="large")
    pages = [
        st.Page(funnel.show, title=say("funnel"), icon=":material/filter_alt:", url_path="funnel", default=True),
        st.Page(health.show, title=say("health"), icon=":material/monitor_heart:", url_path="health"),
    ]
    if not session.is_open() or session.may("queue.view"):
        pages.insert(1, st.Page(floor.show, title=say("floor"), icon=":material/headset_mic:", url_path="floor"))
    page = st.navigation(pages, position="sidebar" if session.is_open() else "hidden")
    if not session.is_open():
        signin.show()
        return
    with st.sidebar:
        words.choose_language("stretch")
        person = session.me()
        roles = ", ".join(words.name_of("role", role) for role in person["roles"])
        st.caption(f"**{person['name']}**  \n{roles}")
        leave = {"on_click": session.sign_out, "args": (words.language(),)}
        st.button(say("sign_out"), icon=":material/logout:", width="stretch", **leave)
    show(page.run)


def show(run: Callable[[], None]) -> None:
    """Run a page; what the API refuses or does not answer becomes a plain sentence."""
    try:
        run()
    except session.Silent:
        st.info(say("no_api", url=session.url()), icon=":material/cloud_off:")
    except session.Refused as refusal:
        if refusal.status == 401:
            go_on()
        elif refusal.status == 403:
            st.info(say("forbidden"), icon=":material/lock:")
        else:
            st.warning(say("refused", message=str(refusal)), icon=":material/error:")


def go_on() -> None:
    """Renew a session that ran out and show the page again; without one, ask to sign in."""
    if not session.renew(words.language()):
        st.session_state["notice"] = say("signed_out")
    st.rerun()


main()
