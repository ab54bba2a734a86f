"""What came of a replay: who got which leads and who would have got them, and how long leads waited. No database."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any, NamedTuple
from uuid import UUID

from crm.routing.rules import Enquiry

MOST_CHANGES = 100
"""Leads named one by one."""


class Given(NamedTuple):
    """To whom a lead went, when (UTC), and by which rule."""

    user_id: UUID
    at: datetime
    rule: str


@dataclass(slots=True)
class Fate:
    """Who got a case and when, in history and in the replay; None while it waits."""

    enquiry: Enquiry
    live: Given | None = None
    replayed: Given | None = None

    @property
    def hands(self) -> tuple[UUID | None, UUID | None]:
        """Who has it in history, and who in the replay."""
        return self.live and self.live.user_id, self.replayed and self.replayed.user_id


def outcome(fates: Sequence[Fate]) -> dict[str, Any]:
    """Return both sides of it: counts, waits in seconds, each agent's and each rule's leads, and who moved where."""
    moved = [fate for fate in fates if fate.hands[0] != fate.hands[1]]
    return {
        "leads": len(fates),
        "same_agent": sum(fate.live is not None and fate.hands[0] == fate.hands[1] for fate in fates),
        "other_agent": sum(fate.live is not None and fate.replayed is not None for fate in moved),
        "given_only_in_history": sum(fate.replayed is None for fate in moved),
        "given_only_in_replay": sum(fate.live is None for fate in moved),
        "given_in_neither": sum(fate.hands == (None, None) for fate in fates),
        "waiting_seconds": {
            "live": _waits([(fate, fate.live) for fate in fates]),
            "replayed": _waits([(fate, fate.replayed) for fate in fates]),
        },
        "agents": _counts(fates, "user_id", lambda given: given.user_id),
        "rules": _counts(fates, "rule", lambda given: given.rule),
        "flows": [
            {"live": live, "replayed": replayed, "leads": leads}
            for (live, replayed), leads in sorted(
                Counter(fate.hands for fate in moved).items(), key=lambda flow: (-flow[1], str(flow[0]))
            )
        ],
        "changes": [
            {"lead_id": fate.enquiry.id, "live": fate.hands[0], "replayed": fate.hands[1]}
            for fate in moved[:MOST_CHANGES]
        ],
    }


def _waits(given: Iterable[tuple[Fate, Given | None]]) -> dict[str, Any]:
    """Return how long the leads that were given waited, and how many were not given."""
    each = list(given)
    waited = sorted((to.at - fate.enquiry.since).total_seconds() for fate, to in each if to)
    still = len(each) - len(waited)
    if not waited:
        return {"given": 0, "waiting": still, "mean": None, "p50": None, "p95": None}
    return {
        "given": len(waited),
        "waiting": still,
        "mean": round(fmean(waited), 3),
        "p50": waited[len(waited) // 2],
        "p95": waited[min(len(waited) - 1, int(len(waited) * 0.95))],
    }


def _counts(fates: Iterable[Fate], name: str, of: Callable[[Given], Any]) -> list[dict[str, Any]]:
    """Return how many leads went to each agent or by each rule, on both sides, those with most first."""
    live: Counter[Any] = Counter()
    replayed: Counter[Any] = Counter()
    for fate in fates:
        live.update([of(fate.live)] if fate.live else [])
        replayed.update([of(fate.replayed)] if fate.replayed else [])
    return [
        {name: each, "live": live[each], "replayed": replayed[each]}
        for each in sorted(live.keys() | replayed.keys(), key=lambda each: (-live[each], str(each)))
    ]
