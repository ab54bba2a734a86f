"""The frame around every request, in one layer of plain ASGI: trace id, who asks, rate limit, body size, security
headers, metrics, one line of the request log, and the last word on defects.

One layer and no more, because each costs: bench/frame.py prints the price of this one.
"""

import time
from collections.abc import Callable
from uuid import UUID

from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter
from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics, problems
from api.context import KEY, RequestContext
from api.ratelimit import LoopStorage
from crm import clock, errors, ids, requests
from crm.users import tokens
from crm.users.revocations import Revocations

BODY_LIMIT = 1024 * 1024
"""Bytes of body that a route takes unless it declares `@body_limit`."""

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]
"""An API answers with data, never with a page that runs something; browsers take HSTS over TLS only (RFC 6797)."""

UNRATED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes that must answer however busy a neighbour is."""
SIGNED = "/webhooks/"
"""Sources send from few addresses as fast as leads come, and prove themselves by signature."""

Sink = Callable[[requests.Line], None]


class Frame:
    """The middleware. `sink` takes one line of the request log and must not wait."""

    def __init__(self, app: ASGIApp, *, rate: str, sink: Sink, revocations: Revocations, tracing: bool = False) -> None:
        self.app = app
        self.sink = sink
        self.revocations = revocations
        self.tracing = tracing
        self.rate: RateLimitItem = parse(rate)
        self.limiter = FixedWindowRateLimiter(LoopStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            _open_context(scope, self.tracing)
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        context, size = _open_context(scope, self.tracing)
        answered = 0

        async def send_framed(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = message["status"]
                _add_headers(message, context.trace_id)
            await send(message)

        try:
            if context.actor is not None and await self.revocations.has_ended(context.actor.session_id):
                context.actor, context.refusal = None, tokens.EndedSession()
            if self._is_over_rate(scope, context):
                refusal = errors.TooMany(f"more than {self.rate}; wait and try again")
                await (await problems.refused(Request(scope), refusal))(scope, receive, send_framed)
            else:
                body = receive if 0 <= size <= BODY_LIMIT else _Bounded(scope, receive, size)
                await self.app(scope, body, send_framed)
        except Exception as error:
            defect = problems.unexpected(Request(scope), error)
            if answered:
                raise
            await defect(scope, receive, send_framed)
        finally:
            self._account(scope, context, answered, time.perf_counter() - started)

    def _is_over_rate(self, scope: Scope, context: RequestContext) -> bool:
        if scope["path"] in UNRATED or scope["path"].startswith(SIGNED):
            return False
        if context.actor is not None:
            return not self.limiter.hit(self.rate, str(context.actor.user_id))
        client = scope.get("client")
        return not self.limiter.hit(self.rate, client[0] if client else "nowhere")

    def _account(self, scope: Scope, context: RequestContext, status: int, seconds: float) -> None:
        """Note the metric, and the line for the log and the table: route template only, nothing that was sent."""
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"] if scope["method"] in metrics.METHODS else "OTHER"
        status = status or 499  # the client went away before an answer
        metrics.observe(route, method, status, seconds)
        actor = context.actor
        tenant_id, user_id = (actor.tenant_id, actor.user_id) if actor else (context.tenant_id, None)
        self.sink((tenant_id, context.now, route, method, status, seconds * 1000, user_id, context.trace_id))


class _Bounded:
    """A body reader that stops at the limit of the route, known by the time the body is read."""

    def __init__(self, scope: Scope, receive: Receive, size: int) -> None:
        self.scope = scope
        self.receive = receive
        self.size = size
        self.read = 0

    async def __call__(self) -> Message:
        endpoint = getattr(self.scope.get("route"), "endpoint", None)
        limit = getattr(endpoint, "body_limit", BODY_LIMIT)
        if self.size > limit:
            raise HTTPException(413)
        message = await self.receive()
        self.read += len(message.get("body", b""))
        if self.read > limit:
            raise HTTPException(413)
        return message


def _open_context(scope: Scope, tracing: bool) -> tuple[RequestContext, int]:
    """Read the headers once; return the context and the announced size of the body (-1: not announced)."""
    parent = token = None
    size = 0
    for name, value in scope["headers"]:
        if name == b"authorization":
            if value[:7].lower() == b"bearer ":
                token = value[7:].decode("latin-1")
        elif name == b"traceparent":
            parent = value
        elif name == b"content-length":
            size = int(value) if value.isdigit() else -1
        elif name == b"transfer-encoding":
            size = -1
    context = RequestContext(_trace_id(parent, tracing), clock.utc_now())
    if token is not None:
        try:
            context.actor = tokens.read(token, now=context.now, trace_id=context.trace_id)
        except errors.NotAuthenticated as refusal:
            context.refusal = refusal
    scope[KEY] = context
    return context, size


def _trace_id(parent: bytes | None, tracing: bool) -> UUID:
    """Return the caller's trace id (W3C traceparent), the tracer's when spans are exported, or a new one."""
    if tracing:
        span = trace.get_current_span()
        span.set_attribute("url.query", "")  # what people search for is nobody else's business
        return UUID(int=span.get_span_context().trace_id)
    if parent is not None and len(parent) >= 55 and parent[2:3] == b"-" and parent[35:36] == b"-":
        try:
            given = UUID(hex=parent[3:35].decode("ascii"))
        except ValueError:
            return ids.new()
        if given.int:
            return given
    return ids.new()


def _add_headers(message: Message, trace_id: UUID) -> None:
    trace_hex = trace_id.hex.encode()
    headers = message["headers"] = list(message.get("headers", ()))
    named = {name for name, _ in headers}
    headers += [pair for pair in SECURITY_HEADERS if pair[0] not in named]
    headers.append((b"x-trace-id", trace_hex))
    headers.append((b"traceparent", b"00-" + trace_hex + b"-" + trace_hex[16:] + b"-01"))
