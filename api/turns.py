"""Turns: how much of this process work of one kind, and of one person, may take at once.

Whoever asks for numbers holds a database connection for seconds. The pool has few, and calls and leads need them too:
so only part of it is for numbers, part of that for one person, and who comes too often waits or comes back later.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from crm import errors


class Busy(errors.TooMany):
    """Too much is under way: wait for answers, then ask again."""

    code = "busy"


class Turns:
    """At most `at_once` work, `of_one` of them for one person; others wait for `patience` seconds, first come first
    served, `waiting` of one person at most."""

    def __init__(self, at_once: int, *, of_one: int, waiting: int, patience: float) -> None:
        self._at_once, self._of_one = at_once, of_one
        self._at_most_waiting, self._patience = waiting, patience
        self._working: Counter[UUID] = Counter()
        self._queue: dict[asyncio.Future[None], UUID] = {}

    @asynccontextmanager
    async def of(self, who: UUID) -> AsyncIterator[None]:
        """Hold a turn of a person's while the block runs.

        :raises Busy: when too many of theirs wait already, or their turn does not come in time.
        """
        await self._come(who)
        try:
            yield
        finally:
            self._working[who] -= 1
            self._working += Counter()  # forget who has none
            self._call()

    async def _come(self, who: UUID) -> None:
        if sum(each == who for each in self._queue.values()) >= self._at_most_waiting:
            raise Busy(f"{self._at_most_waiting} of your questions wait already: ask again when they are answered")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue[turn] = who
        self._call()
        try:
            await asyncio.wait([turn], timeout=self._patience)
        except asyncio.CancelledError:
            self._leave(turn, who)
            raise
        if not turn.done():
            self._leave(turn, who)
            raise Busy("too many questions are under way: ask again a little later")

    def _call(self) -> None:
        """Give turns to those who have waited longest and may work."""
        for turn, who in list(self._queue.items()):
            if self._working.total() >= self._at_once:
                return
            if self._working[who] < self._of_one:
                del self._queue[turn]
                self._working[who] += 1
                turn.set_result(None)

    def _leave(self, turn: "asyncio.Future[None]", who: UUID) -> None:
        """Go away without having worked; a turn that was given meanwhile is given back."""
        if self._queue.pop(turn, None) is None:
            self._working[who] -= 1
            self._call()
