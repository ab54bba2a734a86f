"""Words of dialling campaigns, and what follows from how an attempt ended. No database, no clock.

Results are those of the KPI catalogue (outbound dialling); an *ending* is finer: what the next try depends on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from crm.calls.facts import Verdict
from crm.calls.story import Outcome


class Mode(StrEnum):
    """Who decides when the next lead is dialled, and how many are at once."""

    manual = "manual"
    """The agent asks for a lead and calls when it suits."""
    preview = "preview"
    """The agent is shown a lead, and calls or skips it before a deadline."""
    progressive = "progressive"
    """One call for each agent who is ready."""
    power = "power"
    """A fixed number of calls for each agent who is ready."""
    predictive = "predictive"
    """As many as the pacing policy foresees agents for."""


BY_AGENTS = frozenset({Mode.manual, Mode.preview})
"""The agent is on the line first: nobody who answers can be left without one."""
OVERDIALLING = frozenset({Mode.power, Mode.predictive})
"""More calls than agents: somebody may answer and find no one."""


class Status(StrEnum):
    """Where a campaign is. `draining`: no new calls; it is stopped when those under way have ended."""

    draft = "draft"
    running = "running"
    paused = "paused"
    draining = "draining"
    stopped = "stopped"


MAY_BECOME: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.draft: frozenset({Status.running}),
        Status.running: frozenset({Status.paused, Status.draining, Status.stopped}),
        Status.paused: frozenset({Status.running, Status.draining, Status.stopped}),
        Status.draining: frozenset({Status.running, Status.paused, Status.stopped}),
        Status.stopped: frozenset({Status.running}),
    }
)


class State(StrEnum):
    """Where a lead is in a campaign's hopper."""

    listed = "listed"
    """To be dialled from `next_at` on."""
    ready = "ready"
    """Looked at and found dialable: the next to be taken."""
    claimed = "claimed"
    """Taken by a dialer or shown to an agent, until `claimed_until`."""
    dialling = "dialling"
    """Asked of the exchange: never given back, only ended."""
    done = "done"
    """Spoken with, or tried often enough."""
    excluded = "excluded"
    """Not to be dialled: the person or the lead says so; loading it again asks anew."""


class Result(StrEnum):
    """What came of an attempt, in the words of the KPI catalogue."""

    live_right_party = "live_right_party"
    live_wrong_party = "live_wrong_party"
    live_unknown = "live_unknown"
    voicemail = "voicemail"
    busy = "busy"
    no_answer = "no_answer"
    failed = "failed"
    blocked_by_policy = "blocked_by_policy"


LIVE = frozenset({Result.live_right_party, Result.live_wrong_party, Result.live_unknown})


class Ending(StrEnum):
    """How an attempt ended, as far as the next one depends on it."""

    reached = "reached"
    """Somebody answered and spoke with an agent."""
    abandoned = "abandoned"
    """Somebody answered and never found an agent: ours to make good."""
    voicemail = "voicemail"
    busy = "busy"
    no_answer = "no_answer"
    rejected = "rejected"
    congestion = "congestion"
    invalid = "invalid"
    failed = "failed"
    no_agent = "no_agent"
    """The agent's own telephone did not answer: the customer was never called."""
    unsent = "unsent"
    """The call never came to be on the exchange: nobody was called."""


NO_TRY = frozenset({Ending.no_agent, Ending.unsent})
"""What is no attempt at reaching anybody."""


RESULT_OF: Mapping[Ending, Result | None] = MappingProxyType(
    {
        Ending.reached: Result.live_unknown,
        Ending.abandoned: Result.live_unknown,
        Ending.voicemail: Result.voicemail,
        Ending.busy: Result.busy,
        Ending.no_answer: Result.no_answer,
        Ending.rejected: Result.no_answer,
        Ending.congestion: Result.failed,
        Ending.invalid: Result.failed,
        Ending.failed: Result.failed,
        Ending.no_agent: None,
        Ending.unsent: None,
    }
)
"""None: no attempt at all. A live answer is right or wrong party only by an agent's word (`crm.dialling.results`)."""

CONNECT_WITHIN_S = 2.0
"""Seconds from the greeting in which an agent must be there (16 CFR 310.4(b)(4)(ii); the same in the UK's rules)."""
SHORTEST_RING_S = 15
"""Seconds a telephone is let ring at least (16 CFR 310.4(b)(4)(iii): 15 seconds or four rings)."""

UNANSWERED: Mapping[Outcome, Ending] = MappingProxyType(
    {
        Outcome.busy: Ending.busy,
        Outcome.no_answer: Ending.no_answer,
        Outcome.rejected: Ending.rejected,
        Outcome.congestion: Ending.congestion,
        Outcome.invalid: Ending.invalid,
        Outcome.cancelled: Ending.no_answer,
        Outcome.agent_no_answer: Ending.no_agent,
    }
)


def ending_of(
    outcome: Outcome, *, has_begun: bool, is_answered: bool, is_connected: bool, verdict: Verdict | None,
    agent_first: bool,
) -> Ending:  # fmt: skip
    """Return how a call ended for its campaign. `has_begun`: the exchange told of it at all; `is_connected`: the
    customer and an agent heard each other."""
    if not has_begun:
        return Ending.unsent
    if outcome is Outcome.machine or verdict is Verdict.machine:
        return Ending.voicemail
    if not is_answered:
        return UNANSWERED.get(outcome, Ending.failed)
    return Ending.reached if is_connected or agent_first else Ending.abandoned


def was_abandoned(ending: Ending, connect_delay_s: float | None, *, agent_first: bool) -> bool:
    """Tell whether a call counts as abandoned. `connect_delay_s`: from the greeting to the agent; None: never.

    Whoever answered and had no agent within `CONNECT_WITHIN_S` did, also when an agent came later, and when they hung
    up sooner: counting them errs on the side of the law. With the agent first there is nobody to wait for.
    """
    if agent_first or ending not in (Ending.reached, Ending.abandoned):
        return False
    return connect_delay_s is None or connect_delay_s > CONNECT_WITHIN_S


@dataclass(frozen=True, slots=True)
class Again:
    """When a lead is tried again after one kind of ending: not before `cool_down`, and so often (`most`) at most."""

    cool_down: timedelta
    most: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A campaign's strategy: for each ending, and `most` attempts in all. An ending that is not named ends the lead."""

    most: int
    after: Mapping[Ending, Again]


DEFAULT_RETRY = Retry(
    most=8,
    after=MappingProxyType(
        {
            Ending.abandoned: Again(timedelta(hours=72), 2),
            Ending.voicemail: Again(timedelta(hours=4), 3),
            Ending.busy: Again(timedelta(minutes=10), 4),
            Ending.no_answer: Again(timedelta(hours=2), 5),
            Ending.rejected: Again(timedelta(hours=24), 2),
            Ending.congestion: Again(timedelta(minutes=5), 5),
            Ending.failed: Again(timedelta(minutes=15), 3),
            Ending.no_agent: Again(timedelta(minutes=1), 100),
            Ending.unsent: Again(timedelta(minutes=1), 100),
        }
    ),
)

SPOKEN = "spoken"
TRIED_ENOUGH = "tried_enough"
NO_SUCH_NUMBER = "no_such_number"


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a lead: tried again after `wait`, or done for a `reason` (a code)."""

    wait: timedelta | None = None
    reason: str | None = None


def next_try(retry: Retry, ending: Ending, counts: Mapping[str, int], *, lock_out: timedelta) -> Next:
    """Return what follows an attempt. `counts`: attempts of the lead by their ending, this one among them.

    Who was abandoned is left alone for `lock_out` at least, whatever the strategy says.
    """
    if ending is Ending.reached:
        return Next(reason=SPOKEN)
    rule = retry.after.get(ending)
    tried = sum(n for kind, n in counts.items() if kind not in NO_TRY)
    if rule is None:
        return Next(reason=NO_SUCH_NUMBER if ending is Ending.invalid else TRIED_ENOUGH)
    if tried >= retry.most or counts.get(ending, 0) >= rule.most:
        return Next(reason=TRIED_ENOUGH)
    return Next(wait=max(rule.cool_down, lock_out) if ending is Ending.abandoned else rule.cool_down)
