"""Who of the waiting is next, and what to tell the exchange so that it agrees. No database, no clock.

Each caller has an instant by which they were promised an answer: the beginning of their wait plus the seconds of the
service level of the queue they first came to. Priority puts that instant earlier, by a fixed number of seconds for each
step ("queued as if they had come so much earlier": Brown et al., JASA 100, 2005). Whoever is due first is next. So the
wait itself ages priority away: a caller of two steps passes only those who came less than two steps' seconds before,
nobody starves, and no place gets worse but by callers who come with more priority.

The exchange orders callers by a number (the higher, the sooner) and, among equals, by when they got it; see
`reposition` in Asterisk's app_queue.c.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller who waits. `due_at`: when they were promised an answer (UTC); `priority`: their steps.

    `asked`: the number the exchange has for them, since `asked_at`.
    """

    call_id: UUID
    visit_no: int
    enqueued_at: datetime
    due_at: datetime
    priority: int = 0
    asked: int = 0
    asked_at: datetime | None = None

    @property
    def since(self) -> datetime:
        """When they got their number on the exchange."""
        return self.asked_at or self.enqueued_at


def due(caller: Waiting, step_s: int) -> datetime:
    """Return the instant by which a caller is due, with their steps of priority taken off."""
    return caller.due_at - timedelta(seconds=caller.priority * step_s)


def in_order(callers: Iterable[Waiting], step_s: int) -> list[Waiting]:
    """Return callers in the order in which they are next: who is due first, then who came first."""
    return sorted(callers, key=lambda each: (due(each, step_s), each.enqueued_at, each.call_id))


def on_exchange(callers: Iterable[Waiting]) -> list[Waiting]:
    """Return callers as the exchange has them now."""
    return sorted(callers, key=lambda each: (-each.asked, each.since, each.call_id))


def raises(ordered: Sequence[Waiting]) -> dict[UUID, int]:
    """Return the numbers to give so that the exchange has these callers in this order: as few as can be, none lower.

    From the last to the first: a caller who is not before the next one yet gets one number more than they have.
    """
    changed: dict[UUID, int] = {}
    below: tuple[int, datetime | None, UUID] | None = None
    for caller in reversed(ordered):
        number, since = caller.asked, caller.since
        if below is not None and not _is_before(number, since, caller.call_id, below):
            number = changed[caller.call_id] = below[0] + 1
            below = (number, None, caller.call_id)
        else:
            below = (number, since, caller.call_id)
    return changed


def _is_before(number: int, since: datetime, call_id: UUID, other: tuple[int, datetime | None, UUID]) -> bool:
    """Tell whether somebody of a number is before the other one; a number that is given now is younger than all."""
    if number != other[0]:
        return number > other[0]
    return other[1] is None or (since, call_id) < (other[1], other[2])
