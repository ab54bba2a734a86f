"""Dagster's pages, which obey nobody else's: `python -m orchestration.ui -w …` takes what `dagster-webserver` takes.

Dagster asks nobody who they are. By itself it does what any page says that is open in a browser on its machine: it
starts a run for a form or the address of an image, and tells a WebSocket everything. A page may look as if it came from
here, too, when its name is made to lead to this machine after it was loaded.
"""

import sys
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from dagster_webserver import cli
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from crm.settings import settings

FOREIGN = ("cross-site", "same-site")
"""What browsers say of requests by pages of another site, or of another server on this machine."""


class OwnPages:
    """Lets through what Dagster's own pages and programs ask, and people who follow a link to a page."""

    def __init__(self, app: ASGIApp, *, name: str = "") -> None:
        """Guard an application. `name`: under which it may be opened, beside addresses and `localhost`."""
        self.app = app
        self.names = {"localhost", name.lower()} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan" or not (why := self.reason_not_to(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(f"{why}\n", status_code=403)(scope, receive, send)

    def reason_not_to(self, scope: Scope) -> str:
        """Return why a request is refused; empty when it is not."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_known(host):
            return "Dagster is not known by this name here: set SANTRAL_DAGSTER_NAME"
        if (origin := headers.get("origin")) and urlsplit(origin).netloc != host:
            return "another site's page asks for this"
        if headers.get("sec-fetch-site") in FOREIGN and not _is_link(scope, headers):
            return "another site's page asks for this"
        if scope["type"] == "http" and scope["path"].endswith("/graphql") and not _is_of_a_program(scope, headers):
            return "questions come as application/json"
        return ""

    def _is_known(self, host: str) -> bool:
        """Tell whether a name cannot have been made to lead here: addresses cannot, nor can what leads here anyway."""
        name = urlsplit(f"//{host}").hostname or ""
        try:
            return bool(ip_address(name))
        except ValueError:
            return name in self.names


def _is_link(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Tell whether somebody follows a link to a page, which is shown by itself and in nobody's frame."""
    return bool(scope.get("method") == "GET" and headers.get("sec-fetch-dest") == "document")


def _is_of_a_program(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Tell whether a question comes in a way in which a browser sends none for another site without asking first; a GET
    may only show the page on which questions are written."""
    if scope["method"] == "POST":
        return headers.get("content-type", "").startswith("application/json")
    return "text/html" in headers.get("accept", "")


def guarded(*arguments: Any, **options: Any) -> ASGIApp:
    """Return Dagster's application, guarded."""
    return OwnPages(create(*arguments, **options), name=settings().dagster_name)


create = cli.create_app_from_workspace_process_context


if __name__ == "__main__":
    cli.create_app_from_workspace_process_context = guarded  # type: ignore[assignment]
    sys.exit(cli.main())
