"""What the product cannot take is set aside by name: one thing that breaks something must not stop all the others."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from crm import db

log = structlog.get_logger("dialer.aside")

T = TypeVar("T")

AGAIN_S = 1.0
"""Seconds after which what the database did not take is tried again."""


class Aside:
    """Counts what was set aside, by what it was."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def put(self, name: str, error: Exception, **of: str) -> None:
        """Count one more and say what it was, and which line failed; its words stay unsaid: they may be anybody's."""
        self.counts[name] += 1
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        log.error("set_aside", what=name, error=type(error).__name__, where=where, **of)

    async def each(
        self, things: Sequence[T], work: Callable[[Sequence[T]], Awaitable[None]], name: Callable[[T], str]
    ) -> None:
        """Work on things together; where that fails, on each half of them in their order, down to the one at fault.

        `work` may be repeated with the same things. What passes by itself (`crm.db.is_gone`) is raised: it is no fault
        of theirs.
        """
        try:
            await work(things)
        except Exception as error:
            if db.is_gone(error):
                raise
            if len(things) == 1:
                self.put(name(things[0]), error)
                return
            middle = len(things) // 2
            await self.each(things[:middle], work, name)
            await self.each(things[middle:], work, name)

    async def until_done(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something until the database takes it; meanwhile nothing more is read, and the exchange waits."""
        while True:
            try:
                await work()
            except Exception as error:
                if not db.is_gone(error):
                    self.put("work", error)
                    return
                log.warning("put_off", error=type(error).__name__)
                await asyncio.sleep(AGAIN_S)
            else:
                return
