"""Dagster does what its own pages and programs ask, and nothing for the pages of others."""

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from orchestration import ui

OURS = {"host": "127.0.0.1:3000", "origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}
THEIRS = {"host": "127.0.0.1:3000", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
JSON = {"content-type": "application/json"}
PAGE = {"accept": "text/html", "sec-fetch-dest": "document"}
LAUNCH = "/graphql?query=mutation{launchRun}"


async def dagster(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for Dagster: does whatever it is told."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await PlainTextResponse("done")(scope, receive, send)


async def answer(method: str, path: str, headers: dict[str, str], *, name: str = "") -> int:
    transport = httpx.ASGITransport(ui.OwnPages(dagster, name=name))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        return (await client.request(method, path, headers=headers)).status_code


class TestOwnPages:
    @pytest.mark.parametrize(("method", "path", "headers"), [
        ("POST", "/graphql", OURS | JSON),
        ("POST", "/graphql", OURS | {"host": "[::1]:3000", "origin": "http://[::1]:3000"} | JSON),
        ("POST", "/graphql", {"host": "localhost:3000"} | JSON),
        ("GET", "/graphql", OURS | PAGE),
        ("GET", "/runs/1", OURS),
        ("GET", "/runs/1", {"host": "10.0.0.7:3000"} | PAGE),
        ("GET", "/runs/1", THEIRS | PAGE | {"origin": ""}),
        ("GET", "/server_info", {"host": "127.0.0.1:3000"}),
    ])  # fmt: skip
    async def test_let_through(self, method: str, path: str, headers: dict[str, str]) -> None:
        assert await answer(method, path, headers) == 200

    @pytest.mark.parametrize(("method", "path", "headers"), [
        ("POST", "/graphql", THEIRS | {"content-type": "text/plain"}),
        ("POST", "/graphql", THEIRS | JSON),
        ("POST", LAUNCH, {"host": "127.0.0.1:3000", "content-type": "application/x-www-form-urlencoded"}),
        ("POST", "/graphql", OURS | {"origin": "null"} | JSON),
        ("POST", "/graphql", OURS | {"origin": "http://127.0.0.1:8501", "sec-fetch-site": "same-site"} | JSON),
        ("POST", "/graphql", {"host": "evil.example:3000", "origin": "http://evil.example:3000"} | JSON),
        ("POST", "/report_asset_materialization/x", THEIRS | JSON),
        ("GET", LAUNCH, {"host": "127.0.0.1:3000", "accept": "image/*"}),
        ("GET", "/runs/1", {"host": "127.0.0.1:3000", "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}),
        ("GET", "/server_info", {"host": "evil.example"}),
        ("GET", "/server_info", {"host": ""}),
    ])  # fmt: skip
    async def test_refuse(self, method: str, path: str, headers: dict[str, str]) -> None:
        assert await answer(method, path, headers) == 403

    async def test_answer_to_the_name_they_are_given(self) -> None:
        headers = {"host": "dagster.firm.example", "origin": "https://dagster.firm.example"} | JSON

        assert await answer("POST", "/graphql", headers, name="Dagster.firm.example") == 200
        assert await answer("POST", "/graphql", headers) == 403

    @pytest.mark.parametrize(("headers", "is_open"), [(OURS, True), (THEIRS, False)])
    def test_open_no_socket_for_others(self, headers: dict[str, str], is_open: bool) -> None:
        client = TestClient(ui.OwnPages(dagster), base_url="http://127.0.0.1:3000")

        def connect() -> bool:
            with client.websocket_connect("/graphql", headers=headers):
                return True

        if is_open:
            assert connect()
        else:
            with pytest.raises(WebSocketDisconnect):
                connect()
