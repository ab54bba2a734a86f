"""Turns: who works, who waits, who is sent away."""

import asyncio
from uuid import UUID, uuid4

from api.turns import Busy, Turns

ONE, OTHER = uuid4(), uuid4()


class Desk:
    """Work that lasts until it is told to end, and who is at it."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.at_work: list[UUID] = []
        self._end = asyncio.Event()

    def begin(self, *people: UUID) -> list[asyncio.Task[None]]:
        """Let people ask for turns in this order."""
        return [asyncio.create_task(self._work(who)) for who in people]

    async def _work(self, who: UUID) -> None:
        async with self.turns.of(who):
            self.at_work.append(who)
            await self._end.wait()

    async def look(self) -> list[UUID]:
        """Return who is at work once nobody moves any more."""
        for _ in range(20):
            await asyncio.sleep(0)
        return self.at_work

    def end(self) -> None:
        """Let all work end."""
        self._end.set()


async def test_leave_room_for_others_and_come_in_order() -> None:
    desk = Desk(Turns(3, of_one=2, waiting=5, patience=60))

    tasks = desk.begin(ONE, ONE, ONE, OTHER, OTHER)

    assert await desk.look() == [ONE, ONE, OTHER]
    desk.end()
    await asyncio.gather(*tasks)
    assert desk.at_work == [ONE, ONE, OTHER, ONE, OTHER]


async def test_send_away_who_asks_too_much_and_who_waited_too_long() -> None:
    desk = Desk(Turns(1, of_one=1, waiting=1, patience=0.01))
    tasks = desk.begin(ONE, ONE, ONE)

    found = await asyncio.gather(*tasks[1:], return_exceptions=True)

    assert [type(each) for each in found] == [Busy, Busy]
    desk.end()
    await tasks[0]
    async with desk.turns.of(ONE):
        pass


async def test_are_not_lost_with_who_goes_away() -> None:
    desk = Desk(Turns(1, of_one=1, waiting=5, patience=60))
    tasks = desk.begin(ONE, OTHER, ONE)
    await desk.look()

    for task in tasks[:2]:
        task.cancel()

    assert await desk.look() == [ONE, ONE]
    desk.end()
    await tasks[2]
