"""Documentation as pages, served from here, so that they work without the internet: of the API, and of the data."""

import asyncio
from importlib.resources import files
from typing import Literal

from fastapi import Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from api.deps import Router, public
from kpis import documentation

router = Router("/docs", include_in_schema=False)

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""Such an answer is a page: it may run its own script and nothing from elsewhere."""
DATA_POLICY = f"{PAGE_POLICY}; font-src data:"


@router.get("")
@public("the description of the API holds nothing of anybody")
async def page(request: Request) -> HTMLResponse:
    """Return the page; it reads /openapi.json and lets one try routes with a token."""
    html = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
    )
    html.headers["Content-Security-Policy"] = f"{PAGE_POLICY}; frame-ancestors 'none'"
    return html


@router.get("/data")
@public("what figures are made of, as the source code has it; no figures")
async def data() -> FileResponse:
    """Return dbt's documentation of the data: models, columns, tests, lineage and metrics."""
    page = await asyncio.to_thread(documentation.page)
    policy = f"{DATA_POLICY}; frame-ancestors 'none'"
    return FileResponse(page, media_type="text/html", headers={"Content-Security-Policy": policy})


@router.get("/{asset}")
@public("scripts and styles of the documentation page")
async def asset(asset: Literal["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"]) -> Response:
    """Return a file of Swagger UI as the package fastapi-offline ships it."""
    content = files("fastapi_offline").joinpath("static", asset).read_bytes()
    return Response(content, media_type=ASSETS[asset], headers={"Cache-Control": "public, max-age=86400"})
