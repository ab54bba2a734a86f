"""Is it alive, is it ready, how is it doing: probes, metrics and the description of the API itself."""

from typing import Any, Literal

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.requests import Request

from api.deps import Router, permission, public
from crm import readiness

router = Router(tags=["system"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether the process can do its work; `checks` names what it needs, with `ok` or what is wrong."""

    ready: bool
    checks: dict[str, str]


@router.get("/healthz")
@public("a probe: says only that the process runs")
async def healthz() -> Alive:
    """Say that the process is alive."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness}})
@public("a probe: names what is missing, without addresses")
async def readyz(response: Response) -> Readiness:
    """Say whether the databases answer and their tables are those of this version."""
    checks = await readiness.checks()
    ready = all(word == "ok" for word in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


@router.get("/metrics", include_in_schema=False)
@permission("metrics.read", local=True)
async def metrics() -> Response:
    """Return the process's metrics in Prometheus's text format; a Prometheus on this machine needs no token."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
@public("the contract of the API holds no data")
async def openapi(request: Request) -> dict[str, Any]:
    """Return the description of the API."""
    return request.app.openapi()
