"""The pages behind one address: signs in with the API's accounts and shows what a role may see."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from dashboards import address, boards, charts, markup, session, words
from dashboards.views import board, budgets, experiments, floor, funnel, health, overdue, quality, signin
from dashboards.words import say

HERE = Path(__file__).parent
TEAM = ("kpi.view", "kpi.view.team")
"""Who may ask for numbers at all; the rest of the pages is about the whole firm."""
LOOKS = 5
"""Seconds between two looks for an API that was silent."""
COLOURS = """
<style>
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {{color: {quiet}; opacity: 1}}
[data-selected="true"] [data-testid="stMarkdownContainer"] p {{color: {chosen}}}
.stMultiSelect span[title] {{color: {tag}}}
a:focus-visible, button:focus-visible, summary:focus-visible, canvas:focus-visible, [role=spinbutton]:focus-visible,
[tabindex="0"]:focus-visible:not(main) {{outline: 2px solid {chosen} !important; outline-offset: 1px;
  border-radius: .25rem}}
[data-testid="stElementToolbar"]:focus-within {{opacity: 1 !important; visibility: visible !important}}
[data-testid="stSidebarCollapseButton"] {{visibility: visible !important}}
</style>"""
"""Streamlit's own quiet texts are too faint to be read by everybody, and where the keyboard is, is not always seen."""
SPOKEN = "<script>document.documentElement.lang = '{language}'</script>"
"""In which language the page is to be read out."""
# Streamlit's columns shrink without end; these wrap by the room beside the sidebar, wherever that comes from.
STYLE = """
<style>
.st-key-spoken {position: absolute}
.stMain {container-type: inline-size}
.stMainBlockContainer {padding: 3.2rem 3rem 5rem; max-width: 1400px}
[data-testid="stHeading"] h2 {padding: .45rem 0 .5rem}
[role="dialog"] [data-testid="stMarkdownContainer"] h3 {font-size: 1.15rem; padding: 0}
[class*="st-key-tiles"] .stHorizontalBlock {display: grid; grid-template-columns: repeat(6, minmax(0, 1fr))}
[class*="st-key-tiles-5"] .stHorizontalBlock {grid-template-columns: repeat(5, minmax(0, 1fr))}
[class*="st-key-tiles-4"] .stHorizontalBlock {grid-template-columns: repeat(4, minmax(0, 1fr))}
[class*="st-key-tiles"] .stColumn {width: auto; min-width: 0}
[class*="st-key-tile-"] {position: relative; padding: .8rem .9rem .7rem; gap: .35rem}
[class*="st-key-tile-"] > .stElementContainer:has(.spark) {margin-top: auto}
.spark {display: flex; align-items: flex-end; gap: 1px; height: 30px; opacity: .55}
.spark i {flex: 1; background: currentColor; border-radius: 1px 1px 0 0}
.spark i:last-child {opacity: 1}
[class*="st-key-tile-"] [data-testid="stMetricLabel"] {min-height: 2.5rem; align-items: flex-start}
.st-key-filters > :has(> .stMultiSelect) {max-width: 320px}
.st-key-filters [data-testid="stButtonGroup"] button {min-height: 2.5rem}
.st-key-links {margin-bottom: .6rem}
.st-key-links p {font-size: .9rem}
.st-key-links .stMarkdown {margin-top: .55rem}
[class*="st-key-tile-"] [data-testid="stMetricLabel"] {padding-right: 1.1rem}
[class*="st-key-tile-"] [data-testid="stMetricLabel"] p, [class*="st-key-tile-"] [data-testid="stMetricDelta"] * {
  white-space: normal; overflow: visible}
[class*="st-key-tile-"] [data-testid="stMetricDelta"] {border-radius: .6rem}
[class*="-absent"] [data-testid="stMetricDelta"] {background: none; padding: 0}
[data-testid="stMetricValue"] {font-size: 1.75rem; line-height: 1.35; font-variant-numeric: tabular-nums}
[class*="-provisional"] [data-testid="stMetricValue"], [class*="-absent"] [data-testid="stMetricValue"] {opacity: .62}
[class*="st-key-open-"] {position: absolute; top: .45rem; right: .4rem; width: auto !important}
[class*="st-key-open-"] button {min-height: 0; padding: .15rem; opacity: .7}
[class*="st-key-open-"] button:hover, [class*="st-key-open-"] button:focus-visible {opacity: 1}
[class*="st-key-open-"] button [data-testid="stMarkdownContainer"] {position: absolute; width: 1px; height: 1px;
  overflow: hidden; clip-path: inset(50%)}
@container (min-width: 1001px) {
  [class*="st-key-tiles-6"] [data-testid="stMetricLabel"],
  .st-key-tiles-5-compliance-drop [data-testid="stMetricLabel"] {min-height: 3.6rem}
}
@container (max-width: 1000px) {
  .stMainBlockContainer {padding: 4.6rem 2rem 4rem}
  [class*="st-key-tiles-6"] .stHorizontalBlock {grid-template-columns: repeat(3, minmax(0, 1fr))}
}
@container (max-width: 860px) {
  [class*="st-key-tiles-5"] .stHorizontalBlock {grid-template-columns: repeat(3, minmax(0, 1fr))}
  [class*="st-key-tiles-4"] .stHorizontalBlock {grid-template-columns: repeat(2, minmax(0, 1fr))}
  [class*="st-key-pair"] .stHorizontalBlock, [class*="st-key-explore"] .stHorizontalBlock {flex-direction: column}
  [class*="st-key-pair"] .stHorizontalBlock > .stColumn, [class*="st-key-explore"] .stColumn {width: 100%}
}
@container (max-width: 600px) {
  .stMainBlockContainer {padding-left: 1.2rem; padding-right: 1.2rem}
  [class*="st-key-tiles"] .stHorizontalBlock {grid-template-columns: repeat(2, minmax(0, 1fr)) !important}
}
</style>"""


def main() -> None:
    """Show the page that was asked for; before that, the sign-in at the same address."""
    st.set_page_config(page_title="Santral", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.html(
        STYLE
        + COLOURS.format(
            **(
                {"quiet": "#A3B0BA", "chosen": "#9ED6F5", "tag": "#10202B"}
                if charts.is_dark()
                else {"quiet": "#56626B", "chosen": "#004F7C", "tag": "#FFFFFF"}
            )
        )
    )
    with st.container(key="spoken"):
        st.html(SPOKEN.format(language=words.language()), unsafe_allow_javascript=True)
    st.logo(str(HERE / "logo.svg"), size="large")
    address.begin(st.context.url or "")
    pages = _pages()
    page = st.navigation(pages, position="hidden")
    if not session.is_open():
        signin.show()
        return
    with st.sidebar:
        _links(pages)
        words.choose_language("stretch")
        person = session.me()
        roles = ", ".join(words.name_of("role", role) for role in person["roles"])
        st.caption(f"**{markup.plain(person['name'])}**  \n{roles}")
        leave = {"on_click": session.sign_out, "args": (words.language(),)}
        st.button(say("sign_out"), icon=":material/logout:", width="stretch", **leave)
    if page.visibility == "visible":
        show(page.run)
    else:
        st.info(say("forbidden"), icon=":material/lock:")


def _links(pages: dict[str, list[Any]]) -> None:
    """Show the pages that the person may see, by what they are about; Streamlit's own groups are no lists to hear."""
    with st.container(key="links", gap="xxsmall"):
        for about, found in pages.items():
            open_to_me = [page for page in found if page.visibility == "visible"]
            if open_to_me:
                st.markdown(f"**{about}**")
            for page in open_to_me:
                st.page_link(page, query_params=address.query())


def _pages() -> dict[str, list[Any]]:
    """Return the pages by what they are about; in the sidebar stand those that the person may see."""

    def at(show: Callable[[], None], key: str, icon: str, *permissions: str, path: str | None = None) -> Any:
        is_open = session.is_open() and any(session.may(each) for each in permissions)
        return st.Page(
            show, title=say(key), icon=f":material/{icon}:", url_path=path or key, default=key == "company",
            visibility="visible" if is_open else "hidden",
        )  # fmt: skip

    return {
        say("nav.firm"): [at(board.page(boards.COMPANY), "company", "dashboard", *TEAM)],
        say("nav.sales"): [
            at(funnel.show, "funnel", "filter_alt", "kpi.view"),
            at(board.page(boards.CAMPAIGNS), "campaigns", "campaign", "kpi.view"),
            at(board.page(boards.RESPONSE, overdue.show), "sla", "timer", *TEAM),
            at(experiments.show, "experiments", "science", "experiment.view"),
        ],
        say("nav.calls"): [
            at(floor.show, "floor", "headset_mic", "queue.view"),
            at(board.page(boards.QUEUES), "service", "support_agent", *TEAM, path="queues"),
            at(board.page(boards.AGENTS), "people", "groups", *TEAM, path="agents"),
            at(board.page(boards.COMPLIANCE, budgets.show), "compliance", "gavel", *TEAM),
        ],
        say("nav.system"): [
            at(board.page(boards.PLATFORM), "platform_health", "monitoring", "kpi.view", path="platform"),
            at(
                board.page(boards.QUALITY, quality.ask_before_release, above=(quality.show_held, quality.show_alerts)),
                "quality",
                "verified",
                "quarantine.view",
            ),
            at(health.show, "health", "monitor_heart", "kpi.view"),
        ],
    }


def show(run: Callable[[], None]) -> None:
    """Run a page; what the API refuses or does not answer becomes a plain sentence."""
    try:
        run()
    except session.Silent:
        st.info(say("no_api", url=session.url()), icon=":material/cloud_off:")
        _wait()
    except session.Refused as refusal:
        if refusal.status == 401:
            go_on()
        elif refusal.status == 403:
            st.info(say("forbidden"), icon=":material/lock:")
        else:
            st.warning(say("refused", message=str(refusal)), icon=":material/error:")


@st.fragment(run_every=LOOKS)
def _wait() -> None:
    """Show the page anew once the API answers."""
    try:
        session.send("GET", "/healthz", None, words.language())
    except (session.Silent, session.Refused):
        return
    st.rerun()


def go_on() -> None:
    """Renew a session that ran out and show the page again; without one, ask to sign in."""
    if not session.renew(words.language()):
        st.session_state["notice"] = say("signed_out")
    st.rerun()


main()
