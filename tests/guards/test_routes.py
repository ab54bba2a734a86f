"""Every route of the HTTP door declares who may call it, and holds to it; and none tells firms apart from nothing.

All of it is read from the application's own routes: a route added later is held to the same without a word here.
"""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRouter
from starlette.routing import BaseRoute

from api.deps import Access, Router, access_of
from api.dispatch import Index
from crm.users import rules
from tests.api.conftest import SignIn
from tests.conftest import Tenant
from tests.guards.requests import calls_of

REFUSED_BY_POLICY = {"not_authenticated", "token.invalid", "token.expired", "forbidden"}
"""What the frame answers; a public route with a proof of its own (a signature) refuses in words of its own."""


def served(app: FastAPI) -> Iterator[BaseRoute]:
    """Yield every route, the index of them left out: it leads to those behind it."""
    return (route for route in app.routes if not isinstance(route, Index))


class TestDeclaration:
    def test_is_there_on_every_route(self, app: FastAPI) -> None:
        silent = [
            f"{getattr(route, 'methods', 'WebSocket')} {route.path}"
            for route in served(app)
            if access_of(route.endpoint) is None
        ]

        assert silent == []

    def test_names_a_reason_where_it_names_no_permission(self, app: FastAPI) -> None:
        unexplained = [
            route.path
            for route in served(app)
            if not access_of(route.endpoint).permissions and not access_of(route.endpoint).reason
        ]

        assert unexplained == []

    def test_is_demanded_when_a_module_is_imported(self) -> None:
        router = Router("/things")

        with pytest.raises(TypeError, match="declares no permission"):

            @router.get("")
            async def forgotten() -> None:
                """Declare nothing."""

    def test_is_missed_when_a_router_of_another_kind_gets_around_it(self, app: FastAPI) -> None:
        stray = APIRouter()
        stray.add_api_route("/stray", lambda: None)

        app.router.routes.extend(stray.routes)

        with pytest.raises(AssertionError):
            self.test_is_there_on_every_route(app)

    def test_holds_every_permission_that_some_role_holds(self) -> None:
        assert set().union(*rules.ROLES.values()) == set(rules.PERMISSIONS)


def expected(access: Access, role: str | None) -> int | None:
    """Return the status by which the policy refuses a role (None: nobody signed in), or None when it does not."""
    if access.public:
        return None
    if role is None:
        return 401
    if access.permissions and not rules.ROLES[rules.Role(role)] & set(access.permissions):
        return 403
    return None


@pytest.mark.usefixtures("parsed")
class TestMatrix:
    async def test_refuses_each_role_exactly_where_the_policy_says(
        self, app: FastAPI, tenant: Tenant, sign_in: SignIn
    ) -> None:
        wrong = []
        for role in (None, *rules.ROLES):
            client = sign_in(tenant.actors[role] if role else None)
            for call in calls_of(app, known={}):
                wanted = expected(call.access, role)
                response = await call.send(client, fill=lambda _: str(uuid4()))
                by_policy = response.status_code in (401, 403) and response.json()["code"] in REFUSED_BY_POLICY
                got = response.status_code if by_policy else None
                if got != wanted:
                    wrong.append(f"{role}: {call} wanted {wanted}, got {response.status_code} {response.text[:200]}")

        assert wrong == []
