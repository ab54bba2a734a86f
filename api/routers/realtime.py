"""Events of leads and agents as they happen: a WebSocket and its polling twin.

The token comes in the first message, never in the address, which logs keep:

    → {"type": "hello", "token": "<access token>", "cursor": null}
    ← {"type": "ready", "seq": 1, "cursor": "…"}
    ← {"type": "events", "seq": 2, "cursor": "…", "events": [{"type": "lead.assigned", …}]}
    ← {"type": "heartbeat", "seq": 3, "cursor": "…"}

After a break the last cursor in `hello` brings what was missed. Codes of closing: 4400 not understood, 4401 sign in
(again), 4403 not allowed, 4408 no hello in time, 4413 too slow, 4503 try again later.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated

from fastapi import Query, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from api.context import context_of
from api.deps import Access, CurrentActor, Now, Router, permission
from api.problems import Problem, status_of
from api.realtime import Hub, Listener
from api.schemas.realtime import EventRead, Frame, Hello, Poll
from crm import clock, db, errors, feed
from crm.actor import Actor
from crm.events import Event
from crm.users import tokens

router = Router("/realtime")

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


@router.get("/poll")
@permission("realtime.listen")
async def poll(actor: CurrentActor, now: Now, cursor: Annotated[str | None, Query(max_length=4000)] = None) -> Poll:
    """Return what happened since a cursor; without one, only where the feed stands now."""
    page = await db.run(actor, lambda tx: feed.read(tx, cursor, now=now))
    following = feed.sign(actor.tenant_id, page.position, now=now)
    return Poll(events=[EventRead.of_event(event) for event in page.events], cursor=following, reset=page.reset)


@router.websocket("")
@permission("realtime.listen")
async def listen(socket: WebSocket) -> None:
    """Push events until one side ends it."""
    await socket.accept()
    hub: Hub = socket.app.state.hub
    try:
        async with asyncio.timeout(HELLO_WITHIN):
            hello = _hello(await socket.receive_text())
            actor, expires_at = await _whose(socket, hello.token)
            listener = await hub.join(actor, hello.cursor)
    except TimeoutError:
        await _refuse(socket, Late(), 4408)
        return
    except errors.CrmError as refusal:
        await _refuse(socket, refusal, CLOSE.get(status_of(refusal), 4503))
        return
    except WebSocketDisconnect:
        return
    try:
        await Conversation(socket, listener, expires_at).run()
    finally:
        hub.leave(listener)


def _hello(text: str) -> Hello:
    try:
        return Hello.model_validate_json(text)
    except ValidationError as error:
        raise NotUnderstood from error


async def _whose(socket: WebSocket, token: str) -> tuple[Actor, datetime]:
    """Return who holds a token and until when.

    :raises crm.errors.NotAuthenticated: when it is no good.
    :raises crm.actor.Forbidden: when the role may not listen.
    """
    access: Access = listen.access  # type: ignore[attr-defined]
    actor = tokens.read(token, now=clock.utc_now(), trace_id=context_of(socket.scope).trace_id)
    if await socket.app.state.revocations.has_ended(actor.session_id):
        raise tokens.EndedSession
    actor.require_any(access.permissions)
    return actor, tokens.expires_at(token)


async def _refuse(socket: WebSocket, refusal: errors.CrmError, code: int) -> None:
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
        await socket.close(code, refusal.code)


class Conversation:
    """One WebSocket after its hello: what is sent, what is heard, when it ends."""

    def __init__(self, socket: WebSocket, listener: Listener, expires_at: datetime) -> None:
        self.socket = socket
        self.listener = listener
        self.expires_at = expires_at
        self.seq = 0

    async def run(self) -> None:
        """Talk until the client leaves, its access ends, or it is too slow."""
        hearing = asyncio.create_task(self._hear())
        try:
            await self._send("ready")
            while not hearing.done():
                await self._wait(hearing)
                if self._is_over():
                    await _refuse(self.socket, tokens.ExpiredToken(), 4401)
                    return
                events, reset = self.listener.take()
                await self._send("reset" if reset else "events" if events else "heartbeat", events)
            if refusal := hearing.result():
                await _refuse(self.socket, refusal, CLOSE.get(status_of(refusal), 4400))
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
        waking = asyncio.create_task(self.listener.wake.wait())
        left = (self.expires_at - clock.utc_now()).total_seconds()
        await asyncio.wait({waking, hearing}, timeout=max(0, min(HEARTBEAT, left)), return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()

    def _is_over(self) -> bool:
        return self.listener.has_lost_access or clock.utc_now() >= self.expires_at

    async def _send(self, kind: str, events: Sequence[Event] = ()) -> None:
        self.seq += 1
        frame = Frame(
            type=kind, seq=self.seq, cursor=self.listener.cursor(), events=[EventRead.of_event(each) for each in events]
        )
        async with asyncio.timeout(SENT_WITHIN):
            await self.socket.send_text(frame.model_dump_json())

    async def _hear(self) -> errors.CrmError | None:
        """Take fresh tokens of the same person until the client leaves; return why it must go, or None."""
        try:
            while True:
                hello = _hello(await self.socket.receive_text())
                actor, expires_at = await _whose(self.socket, hello.token)
                if actor.user_id != self.listener.actor.user_id:
                    raise NotUnderstood("another person's token; open another connection")
                self.expires_at = expires_at
        except errors.CrmError as refusal:
            return refusal
        except (WebSocketDisconnect, RuntimeError, KeyError):
            return None
