"""The OpenAPI description, completed from what the routes declare: permissions, refusals, the bearer token."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.deps import Access, GuardedRoute
from api.problems import Problem

REFUSALS = {
    "400": "The request cannot be read.",
    "401": "Nobody is signed in, or the access token is no good.",
    "403": "The role does not allow it.",
    "404": "There is no such thing, or it is another tenant's.",
    "405": "This address does not take that method.",
    "409": "It has moved on, or exists already; or the Idempotency-Key was used for another request.",
    "413": "The body is larger than this route takes.",
    "422": "The request does not fit; `field_errors` says where.",
    "429": "Too many requests.",
    "500": "A defect; the trace id finds it.",
    "503": "The database does not answer.",
}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def guarded(app: FastAPI) -> Iterator[GuardedRoute]:
    """Yield every HTTP route that carries a declaration."""
    return (route for route in app.routes if isinstance(route, GuardedRoute))


def install(app: FastAPI) -> None:
    """Make `app.openapi()` tell the whole truth; it is computed once."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for route in guarded(app):
        if route.include_in_schema:
            for method in route.methods:
                _complete(document["paths"][route.path_format][method.lower()], route, method)
    return document


def _complete(operation: dict[str, Any], route: GuardedRoute, method: str) -> None:
    operation["x-permission"] = _in_words(route.access)
    operation["security"] = [] if route.access.public else [{"bearer": []}]
    for status in _refusals(route, method):
        operation["responses"].setdefault(status, {})
        operation["responses"][status] = {
            "description": REFUSALS[status],
            "content": {"application/json": {"schema": PROBLEM}},
        }


def _in_words(access: Access) -> dict[str, Any]:
    if access.public:
        return {"public": access.reason}
    return {"any_of": list(access.permissions)} if access.permissions else {"signed_in": access.reason}


def _refusals(route: APIRoute, method: str) -> list[str]:
    """Return the statuses that the frame and the contract can add to a route's own."""
    writes = method in {"POST", "PUT", "PATCH", "DELETE"}
    found = ["422", "429", "500", "503"]
    found += [] if route.access.public and not writes else ["401", "403"]  # type: ignore[attr-defined]
    found += ["404"] if writes or route.param_convertors else []
    found += ["400", "413"] if writes else []
    found += ["409"] if writes or "contact_id" in route.param_convertors else []  # it may have been merged
    return found
