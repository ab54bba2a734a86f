"""Live boards of queues, worked out once a second for each firm that somebody watches, however many do.

A board goes to those who watch as soon as it differs from the one before: at most one message a second each. One who
cannot keep up gets the latest only; `seq` then shows how many were left out.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from api import metrics
from api.schemas.queues import BoardFrame, LineRead
from crm import clock, db, errors
from crm.actor import Actor
from crm.queues import board

log = structlog.get_logger("api.boards")

EVERY = 1.0
"""Seconds between two looks."""
WATCHERS_AT_MOST = 2000


class TooManyWatchers(errors.TooMany):
    """This process has all the watchers it can hold; try again, or poll."""

    code = "board.full"


@dataclass(eq=False)
class Watcher:
    """One open WebSocket that watches the board of its firm. `wake` is set while there is one it has not sent."""

    actor: Actor
    board: "Board"
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class Board:
    """The latest board of a firm as it travels; `seq` counts those that differed, without a gap."""

    seq: int = 0
    as_of: datetime | None = None
    lines: str = ""
    frames: dict[str, str] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: set[Watcher] = field(default_factory=set)

    def tell(self, lines: list[LineRead], *, as_of: datetime) -> None:
        """Take the board of an instant, and wake those who watch when it says anything new."""
        self.as_of = as_of
        frame = BoardFrame(type="board", seq=self.seq + 1, as_of=as_of, queues=lines)
        text = frame.model_dump_json(exclude={"seq", "as_of", "type"})
        if text == self.lines:
            return
        self.lines, self.seq = text, self.seq + 1
        # Written once for all who watch.
        self.frames = {kind: frame.model_copy(update={"type": kind}).model_dump_json() for kind in ("ready", "board")}
        self.ready.set()
        for watcher in self.watchers:
            watcher.wake.set()

    def heartbeat(self) -> str:
        """Return the message that says that nothing has changed since the last one."""
        return BoardFrame(type="heartbeat", seq=self.seq, as_of=self.as_of or clock.utc_now()).model_dump_json()


class Boards:
    """The boards of a process."""

    def __init__(self) -> None:
        self._boards: dict[UUID, Board] = defaultdict(Board)
        self._wake = asyncio.Event()

    async def join(self, actor: Actor) -> Watcher:
        """Add somebody who watches; returns when there is a board to show.

        :raises TooManyWatchers: when the process holds as many as it can.
        """
        if sum(len(each.watchers) for each in self._boards.values()) >= WATCHERS_AT_MOST:
            raise TooManyWatchers
        found = self._boards[actor.tenant_id]
        watcher = Watcher(actor, found)
        found.watchers.add(watcher)
        self._wake.set()
        try:
            await found.ready.wait()
        except asyncio.CancelledError:
            self.leave(watcher)
            raise
        metrics.WATCHERS.set(sum(len(each.watchers) for each in self._boards.values()))
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Forget somebody; a board that nobody watches is worked out no longer."""
        watcher.board.watchers.discard(watcher)
        if not watcher.board.watchers:
            self._boards.pop(watcher.actor.tenant_id, None)
        metrics.WATCHERS.set(sum(len(each.watchers) for each in self._boards.values()))

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            if not self._boards:
                self._wake.clear()
                await self._wake.wait()
            loop = asyncio.get_running_loop()
            began = loop.time()
            for tenant_id, each in list(self._boards.items()):
                try:
                    await look(tenant_id, each)
                except db.GONE as error:
                    log.warning("board_interrupted", error=type(error).__name__)
            await self._rest(EVERY - (loop.time() - began))

    async def _rest(self, seconds: float) -> None:
        """Wait for the next second, or for somebody whose firm has no board yet."""
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            if any(not each.ready.is_set() for each in self._boards.values()):
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return


async def look(tenant_id: UUID, found: Board) -> None:
    """Work out a firm's board and tell it."""
    now = clock.utc_now()
    lines = await db.run(Actor.system(tenant_id), lambda tx: board.of(tx, now=now))
    found.tell([LineRead.model_validate(each) for each in lines], as_of=now)
