"""When the parties of a call heard each other, and when somebody was on hold: spans of time, UTC."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from crm.calls import visits
from crm.calls.facts import AgentConnected, BridgeEntered, BridgeLeft, Held, LegEnded, Unheld
from crm.calls.known import Known

Span = tuple[datetime, datetime]


def talks(known: Known) -> list[Span]:
    """Return when the customer was in a bridge with somebody; an open end is the last moment known of.

    In a queue a bridge counts from the agent's answer on: a trunk may have bridges of its own before.
    """
    agent = known.first(AgentConnected)
    if agent is None and known.all(*visits.OF_QUEUE):
        return []
    spans: list[Span] = []
    inside: dict[str, datetime] = {}
    for fact in known.all(BridgeEntered, BridgeLeft, LegEnded, leg=known.customer):
        if isinstance(fact, BridgeEntered):
            inside.setdefault(fact.bridge_id, fact.at)
        elif isinstance(fact, BridgeLeft):
            spans += [(inside.pop(fact.bridge_id), fact.at)] if fact.bridge_id in inside else []
        else:
            spans += [(entered, fact.at) for entered in inside.values()]
            inside.clear()
    spans += [(entered, known.facts[-1].at) for entered in inside.values()]
    since = agent.at if agent else None
    return sorted((max(start, since or start), end) for start, end in spans if since is None or end > since)


def holds(known: Known) -> list[Span]:
    """Return when somebody had the call on hold, from the first word spoken to the customer's going.

    Who leaves the call holds it no longer; two who hold at once hold once.
    """
    spoken = talks(known)
    if not spoken:
        return []
    gone = known.first(LegEnded, known.customer)
    first, last = spoken[0][0], gone.at if gone else known.facts[-1].at
    found: list[Span] = []
    since: dict[str, datetime] = {}
    for fact in known.all(Held, Unheld, LegEnded):
        if isinstance(fact, Held):
            since.setdefault(fact.leg_id, fact.at)
        elif began := since.pop(fact.leg_id, None):
            found.append((began, fact.at))
    found += [(began, last) for began in since.values()]
    return union((max(start, first), min(end, last)) for start, end in found)


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same time in spans that neither touch nor overlap."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif start <= end:  # one that has just begun has no length yet
            joined.append((start, end))
    return joined


def shared(some: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """Return the time that lies in both."""
    both = [(max(one[0], other[0]), min(one[1], other[1])) for one in some for other in others]
    return [span for span in both if span[0] < span[1]]


def without(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the time of the first that lies in none of the others."""
    left = union(some)
    for start, end in others:
        cut = [((one[0], min(one[1], start)), (max(one[0], end), one[1])) for one in left]
        left = [part for parts in cut for part in parts if part[0] < part[1]]
    return left


def length(spans: Iterable[Span]) -> float:
    """Return how many seconds they last together."""
    return sum((end - start).total_seconds() for start, end in spans)
