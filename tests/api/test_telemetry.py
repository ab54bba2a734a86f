"""Traces, sent to a collector on loopback that keeps what it gets."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from api.app import create_app
from crm.settings import settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector; yields its address and what it got."""
    got: list[bytes] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.path.encode() + b" " + self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Keep)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


class TestTraces:
    async def test_go_to_the_collector_under_the_requests_id_and_without_what_was_asked(
        self, database: str, collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address, got = collector
        monkeypatch.setenv("SANTRAL_OTLP_ENDPOINT", address)
        settings.cache_clear()
        app = create_app()
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://santral") as client,
        ):
            headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            response = await client.get("/healthz?phone=5321234567", headers=headers)

        (sent,) = got
        assert response.headers["x-trace-id"] == TRACE
        assert sent.startswith(b"/v1/traces ")
        assert bytes.fromhex(TRACE) in sent
        assert b"/healthz" in sent
        assert b"5321234567" not in sent
