"""Sessions that were ended while their access tokens still had time to run: each process knows of them within a second.

Access tokens are checked without the database. What they cannot know, that an account was closed or a password changed
a moment ago, is asked once a second for all of them, by the first request that comes after it.
"""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from crm import db
from crm.users import rules

log = structlog.get_logger("crm.revocations")

EVERY = 1.0
"""Seconds for which an answer is used again."""
KEPT = timedelta(minutes=rules.ACCESS_MINUTES + 1)
"""By then every access token of an ended session has run out; the minute is for clocks that differ."""


class Revocations:
    """The sessions that were ended lately, of every firm; one object in each process that reads access tokens."""

    def __init__(self) -> None:
        self._ended: frozenset[UUID] = frozenset()
        self._asked = -EVERY

    async def has_ended(self, session_id: UUID | None) -> bool:
        """Tell whether a session was ended; one that ended within the last second may be missed.

        While the database is away the last answer holds: nothing can be done then anyway.
        """
        if session_id is None:
            return False
        if time.monotonic() - self._asked >= EVERY:
            self._asked = time.monotonic()  # those who come meanwhile use the last answer
            await self._ask()
        return session_id in self._ended

    async def _ask(self) -> None:
        try:
            rows = await db.ask("select crm.sessions_ended_since($1::timestamptz)", datetime.now(UTC) - KEPT)
        except db.GONE as error:
            log.warning("revocations_not_known", error=type(error).__name__)
            return
        self._ended = frozenset(row[0] for row in rows)
