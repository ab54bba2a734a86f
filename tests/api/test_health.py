"""Probes and metrics."""

import httpx
from fastapi import FastAPI

from tests.api.conftest import Client


class TestReadyz:
    async def test_is_ready_on_a_migrated_database(self, nobody: Client) -> None:
        response = await nobody.get("/readyz")

        assert response.status_code == 200
        assert response.json() == {"ready": True, "checks": {"database": "ok", "tables": "ok", "keys": "ok"}}


class TestMetrics:
    async def test_answers_a_process_of_this_machine(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with Client(transport=transport, base_url="http://santral") as local:
            await local.get("/healthz")

            response = await local.get("/metrics")

        assert 'santral_http_request_seconds_count{method="GET",route="/healthz",status="200"}' in response.text

    async def test_wants_a_permission_of_everyone_else(self, nobody: Client, agent: Client, admin: Client) -> None:
        statuses = [(await client.get("/metrics")).status_code for client in (nobody, agent, admin)]

        assert statuses == [401, 403, 200]

    async def test_does_not_take_a_proxy_for_this_machine(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with Client(transport=transport, base_url="http://santral") as proxied:
            response = await proxied.get("/metrics", headers={"X-Forwarded-For": "198.51.100.9"})

        assert response.status_code == 401
