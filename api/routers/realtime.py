"""Events of leads, agents and calls as they happen: a WebSocket and its polling twin.

    → {"type": "hello", "token": "<access token>", "cursor": null}
    ← {"type": "ready", "seq": 1, "cursor": "…"}
    ← {"type": "events", "seq": 2, "cursor": "…", "events": [{"type": "lead.assigned", …}]}
    ← {"type": "heartbeat", "seq": 3, "cursor": "…"}

After a break the last cursor in `hello` brings what was missed. How it ends: `api.sockets`.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query, WebSocket, WebSocketDisconnect

from api import sockets
from api.deps import CurrentActor, Now, Router, permission
from api.realtime import Hub, Listener
from api.schemas.realtime import EventRead, Frame, Poll
from crm import db, errors, feed
from crm.events import Event

router = Router("/realtime")


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
        async with asyncio.timeout(sockets.HELLO_WITHIN):
            hello = sockets.hello(await socket.receive_text())
            actor, expires_at = await sockets.whose(socket, hello.token, listen.access)  # type: ignore[attr-defined]
            listener = await hub.join(actor, hello.cursor)
    except TimeoutError:
        await sockets.refuse(socket, sockets.Late(), 4408)
        return
    except errors.CrmError as refusal:
        await sockets.refuse(socket, refusal)
        return
    except WebSocketDisconnect:
        return
    try:
        await Conversation(socket, listener, expires_at).run()
    finally:
        hub.leave(listener)


class Conversation(sockets.Conversation):
    """Events, as the hub finds them."""

    def __init__(self, socket: WebSocket, listener: Listener, expires_at: datetime) -> None:
        super().__init__(socket, listen.access, listener.actor, expires_at, listener.wake)  # type: ignore[attr-defined]
        self.listener = listener
        self.seq = 0

    async def has_lost_access(self) -> bool:
        """Tell whether the hub has seen an event that ends this person's access."""
        return self.listener.has_lost_access

    def first(self) -> str:
        """Say that events are told from here on."""
        return self._frame("ready")

    def next(self) -> str:
        """Tell the events that wait, or that there are none."""
        events, reset = self.listener.take()
        return self._frame("reset" if reset else "events" if events else "heartbeat", events)

    def _frame(self, kind: str, events: Sequence[Event] = ()) -> str:
        self.seq += 1
        told = [EventRead.of_event(each) for each in events]
        return Frame(type=kind, seq=self.seq, cursor=self.listener.cursor(), events=told).model_dump_json()
