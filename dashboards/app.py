"""The dashboards: `streamlit run dashboards/app.py`."""

import json
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards import own_words

STATIC = Path(st.__file__).parent / "static"
INDEX = STATIC / "index.html"
SOON = ("Metric", "DateInput", "Multiselect", "ArrowVegaLiteChart", "vega-interpreter", "embed", "DataFrame")
"""What pages of figures are drawn by, megabytes of it: read while somebody signs in, not once they wait for a chart."""
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""No other site may show a page of ours inside its own, where a click could be stolen."""
ROOT = """<head><script>
window.__streamlit = {{BACKEND_BASE_URL: location.origin + "{base}"}}
addEventListener("load", () => {soon}.reduce(
  (before, path) => before.then(() => import(location.origin + path)),
  new Promise(later => setTimeout(later, 300))).catch(() => {{}}))
</script>"""


class Rooted:
    """Tells a page where the server is, whatever its address: otherwise it looks below that first, and finds 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        base = "/" + st.get_option("server.baseUrlPath").strip("/")
        soon = [f"{base.rstrip('/')}/static/js/{name}" for name in scripts()]
        root = ROOT.format(base=base, soon=json.dumps(soon)) + own_words.script()
        self._index = INDEX.read_text().replace("<head>", root, 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a page of ours; pass on what asks for anything else."""
        if scope["type"] == "http" and scope["method"] == "GET" and _is_page(scope):
            answer = HTMLResponse(self._index, headers=HEADERS)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def scripts() -> list[str]:
    """Return the files of this Streamlit that draw what `SOON` names."""
    return [file.name for name in SOON for file in sorted((STATIC / "static" / "js").glob(f"{name}.*.js"))]


def _is_page(scope: Scope) -> bool:
    accepted = dict(scope["headers"]).get(b"accept", b"")
    return b"text/html" in accepted and "_stcore" not in scope["path"]


app = st.App("pages.py", middleware=[Middleware(Rooted)])
