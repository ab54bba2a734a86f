"""Who is signed in, and asking the API on their behalf. Tokens live in this visit's session state, nowhere else."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import streamlit as st

API = "SANTRAL_API_URL"
AT_ONCE = 4
"""Requests of one page that are under way at the same time."""
PUBLISHED = "published"
"""Where a visit keeps the catalogue that it was told."""
PATIENCE = 30
"""Seconds until the API counts as silent."""
Request = tuple[str, str, Mapping[str, Any]]
"""Method, path, and what else `httpx` takes: `params`, `json`, `timeout`."""


class Refused(Exception):
    """The API answered no: its code and its own words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Silent(Exception):
    """The API does not answer."""


def url() -> str:
    """Return the API's address."""
    return os.environ.get(API, "http://127.0.0.1:8000")


@st.cache_resource
def _client(base: str) -> httpx.Client:
    return httpx.Client(base_url=base, timeout=PATIENCE, headers={"User-Agent": "santral-dashboards"})


def send(method: str, path: str, token: str | None, language: str, **more: Any) -> Any:
    """Ask the API and return its JSON.

    :raises Refused: when it answers no.
    :raises Silent: when it does not answer.
    """
    return _send(_client(url()), method, path, token, language, **more)


def every(path: str, token: str, *, timeout: float = PATIENCE, **params: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of a list, page after page.

    :raises Refused: when the API answers no.
    :raises Silent: when it does not answer.
    """
    asked = {"limit": 200} | params
    while True:
        page = send("GET", path, token, "en", params=asked, timeout=timeout)
        yield from page["items"]
        if not page["next_cursor"]:
            return
        asked = asked | {"cursor": page["next_cursor"]}


def send_all(requests: Sequence[Request], token: str, language: str) -> list[Any]:
    """Send several requests at once; return the answers in their order, a refusal in place of what was refused.

    :raises Silent: when the API does not answer.
    """
    client = _client(url())

    def send_one(request: Request) -> Any:
        method, path, more = request
        try:
            return _send(client, method, path, token, language, **more)
        except Refused as refusal:
            return refusal

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(send_one, requests))


def _send(client: httpx.Client, method: str, path: str, token: str | None, language: str, **more: Any) -> Any:
    headers = {"Accept-Language": language} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        answer = client.request(method, path, headers=headers, **more)
    except httpx.HTTPError as error:
        raise Silent from error
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise Refused(answer.status_code, problem.get("code", ""), problem.get("message", answer.reason_phrase))


def is_open() -> bool:
    """Tell whether somebody is signed in."""
    return "me" in st.session_state


def me() -> dict[str, Any]:
    """Return the signed-in person, with all that they may do."""
    found: dict[str, Any] = st.session_state["me"]
    return found


def who() -> str:
    """Return whose answers are kept together: one person's, for as long as they keep role and team."""
    person = me()
    return " ".join([person["id"], str(person.get("team_id")), *sorted(person.get("roles", ()))])


def may(permission: str) -> bool:
    """Tell whether the signed-in person holds a permission."""
    return permission in me()["permissions"]


def token() -> str:
    """Return the access token."""
    return str(st.session_state["access"])


def sign_in(email: str, password: str, language: str) -> None:
    """Sign in with an account of the API.

    :raises Refused: when the API does not know this pair, or the account is locked.
    """
    _keep(send("POST", "/auth/login", None, language, json={"email": email, "password": password}))
    st.session_state["me"] = send("GET", "/auth/me", token(), language)


def renew(language: str) -> bool:
    """Exchange the refresh token once the access token has run out; return whether the visit goes on."""
    try:
        _keep(send("POST", "/auth/refresh", None, language, json={"refresh_token": st.session_state["refresh"]}))
    except Refused:
        forget()
        return False
    return True


def sign_out(language: str) -> None:
    """End the session here and at the API."""
    try:
        send("POST", "/auth/logout", None, language, json={"refresh_token": st.session_state["refresh"]})
    except (Refused, Silent):
        pass  # it runs out by itself
    finally:
        forget()


def forget() -> None:
    """Drop what this visit knew of the person."""
    for key in ("access", "refresh", "me", PUBLISHED):
        st.session_state.pop(key, None)


def _keep(answer: dict[str, Any]) -> None:
    st.session_state["access"] = answer["access_token"]
    st.session_state["refresh"] = answer["refresh_token"]
