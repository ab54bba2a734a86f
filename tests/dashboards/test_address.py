"""What is chosen stays chosen, however fast it is chosen."""

from typing import Any

import pytest
import streamlit as st

from dashboards import address


class Query(dict[str, list[str]]):
    """The query of an address, as Streamlit gives it to a run."""

    def get_all(self, key: str) -> list[str]:
        return self.get(key, [])


@pytest.fixture(autouse=True)
def visit(monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*_: Any, key: str, **__: Any) -> Any:
        return st.session_state[key]

    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", Query())
    monkeypatch.setattr(st, "segmented_control", held)
    monkeypatch.setattr(st, "multiselect", held)


def run(*, cut_short: bool = False, page: str = "company") -> list[str] | None:
    """Run a page of two widgets; return what the second holds. Streamlit cuts a run short when somebody chooses."""
    address.begin(page)
    address.one_of("Grain", ["day", "week"], "grain", str)
    return None if cut_short else address.some_of("Platform", ["meta", "google"], "platform", str)


def choose(key: str, value: Any) -> None:
    """Choose as a person does: Streamlit keeps it, and calls back before the next run."""
    st.session_state[key] = value
    address._keep()


class TestKeeping:
    def test_a_choice_outlives_the_run_that_it_cuts_short(self):
        run()
        choose("grain", "week")
        run(cut_short=True)
        choose("platform", ["meta"])

        assert run() == ["meta"]
        assert st.query_params == {"grain": ["week"], "platform": ["meta"]}

    def test_what_a_page_has_no_widget_for_stays_in_the_address(self):
        run()
        choose("platform", ["meta"])
        st.session_state.pop("platform")
        run(cut_short=True)
        choose("grain", "week")

        assert st.query_params == {"grain": ["week"], "platform": ["meta"]}

    def test_another_page_follows_the_address(self):
        run()
        choose("platform", ["google"])

        assert run(page="funnel") == ["google"]
