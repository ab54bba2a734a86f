"""What our WebSockets have in common: the token in the first message, fresh tokens later, and how they end.

The token comes in a message, never in the address, which logs keep. Codes of closing: 4400 not understood, 4401 sign in
(again), 4403 not allowed, 4408 no hello in time, 4413 too slow, 4503 try again later.
"""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import datetime

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from api.context import context_of
from api.deps import Access
from api.problems import Problem, status_of
from api.schemas.realtime import Hello
from crm import clock, errors
from crm.actor import Actor
from crm.users import tokens

HELLO_WITHIN = 10.0
"""Seconds in which the first message must come, and joining must succeed."""
HEARTBEAT = 15.0
SENT_WITHIN = 20.0
"""Seconds in which a message must leave; a client that takes longer is gone or asleep."""

CLOSE = {400: 4400, 401: 4401, 403: 4403, 422: 4400}


class NotUnderstood(errors.Invalid):
    """The first message must be {"type": "hello", "token": …}."""

    code = "realtime.not_understood"


class Late(errors.CrmError):
    """No hello came in time."""

    code = "realtime.late"


def hello(text: str) -> Hello:
    """Return the first message.

    :raises NotUnderstood: when it is none.
    """
    try:
        return Hello.model_validate_json(text)
    except ValidationError as error:
        raise NotUnderstood from error


async def whose(socket: WebSocket, token: str, access: Access) -> tuple[Actor, datetime]:
    """Return who holds a token and until when.

    :raises crm.errors.NotAuthenticated: when it is no good.
    :raises crm.actor.Forbidden: when the role may not listen.
    """
    actor = tokens.read(token, now=clock.utc_now(), trace_id=context_of(socket.scope).trace_id)
    if await has_ended(socket, actor):
        raise tokens.EndedSession
    actor.require_any(access.permissions)
    return actor, tokens.expires_at(token)


async def has_ended(socket: WebSocket, actor: Actor) -> bool:
    """Tell whether the session of somebody who listens was ended meanwhile."""
    ended: bool = await socket.app.state.revocations.has_ended(actor.session_id)
    return ended


async def refuse(socket: WebSocket, refusal: errors.CrmError, code: int | None = None) -> None:
    """Say why in the one shape of errors, and close."""
    problem = Problem(
        code=refusal.code,
        message=str(refusal),
        trace_id=context_of(socket.scope).trace_id.hex,
        field_errors=refusal.fields,
        retryable=refusal.retryable,
    )
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_text(problem.model_dump_json())
        await socket.close(code or CLOSE.get(status_of(refusal), 4503), refusal.code)


class Conversation(ABC):
    """One WebSocket after its hello: what is sent and heard, when it ends. A subclass says what there is to say."""

    def __init__(
        self, socket: WebSocket, access: Access, actor: Actor, expires_at: datetime, wake: asyncio.Event
    ) -> None:
        self.socket = socket
        self.access = access
        self.actor = actor
        self.expires_at = expires_at
        self.wake = wake

    @abstractmethod
    def first(self) -> str:
        """Return the message that says that one listens now."""

    @abstractmethod
    def next(self) -> str:
        """Return the next message: what waits, or a heartbeat."""

    async def has_lost_access(self) -> bool:
        """Tell whether the person may listen no longer."""
        return await has_ended(self.socket, self.actor)

    async def run(self) -> None:
        """Talk until the client leaves, its access ends, or it is too slow."""
        hearing = asyncio.create_task(self._hear())
        try:
            await self._send(self.first())
            while not hearing.done():
                await self._wait(hearing)
                if clock.utc_now() >= self.expires_at or await self.has_lost_access():
                    await refuse(self.socket, tokens.ExpiredToken(), 4401)
                    return
                await self._send(self.next())
            if refusal := hearing.result():
                await refuse(self.socket, refusal, CLOSE.get(status_of(refusal), 4400))
        except TimeoutError:
            with suppress(RuntimeError):
                await self.socket.close(4413, "realtime.slow")
        except WebSocketDisconnect:
            return
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing

    async def _wait(self, hearing: asyncio.Task[errors.CrmError | None]) -> None:
        """Wait for something to send, a word of the client, or the time for a heartbeat."""
        waking = asyncio.create_task(self.wake.wait())
        left = (self.expires_at - clock.utc_now()).total_seconds()
        await asyncio.wait({waking, hearing}, timeout=max(0, min(HEARTBEAT, left)), return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SENT_WITHIN):
            await self.socket.send_text(text)

    async def _hear(self) -> errors.CrmError | None:
        """Take fresh tokens of the same person until the client leaves; return why it must go, or None."""
        try:
            while True:
                said = hello(await self.socket.receive_text())
                actor, expires_at = await whose(self.socket, said.token, self.access)
                if actor.user_id != self.actor.user_id:
                    raise NotUnderstood("another person's token; open another connection")
                self.expires_at = expires_at
        except errors.CrmError as refusal:
            return refusal
        except (WebSocketDisconnect, RuntimeError, KeyError):
            return None
