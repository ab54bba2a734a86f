"""The one error contract (SEC-7): every refusal of every route has this shape, whoever raised it."""

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy import exc as sa
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from api.context import context_of
from crm import errors, vault

log = structlog.get_logger("api.problems")

STATUS: dict[type[errors.CrmError], int] = {
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}

WORDS = {
    400: ("malformed", "The request cannot be read."),
    404: ("not_found", "There is no such address."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("body_too_large", "The body is larger than this route takes."),
}

HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "10"}, 503: {"Retry-After": "2"}}

GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
    sa.TimeoutError,
    ConnectionError,
    TimeoutError,
)
"""The database does not answer, or all connections are taken: nothing is wrong with the request."""
RACED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class Problem(BaseModel):
    """Why a request was refused."""

    code: str = Field(description="What went wrong, for machines; stable.", examples=["lead.not_found"])
    message: str = Field(description="What went wrong, for people.")
    trace_id: str = Field(description="Names this request in logs, events and audit rows.", pattern="^[0-9a-f]{32}$")
    field_errors: dict[str, str] = Field(description="Path of each field at fault, and what is wrong with it.")
    retryable: bool = Field(False, description="Whether the same request may succeed a little later.")


def answer(
    request: HTTPConnection,
    status: int,
    code: str,
    message: str,
    *,
    fields: Mapping[str, str] | None = None,
    retryable: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a refusal in the one shape."""
    problem = Problem(
        code=code,
        message=message,
        trace_id=context_of(request.scope).trace_id.hex,
        # A field that is not ours may be named anything, a number even.
        field_errors={vault.scrub(name): wrong for name, wrong in (fields or {}).items()},
        retryable=retryable,
    )
    return Response(
        problem.model_dump_json(),
        status,
        headers={**HEADERS.get(status, {}), **(headers or {})},
        media_type="application/json",
    )


def status_of(error: errors.CrmError) -> int:
    """Return the HTTP status of a kind of refusal."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)


async def refused(request: HTTPConnection, error: errors.CrmError) -> Response:
    """Render expected trouble."""
    return answer(
        request, status_of(error), error.code, str(error), fields=error.fields, retryable=error.retryable
    )  # fmt: skip


async def router_refused(request: HTTPConnection, error: HTTPException) -> Response:
    """Render what the router and the body reader refuse: no such address or method, unreadable or too large bodies."""
    code, message = WORDS.get(error.status_code, ("refused", str(error.detail)))
    return answer(request, error.status_code, code, message, headers=error.headers)


async def not_valid(request: HTTPConnection, error: RequestValidationError) -> Response:
    """Render what does not fit the schema, by path of field. What was sent is never repeated."""
    fields = field_errors(error.errors())
    return answer(request, 422, "invalid", "The request does not fit: see field_errors.", fields=fields)


def field_errors(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return pydantic's errors by dotted path; the body's own fields carry no prefix."""
    fields: dict[str, str] = {}
    for each in found:
        where = [str(part) for part in each["loc"]]
        place, path = where[0], where[1:]
        if each["type"] == "json_invalid":
            fields["body"] = "not JSON"
        else:
            fields.setdefault(".".join(path) or place, str(each["msg"]).removeprefix("Value error, "))
    return fields


async def database_refused(request: HTTPConnection, error: Exception) -> Response:
    """Render what the database refuses: taken names, unknown references, text it cannot store, its own absence."""
    cause = _driver_error(error)
    if isinstance(cause, asyncpg.UniqueViolationError):
        return answer(request, 409, "conflict", "This exists already.")
    if isinstance(cause, asyncpg.ForeignKeyViolationError):
        return answer(request, 422, "reference.unknown", "This names something that does not exist.")
    if isinstance(cause, asyncpg.DataError):
        log.warning("unstorable_value", error=type(cause).__name__, trace_id=context_of(request.scope).trace_id.hex)
        return answer(request, 422, "invalid", "A value cannot be stored: a number out of range, or a NUL character.")
    if isinstance(cause, GONE) or (isinstance(cause, asyncpg.InterfaceError) and "closed" in str(cause)):
        log.error("database_gone", error=type(cause).__name__, trace_id=context_of(request.scope).trace_id.hex)
        return answer(request, 503, "unavailable", "The database does not answer; try again.", retryable=True)
    if isinstance(cause, RACED):
        return answer(request, 503, "busy", "Too many changes at once; try again.", retryable=True)
    return unexpected(request, error)


def unexpected(request: HTTPConnection, error: Exception) -> Response:
    """Render a defect: the log has all of it under the trace id, the answer nothing."""
    trace_id = context_of(request.scope).trace_id.hex
    log.error("unexpected", trace_id=trace_id, exc_info=error)
    return answer(request, 500, "unexpected", "Something went wrong here; tell us the trace id.")


def _driver_error(error: BaseException) -> BaseException:
    """Return asyncpg's own error from under SQLAlchemy's wrapping."""
    while not isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError)):
        inner = error.__cause__ or getattr(error, "orig", None)
        if inner is None:
            break
        error = inner
    return error


def install(app: FastAPI) -> None:
    """Make the application answer every refusal in the one shape."""
    app.add_exception_handler(errors.CrmError, refused)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, router_refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, not_valid)  # type: ignore[arg-type]
    for kind in (asyncpg.PostgresError, asyncpg.InterfaceError, sa.SQLAlchemyError, ConnectionError, TimeoutError):
        app.add_exception_handler(kind, database_refused)
