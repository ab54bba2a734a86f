"""The trace that changes of people and teams leave."""

from datetime import datetime
from uuid import UUID

from crm import audit, events
from crm.db import Tx


async def note(tx: Tx, kind: str, which: UUID, what: str, now: datetime, **detail: object) -> None:
    """Write the event and the audit row of one thing that happened to a user, an agent, an invitation or a team."""
    await events.record(tx, kind, which, what, detail, at=now)
    await audit.record(tx, what, kind, which, detail, at=now)
