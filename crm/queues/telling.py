"""What the events of stays in queues tell: each the whole state, so that of several the latest says all. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.queues.rules import Outcome

JUDGED_BY = ("queue", "queue_id", "enqueued_at", "in_hours", "is_test", "sl_s", "short_s", "timezone", "priority")
"""What a stay begins with and keeps."""
WENT = (
    "left_at", "connected_at", "ended_at", "wait_s", "ring_s", "talk_s", "outcome", "agent_user_id", "missed",
)  # fmt: skip
"""How it goes, as far as it is known."""

Happened = tuple[str, UUID, str, Mapping[str, Any], datetime]
"""An event: of what, of which, what happened, what it tells, and when."""


def state(visit_no: int, judged: Mapping[str, Any], went: Mapping[str, Any]) -> dict[str, Any]:
    """Return all there is to a stay: ids, codes, instants (UTC) and seconds."""
    begun = {name: judged[name] for name in JUDGED_BY}
    return {"visit_no": visit_no} | begun | {name: went[name] for name in WENT}


def news(call_id: UUID, before: Mapping[str, Any] | None, tells: Mapping[str, Any], *, now: datetime) -> list[Happened]:
    """Return the event of a stay that was decided, is over, or has turned out to have gone otherwise.

    `before`: how it stood (None: it is new). What is not decided, or goes on, is told once it no longer does.
    """
    was = before["outcome"] if before else Outcome.waiting.value
    at = tells["connected_at"] or tells["left_at"] or now
    if was != tells["outcome"]:
        if was == Outcome.waiting:
            return [("queue_visit", call_id, "queue_visit.left", tells, at)]
        return [("queue_visit", call_id, "queue_visit.corrected", {**tells, "was": was}, at)]
    if before is None or tells["ended_at"] is None or all(before[name] == tells[name] for name in WENT):
        return []
    happened = "queue_visit.ended" if before["ended_at"] is None else "queue_visit.corrected"
    return [("queue_visit", call_id, happened, tells, tells["ended_at"])]
