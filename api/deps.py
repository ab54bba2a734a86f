"""What a route may ask for: who acts, what time it is, and the permission it declares.

Every route is made with `Router` and carries one of `@permission(...)`, `@signed_in(...)`, `@public(...)`; one without
is refused when its module is imported.
"""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from api.context import RequestContext, context_of
from crm import errors
from crm.actor import Actor
from crm.users import rules

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route: holders of any of these permissions, everyone signed in, or everyone.

    `local`: so may whatever runs on this machine itself.
    """

    permissions: tuple[str, ...] = ()
    public: bool = False
    reason: str = ""
    local: bool = False

    def allows(self, actor: Actor | None) -> bool:
        """Tell whether this actor (None: nobody signed in) may call."""
        if self.public:
            return True
        return actor is not None and (not self.permissions or any(actor.may(each) for each in self.permissions))


class SignInFirst(errors.NotAuthenticated):
    """Sign in first: send `Authorization: Bearer <access token>`."""


def permission(*names: str, local: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route needs any one of these permissions; with `local`, processes of this machine need none."""
    for name in names:
        if name not in rules.PERMISSIONS:
            raise ValueError(f"{name!r} is not a permission: add it to crm/users/rules.py")
    return _declare(Access(permissions=names, local=local))


def signed_in(reason: str) -> Callable[[Endpoint], Endpoint]:
    """Declare that everyone who is signed in may call a route, and why."""
    return _declare(Access(reason=reason))


def public(reason: str) -> Callable[[Endpoint], Endpoint]:
    """Declare that nobody need sign in to call a route, and why."""
    return _declare(Access(public=True, reason=reason))


def body_limit(at_most: int) -> Callable[[Endpoint], Endpoint]:
    """Let a route take bodies of up to this many bytes instead of the frame's ordinary limit."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        endpoint.body_limit = at_most  # type: ignore[attr-defined]
        return endpoint

    return decorate


def _declare(access: Access) -> Callable[[Endpoint], Endpoint]:
    def decorate(endpoint: Endpoint) -> Endpoint:
        endpoint.access = access  # type: ignore[attr-defined]
        return endpoint

    return decorate


def access_of(endpoint: Any) -> Access | None:
    """Return what a route's endpoint declares, or None when it declares nothing."""
    return getattr(endpoint, "access", None)


def check(scope: MutableMapping[str, Any], access: Access) -> None:
    """Refuse a request that a route's declaration does not allow.

    :raises errors.NotAuthenticated: when nobody is signed in.
    :raises Forbidden: when none of the actor's roles allows it.
    """
    if access.public or (access.local and is_local(scope)):
        return
    context = context_of(scope)
    if context.actor is None:
        raise context.refusal or SignInFirst
    if access.permissions and not access.allows(context.actor):
        context.actor.require_any(access.permissions)


def is_local(scope: MutableMapping[str, Any]) -> bool:
    """Tell whether a process of this machine asks for itself, not a proxy for somebody else."""
    if any(name in (b"forwarded", b"x-forwarded-for") for name, _ in scope["headers"]) or not scope.get("client"):
        return False
    try:
        return ip_address(scope["client"][0]).is_loopback
    except ValueError:
        return False


class GuardedRoute(APIRoute):
    """A route that asks its permission before anything of the request is read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        access = access_of(endpoint)
        if access is None:
            name = f"{endpoint.__module__}.{endpoint.__qualname__}"
            raise TypeError(f"{name} declares no permission: add @permission(...), @signed_in(...) or @public(...)")
        self.access = access
        super().__init__(path, endpoint, **options)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the permission, unless the method is one that this route does not take anyway."""
        if scope["method"] in self.methods:
            check(scope, self.access)
        await super().handle(scope, receive, send)


class Router(APIRouter):
    """The routes of one noun. `router = Router("/leads")` in `api/routers/leads.py` is found by itself."""

    def __init__(self, prefix: str = "", **options: Any) -> None:
        tags = options.pop("tags", None) or [prefix.strip("/") or "system"]
        super().__init__(prefix=prefix, tags=tags, route_class=GuardedRoute, **options)


async def _context(connection: HTTPConnection) -> RequestContext:
    return context_of(connection.scope)


async def _actor(connection: HTTPConnection) -> Actor:
    actor = context_of(connection.scope).actor
    if actor is None:
        raise SignInFirst
    return actor


async def _now(connection: HTTPConnection) -> datetime:
    return context_of(connection.scope).now


CurrentActor = Annotated[Actor, Depends(_actor)]
"""Who acts, with roles, permissions and the request's trace id."""
Now = Annotated[datetime, Depends(_now)]
"""The instant at which the request arrived (UTC); hand it on, never ask the clock."""
Context = Annotated[RequestContext, Depends(_context)]
"""All of it, for routes that count microseconds or that nobody need sign in for."""
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[\\x21-\\x7e]+$",
        description="A key of your choice: the same request sent again under it is answered again, and done once.",
    ),
]
