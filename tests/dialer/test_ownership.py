"""Whose turn it is to be a tenant's bridge."""

import asyncio
from uuid import UUID

from dialer import ownership

TENANT = UUID(int=1)


async def test_a_defect_ends_one_turn_and_not_the_process(database: str, monkeypatch):
    monkeypatch.setattr(ownership, "TRY_EVERY_S", 0.01)
    stop, turns = asyncio.Event(), []

    async def work(over: asyncio.Event) -> None:
        turns.append(over)
        if len(turns) == 1:
            raise LookupError
        stop.set()

    async with asyncio.timeout(60):
        await ownership.while_owner(TENANT, stop, work)

    assert len(turns) == 2


async def test_nobody_else_works_meanwhile(database: str, monkeypatch):
    monkeypatch.setattr(ownership, "TRY_EVERY_S", 0.01)
    stop, began, at_once, most = asyncio.Event(), asyncio.Event(), 0, 0

    async def work(over: asyncio.Event) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        began.set()
        await over.wait()
        at_once -= 1

    both = [asyncio.create_task(ownership.while_owner(TENANT, stop, work)) for _ in range(2)]
    async with asyncio.timeout(60):
        await began.wait()
        await asyncio.sleep(0.5)  # the other one tries
        stop.set()
        await asyncio.gather(*both)

    assert most == 1
