"""What is chosen lives in the address, in codes that hold in both languages: widgets follow it and write to it.

So a choice outlives a change of page and a reload, and a link shows its reader what its sender saw. What a page has no
widget for stays in the address untouched.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import streamlit as st

Period = tuple[date, date]
USUAL, PAGE, TURNED = "usual choices", "page", "page was turned"


def begin(page: str) -> None:
    """Begin a run; `page`: which page it is a run of.

    A page that has just been turned to has widgets of its own, which know nothing of values kept under their keys. Of
    the same page they stay known: a choice may cut a run short before it has come to the widget of the next one.
    """
    st.session_state[TURNED] = st.session_state.get(PAGE) != page
    st.session_state[PAGE] = page
    if st.session_state[TURNED]:
        st.session_state[USUAL] = {}


def query() -> dict[str, list[str]]:
    """Return all that the address says, for a link that takes it along."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def clear(keys: Sequence[str]) -> None:
    """Take choices back, whether or not the page has widgets for them."""
    for key in keys:
        st.session_state.pop(key, None)
        _put(key, [])


def one_of(
    label: str, options: Sequence[str], key: str, say: Callable[[str], str], *, usual: str | None = None, **more: Any
) -> str:
    """Offer options side by side, one of them chosen: as the address has it, else the usual one, else the first."""
    usual = usual or options[0]
    _follow(key, chosen(options, key, usual), [usual])
    picked = st.segmented_control(label, options, format_func=say, key=key, required=True, on_change=_keep, **more)
    return str(picked)


def chosen(options: Sequence[str], key: str, usual: str) -> str:
    """Return the option that the address names, else the usual one."""
    return next((each for each in st.query_params.get_all(key) if each in options), usual)


def some_of(label: str, options: Sequence[str], key: str, say: Callable[[str], str], **more: Any) -> list[str]:
    """Offer a list of options, any of them chosen, as the address has it; none chosen means all."""
    _follow(key, [each for each in st.query_params.get_all(key) if each in options], [])
    return st.multiselect(label, options, format_func=say, key=key, select_all=False, on_change=_keep, **more)


def period(label: str, key: str, usual: Period, latest: date, **more: Any) -> Period | None:
    """Offer a period, as the address has it; None while only its first day is chosen."""
    shown = st.session_state.get(key)
    if not (isinstance(shown, tuple) and len(shown) == 1):
        _follow(key, _days(st.query_params.get_all(key), latest) or usual, _texts(usual))
    found = st.date_input(label, key=key, max_value=latest, on_change=_keep, **more)
    return (found[0], found[1]) if isinstance(found, tuple) and len(found) == 2 else None


def _days(texts: Sequence[str], latest: date) -> Period | None:
    """Return the period that texts mean, where they mean one that is not in the future."""
    try:
        days = [date.fromisoformat(text) for text in texts]
    except ValueError:
        return None
    return (days[0], days[1]) if len(days) == 2 and days[0] <= days[1] <= latest else None


def _follow(key: str, value: Any, usual: list[str]) -> None:
    st.session_state[USUAL][key] = usual
    shown = st.session_state.get(key)
    if st.session_state[TURNED] or key not in st.session_state or _texts(shown) != _texts(value):
        st.session_state[key] = value


def _keep() -> None:
    """Write what all widgets of the page hold: two may change before the address of the first has come back."""
    for key, usual in st.session_state[USUAL].items():
        if key not in st.session_state:
            continue  # the page has no such widget any more
        texts = _texts(st.session_state.get(key))
        if isinstance(st.session_state.get(key), tuple) and len(texts) == 1:
            continue  # the second day of a period is still to be chosen
        _put(key, [] if texts == usual else texts)


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def _put(key: str, texts: Sequence[str]) -> None:
    if texts:
        if st.query_params.get_all(key) != list(texts):
            st.query_params[key] = list(texts)
    elif key in st.query_params:
        del st.query_params[key]
