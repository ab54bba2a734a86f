"""The API as the demo's people call it: patiently, for it may restart at any moment."""

import asyncio
import itertools
import logging
from typing import Any
from uuid import uuid4

import httpx

from cli.demo import staff

log = logging.getLogger(__name__)

AWAY = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
"""The API is not there, or went away in the middle."""


class Client:
    """One account of the API. Every call goes on until it is answered; an expired session is opened anew."""

    def __init__(self, http: httpx.AsyncClient, email: str) -> None:
        self._http, self._email = http, email
        self._token = ""

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """Return the JSON of an answer; None when the API refuses, which in a demo is no reason to stop."""
        headers = more.pop("headers", {})
        for pause in itertools.chain((0.3, 1, 2), itertools.repeat(4)):
            try:
                if not self._token:
                    await self._sign_in()
                signed = {"Authorization": f"Bearer {self._token}", **headers}
                answer = await self._http.request(method, path, headers=signed, **more)
            except AWAY:
                await asyncio.sleep(pause)
                continue
            if answer.status_code == 401:
                self._token = ""
                continue
            if answer.status_code == 429 or answer.status_code >= 500:
                await asyncio.sleep(pause)
                continue
            if answer.is_error:
                log.warning("%s %s: %s", method, path.split("?")[0], answer.status_code)
                return None
            return answer.json() if answer.content else None
        raise AssertionError("unreachable: the pauses never end")

    async def create(self, path: str, body: dict[str, Any]) -> Any:
        """Post what creates something, once, however often it is sent."""
        return await self.call("POST", path, json=body, headers={"Idempotency-Key": str(uuid4())})

    async def _sign_in(self) -> None:
        body = {"email": self._email, "password": staff.password()}
        while not self._token:
            answer = await self._http.post("/auth/login", json=body)
            if answer.is_success:
                self._token = answer.json()["access_token"]
            else:
                await asyncio.sleep(3)
