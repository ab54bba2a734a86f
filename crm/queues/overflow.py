"""When a caller is sent another way, and which. No database, no clock."""

from collections.abc import Callable
from dataclasses import dataclass

from crm.queues.rules import Overflow, Settings, Way


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one caller stands: seconds waited, callers before them, and the live service level of `calls` calls.

    `is_open`: the queue was in its opening hours when they came. `forced`: the way a supervisor sends everybody.
    """

    waited_s: float
    ahead: int
    service_level: float | None = None
    calls: int = 0
    is_open: bool = True
    forced: Way | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """Which way a caller is sent, and why: `closed`, `overflow` or `timeout`."""

    way: Way
    why: str


def holds(rule: Overflow, stand: Stand) -> bool:
    """Tell whether all that a rule says holds for a caller."""
    if rule.after_s is not None and stand.waited_s < rule.after_s:
        return False
    if rule.beyond is not None and stand.ahead <= rule.beyond:
        return False
    if rule.service_level_below is not None:
        if stand.service_level is None or stand.calls < rule.calls:
            return False
        return stand.service_level < rule.service_level_below
    return True


def decide(settings: Settings, stand: Stand, may_go: Callable[[Way], bool]) -> Sent | None:
    """Return which way a caller is sent now; None: they wait.

    Closed hours come first, then a supervisor's word, then the rules in their order, then the ends that a queue has by
    itself: its longest wait and its length. A way that cannot be gone (`may_go`) counts as not said.
    """
    if not stand.is_open and settings.when_closed and may_go(settings.when_closed):
        return Sent(settings.when_closed, "closed")
    if stand.forced and may_go(stand.forced):
        return Sent(stand.forced, "overflow")
    for rule in settings.overflow:
        if holds(rule, stand) and may_go(rule.way):
            return Sent(rule.way, "overflow")
    if settings.max_wait_s is not None and stand.waited_s >= settings.max_wait_s:
        return _at_last(settings, "timeout", may_go)
    if settings.max_length is not None and stand.ahead >= settings.max_length:
        return _at_last(settings, "overflow", may_go)
    return None


def _at_last(settings: Settings, why: str, may_go: Callable[[Way], bool]) -> Sent | None:
    return Sent(settings.last_resort, why) if may_go(settings.last_resort) else None
