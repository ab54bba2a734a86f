"""What the frame does for every request: traces, refusals in one shape, limits, headers, the log of requests."""

import re
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.deps import Router, body_limit, public
from api.middleware import BODY_LIMIT
from crm import db, ids, requests
from crm.settings import settings
from tests.api.conftest import Client, SignIn, token_of
from tests.conftest import Tenant

SHAPE = {"code", "message", "trace_id", "field_errors", "retryable"}
NO_TEAM = "01890000-0000-7000-8000-000000000000"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def broken(app: FastAPI, sign_in: SignIn) -> Client:
    """A client of an application with routes that fail in every way."""
    router = Router("/broken")

    @router.get("/{how}")
    @public("a test")
    async def fail(how: str) -> None:
        """Fail as told."""
        if how == "duplicate":
            raise asyncpg.UniqueViolationError("key (email)=(ada@mail.example) already exists")
        if how == "gone":
            raise ConnectionRefusedError("127.0.0.1:5432")
        if how == "value":
            raise asyncpg.DataError("invalid byte sequence 0x00 of ada@mail.example")
        raise RuntimeError("secret words of ada@mail.example")

    @router.post("/large")
    @public("a test")
    @body_limit(2 * BODY_LIMIT)
    async def large(body: dict[str, str]) -> None:
        """Take more than others do."""

    app.router.routes.extend(router.routes)
    return sign_in(None)


class TestTrace:
    async def test_goes_on_under_the_callers_id(self, nobody: Client) -> None:
        response = await nobody.get("/healthz", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

        assert response.headers["x-trace-id"] == TRACE
        assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", response.headers["traceparent"])

    @pytest.mark.parametrize(
        "parent", ["", "nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{'x' * 32}-1-01", "é" * 60]
    )
    async def test_begins_anew_where_none_came(self, nobody: Client, parent: str) -> None:
        response = await nobody.get("/healthz", headers={"traceparent": parent.encode()})

        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-trace-id"])
        assert response.headers["x-trace-id"] != "0" * 32

    async def test_joins_answer_event_and_audit_row(self, tenant: Tenant, admin: Client) -> None:
        await admin.post("/teams", json={"name": "Ankara"}, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

        async with db.transaction(tenant.system) as tx:
            event = await tx.fetchval("select causation_id from crm.event_log where event_type = 'team.created'")
            audit = await tx.fetchval(
                "select metadata_json->>'trace_id' from crm.audit_log where action = 'team.created'"
            )
        assert (event.hex, audit) == (TRACE, TRACE)


class TestProblems:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/no/such/thing", 404, "not_found"),
            ("DELETE", "/healthz", 405, "method_not_allowed"),
            ("GET", f"/teams/{NO_TEAM}", 404, "team.not_found"),
            ("GET", "/teams/not-an-id", 422, "invalid"),
            ("GET", "/users?limit=many", 422, "invalid"),
        ],
    )
    async def test_have_one_shape(self, admin: Client, method: str, path: str, status: int, code: str) -> None:
        response = await admin.request(method, path)

        assert (response.status_code, response.json()["code"]) == (status, code)
        assert set(response.json()) == SHAPE
        assert response.json()["trace_id"] == response.headers["x-trace-id"]

    async def test_name_the_fields_by_their_path(self, admin: Client) -> None:
        response = await admin.post("/users", json={"email": "x", "roles": ["king"], "name": "A", "more": 1})

        assert set(response.json()["field_errors"]) == {"email", "roles.0", "password", "more"}

    async def test_say_that_a_body_is_not_json(self, admin: Client) -> None:
        response = await admin.post("/teams", content=b'{"name": ', headers={"Content-Type": "application/json"})

        assert (response.status_code, response.json()["field_errors"]) == (422, {"body": "not JSON"})

    @pytest.mark.parametrize(
        ("how", "status", "code", "retryable"),
        [
            ("duplicate", 409, "conflict", False),
            ("gone", 503, "unavailable", True),
            ("value", 422, "invalid", False),
            ("defect", 500, "unexpected", False),
        ],
    )
    async def test_tell_nothing_of_what_went_wrong_inside(
        self, broken: Client, how: str, status: int, code: str, retryable: bool
    ) -> None:
        response = await broken.get(f"/broken/{how}")

        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.json()["retryable"] is retryable
        assert "ada@mail.example" not in response.text
        assert "x-content-type-options" in response.headers

    async def test_come_as_unavailable_when_the_database_is_gone(
        self, tenant: Tenant, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = sign_in(tenant.admin)
        await db.close()
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()

        answered, ready = await client.get("/teams"), await client.get("/readyz")

        assert (answered.status_code, answered.json()["code"], answered.headers["Retry-After"]) == (
            503,
            "unavailable",
            "2",
        )
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "does not answer")


class TestBodyLimit:
    async def test_refuses_what_is_announced_too_large(self, admin: Client) -> None:
        response = await admin.post("/teams", json={"name": "x" * BODY_LIMIT})

        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")

    async def test_refuses_what_turns_out_too_large(self, admin: Client) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b" " * (BODY_LIMIT // 10)

        response = await admin.post("/teams", content=endless(), headers={"Content-Type": "application/json"})

        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")

    async def test_is_the_routes_own_where_it_has_one(self, broken: Client) -> None:
        fits = await broken.post("/broken/large", json={"a": "x" * BODY_LIMIT})
        not_even_there = await broken.post("/broken/large", json={"a": "x" * 2 * BODY_LIMIT})

        assert (fits.status_code, not_even_there.status_code) == (200, 413)


class TestRateLimit:
    async def test_is_per_person_and_per_address(
        self, tenant: Tenant, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SANTRAL_RATE_LIMIT", "3/hour")
        settings.cache_clear()
        transport = httpx.ASGITransport(create_app(), client=("203.0.113.7", 1))
        async with Client(transport=transport, base_url="http://santral") as client:
            by_role = {
                role: {"Authorization": f"Bearer {token_of(tenant.actors[role])}"} for role in ("admin", "analyst")
            }
            statuses = [(await client.get("/teams", headers=by_role["admin"])).status_code for _ in range(4)]
            other = await client.get("/teams", headers=by_role["analyst"])
            refused = await client.get("/teams", headers=by_role["admin"])
            probe = [(await client.get("/healthz")).status_code for _ in range(4)]

        assert statuses == [200, 200, 200, 429]
        assert (other.status_code, probe) == (200, [200] * 4)
        assert (set(refused.json()), refused.json()["retryable"]) == (SHAPE, True)
        assert "retry-after" in refused.headers


class TestRequestLog:
    async def test_keeps_templates_and_becomes_api_health(self, app: FastAPI, tenant: Tenant, admin: Client) -> None:
        await admin.get(f"/teams/{tenant.team_id}")
        await admin.get(f"/teams/{ids.new()}?phone=+905321234567")
        await app.state.requests.flush()

        health = (await admin.get("/dashboard/api-health")).json()

        (route,) = [each for each in health["routes"] if each["route"] == "/teams/{team_id}"]
        assert (route["requests"], route["errors"], route["error_rate"]) == (2, 0, 0)
        assert 0 < route["p50_ms"] <= route["p95_ms"]
        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select route, status_code, user_id from crm.request_log order by id")
        assert [tuple(row) for row in rows] == [
            ("/teams/{team_id}", 200, tenant.admin.user_id),
            ("/teams/{team_id}", 404, tenant.admin.user_id),
        ]

    async def test_waits_for_a_database_that_is_away(
        self, app: FastAPI, tenant: Tenant, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refuse(_: object) -> None:
            raise ConnectionRefusedError

        writer = app.state.requests
        await admin.get("/teams")
        with monkeypatch.context() as away:
            away.setattr(requests, "write", refuse)
            await writer.flush()

        await writer.flush()

        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.request_log where route = '/teams'") == 1

    async def test_tells_a_firm_nothing_of_another(
        self, app: FastAPI, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn
    ) -> None:
        await sign_in(other_tenant.admin).get("/teams")
        await app.state.requests.flush()

        health = (await sign_in(tenant.admin).get("/dashboard/api-health")).json()

        assert health["routes"] == []


class TestStats:
    async def test_counts_what_there_is(self, tenant: Tenant, admin: Client) -> None:
        for number in range(3):
            await admin.post("/leads", json={"email": f"{number}@mail.example", "source": "test"})

        stats = (await admin.get("/dashboard/stats")).json()

        assert (stats["leads"], stats["unassigned"], stats["received_today"]) == (3, 3, 3)
        assert stats["leads_by_status"]["new"] == 3
        assert (stats["agents"], stats["agents_accepting"], stats["timezone"]) == (1, 1, "Europe/Istanbul")
