"""The dashboards: `streamlit run dashboards/app.py`."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

INDEX = Path(st.__file__).parent / "static" / "index.html"
ROOT = """<head><script>window.__streamlit = {{BACKEND_BASE_URL: location.origin + "{base}"}}</script>"""


class Rooted:
    """Tells a page where the server is, whatever its address: otherwise it looks below that first, and finds 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        base = "/" + st.get_option("server.baseUrlPath").strip("/")
        self._index = INDEX.read_text().replace("<head>", ROOT.format(base=base), 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a page of ours; pass on what asks for anything else."""
        if scope["type"] == "http" and scope["method"] == "GET" and _is_page(scope):
            answer = HTMLResponse(self._index, headers={"Cache-Control": "no-cache"})
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_page(scope: Scope) -> bool:
    accepted = dict(scope["headers"]).get(b"accept", b"")
    return b"text/html" in accepted and "_stcore" not in scope["path"]


app = st.App("pages.py", middleware=[Middleware(Rooted)])
