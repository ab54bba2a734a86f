"""Callbacks as time goes by and calls end: whoever's turn has come is called."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from crm import db, errors
from crm.actor import Actor
from crm.callbacks import firing, holding
from crm.chores import Chore, Clock
from crm.db import Tx
from crm.events.log import Event

HEARD = ("call.", "callback.", "queue_visit.", "agent.state_changed")
"""Beginnings of the events after which a callback may be due, or be made already."""
REST = 0.5
"""Seconds between two turns of one firm, however much happens there."""
STEPS = (holding.schedule_gone, firing.settle, firing.complete_reached, firing.expire)


class Callbacks(Chore):
    """Promises what callers chose, takes note of what came of calls, and makes the callbacks whose turn it is."""

    name = "callbacks"
    every = 5.0

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._worked: dict[UUID, float] = {}

    def hear(self, event: Event) -> None:
        """Take note that something may follow for a firm's callbacks."""
        if event.event_type.startswith(HEARD):
            self.want(event.tenant_id)

    async def work(self, tenant_id: UUID) -> None:
        """Do all of it, each step in transactions of its own; safe to repeat, and to be killed anywhere."""
        loop = asyncio.get_running_loop()
        rest = self._worked.get(tenant_id, -REST) + REST - loop.time()
        if rest > 0:
            loop.call_later(rest, self.want, tenant_id)
            return
        self._worked[tenant_id] = loop.time()
        await work(tenant_id, self.clock)


async def work(tenant_id: UUID, clock: Callable[[], datetime]) -> None:
    """Look after the callbacks of one firm, once."""
    run: Callable[[Callable[[Tx], Awaitable[Any]]], Awaitable[Any]] = partial(db.run, Actor.system(tenant_id))
    await run(partial(holding.adopt, now=clock()))
    if not await run(firing.is_pending):
        return
    for step in STEPS:
        await run(partial(step, now=clock()))
    for callback_id in await run(partial(firing.due, now=clock())):
        # The agent or the customer got another call in this very instant: their turn comes again.
        with suppress(errors.Conflict):
            await run(partial(firing.fire, callback_id=callback_id, now=clock()))
