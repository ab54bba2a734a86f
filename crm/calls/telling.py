"""What the events of a call that is over tell of its legs, so that the latest one tells all there is to it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.calls import spans
from crm.calls.facts import Transferred
from crm.calls.known import Known
from crm.calls.legs import Leg, Party
from crm.calls.spans import Span


def legs(known: Known, its: Sequence[Leg], whose: Mapping[str, UUID], ended_at: datetime) -> list[dict[str, Any]]:
    """Return the legs of a call that is over: ids, codes, instants (UTC) and seconds; none of the exchange's names.

    `whose`: the agents, by leg. `talk_s`: how long they and the customer heard each other. `hold_s`: how long the call
    was on hold while the leg was part of the conversation. `transfer`: how the leg gave the customer away.
    """
    talks, holds = spans.union(spans.talks(known)), spans.holds(known)
    given = {fact.leg_id: _kind(fact) for fact in known.all(Transferred) if fact.has_succeeded}
    return [
        _leg(leg, talks, holds, ended_at)
        | {"leg_no": n, "agent_user_id": whose.get(leg.leg_id), "transfer": given.get(leg.leg_id)}
        | {"party": (Party.agent if leg.leg_id in whose else leg.party).value}
        for n, leg in enumerate(its, 1)
    ]


def _kind(fact: Transferred) -> str:
    return "attended" if fact.is_attended else "blind"


def _leg(leg: Leg, talks: Sequence[Span], holds: Sequence[Span], ended_at: datetime) -> dict[str, Any]:
    here = [(leg.answered_at, leg.ended_at or ended_at)] if leg.answered_at else []
    spoke = spans.without(spans.shared(here, talks), holds)
    # Who was asked for advice while the customer was on hold had nobody on hold.
    since = [(spoke[0][0], here[0][1])] if spoke else []
    return {
        "stage": leg.stage.value, "cause": leg.cause, "started_at": leg.started_at, "rang_at": leg.rang_at,
        "answered_at": leg.answered_at, "ended_at": leg.ended_at, "talk_s": round(spans.length(spoke), 3),
        "hold_s": round(spans.length(spans.shared(since, holds)), 3),
    }  # fmt: skip
