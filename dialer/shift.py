"""A live campaign as its pacing policy sees it: looks at the database become the policy's state and events. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.agents.rules import State as AgentState
from crm.dialling.guard import Window
from crm.dialling.looking import Agent, Call, Look, Phase
from crm.dialling.rules import Ending
from dialer.pacing.state import PAUSE, READY, TALK, WRAP, Policy

KIND = {
    Ending.voicemail: "machine", Ending.busy: "no_answer", Ending.no_answer: "no_answer", Ending.rejected: "no_answer",
}  # fmt: skip
"""What a policy is told of a call nobody answered; any other ending is a failure."""


@dataclass
class Live:
    """A shift at one instant, as `dialer.pacing.State` has it; seconds count from the shift's beginning."""

    cap: float
    shift_end: float
    t: float = 0.0
    is_tick: bool = True
    n_ready: int = 0
    n_talk: int = 0
    n_wrap: int = 0
    n_pause: int = 0
    n_ringing: int = 0
    n_queue: int = 0
    lines_free: int = 0
    agent_state: Sequence[int] = ()
    agent_since: Sequence[float] = ()
    ringing: Mapping[object, float] = field(default_factory=dict)
    launched: int = 0
    answered: int = 0
    connected: int = 0
    abandoned: int = 0
    machines: int = 0
    no_answers: int = 0
    failed: int = 0
    next_answer_p: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agent stands for the policy, and since when (seconds of the shift)."""

    state: int
    since: float


class Shift:
    """One campaign's shift, from when it `began` (UTC) until it ends, as one dialer sees it."""

    def __init__(self, policy: Policy, *, began: datetime, ends: datetime, cap: float, so_far: Mapping[str, Any]):
        self.policy = policy
        self.began = began
        self.ends = ends
        self.live = Live(cap, (ends - began).total_seconds())
        for name in ("launched", "connected", "machines", "no_answers", "failed"):
            setattr(self.live, name, so_far[name])
        self._calls: dict[UUID, Call] = {}
        self._agents: dict[UUID, Standing] = {}
        self._is_first = True

    @property
    def known(self) -> list[UUID]:
        """The calls whose end the policy has not been told of."""
        return list(self._calls)

    def at(self, instant: datetime) -> float:
        """Return an instant in seconds of the shift."""
        return (instant - self.began).total_seconds()

    def see(self, look: Look, now: datetime) -> None:
        """Take over what is seen now; the policy is told what happened since the look before."""
        for kind, t, value in (*self._told_by_calls(look), *self._told_by_agents(look, self.at(now))):
            self._tell(kind, t, value)
        self._is_first = False

    def _tell(self, kind: str, t: float, value: float) -> None:
        on_event = getattr(self.policy, "on_event", None)
        if on_event is not None and not self._is_first:
            on_event(kind, t, max(0.0, value))

    def _told_by_calls(self, look: Look) -> Iterator[tuple[str, float, float]]:
        for call in look.calls.values():
            before = self._calls.get(call.id)
            if before is None and call.phase is Phase.over:
                continue
            self._calls[call.id] = call
            if before is None and not self._is_first:
                self.live.launched += 1
            yield from self._news(before, call)
            if call.phase is Phase.over:
                del self._calls[call.id]

    def _news(self, before: Call | None, call: Call) -> Iterator[tuple[str, float, float]]:
        """Yield what is new of a call; what a shift came to before this dialer saw it is counted already."""
        if call.greeted_at and not (before and before.greeted_at):
            yield "live", self.at(call.greeted_at), (call.greeted_at - call.dialed_at).total_seconds()
        if call.connected_at and not (before and before.connected_at):
            self.live.connected += not self._is_first
            waited = (call.connected_at - (call.greeted_at or call.connected_at)).total_seconds()
            yield "connect", self.at(call.connected_at), waited
        if call.phase is not Phase.over or call.ended_at is None:
            return
        t = self.at(call.ended_at)
        if call.greeted_at is None or call.ending is Ending.voicemail:
            kind = KIND.get(call.ending, "failed") if call.ending else "failed"
            name = {"machine": "machines", "no_answer": "no_answers", "failed": "failed"}[kind]
            setattr(self.live, name, getattr(self.live, name) + 1)
            yield kind, t, (call.ended_at - call.dialed_at).total_seconds()
        elif call.connected_at is None:
            yield "abandon", t, (call.ended_at - call.greeted_at).total_seconds()

    def _told_by_agents(self, look: Look, t: float) -> Iterator[tuple[str, float, float]]:
        seen = {agent.user_id: self._standing(agent, look.calls) for agent in look.agents}
        for user_id, after in seen.items():
            before = self._agents.get(user_id)
            if before is None or before.state == after.state:
                continue
            if before.state == TALK:
                yield "talk_end", after.since, after.since - before.since
            elif before.state == WRAP:
                yield "wrap_end", after.since, after.since - before.since
            if after.state == PAUSE:
                yield "to_pause", after.since, 0.0
            elif before.state == PAUSE:
                yield "from_pause", after.since, 0.0
        self._agents = seen

    def _standing(self, agent: Agent, calls: Mapping[UUID, Call]) -> Standing:
        """Return how an agent stands: one who is rung for a call of this campaign is the one whom it waits for."""
        state = PAUSE
        if agent.state is AgentState.available:
            state = PAUSE if agent.is_paused else READY
        elif agent.state in (AgentState.reserved, AgentState.ringing):
            call = calls.get(agent.call_id) if agent.call_id else None
            state = READY if call is not None and call.phase in (Phase.ringing, Phase.waiting) else TALK
        elif agent.state is AgentState.on_call:
            state = TALK
        elif agent.state is AgentState.wrap_up:
            state = WRAP
        return Standing(state, self.at(agent.since))

    def state(self, look: Look, now: datetime, *, lines_free: int, is_tick: bool) -> Live:
        """Return the state of this look; `see` comes first."""
        live, agents = self.live, list(self._agents.values())
        count = [each.state for each in agents]
        live.t, live.is_tick, live.lines_free = self.at(now), is_tick, max(0, lines_free)
        live.n_pause, live.n_ready, live.n_talk, live.n_wrap = (count.count(n) for n in (PAUSE, READY, TALK, WRAP))
        live.agent_state, live.agent_since = count, [each.since for each in agents]
        live.ringing = {call.id: self.at(call.dialed_at) for call in look.calls.values() if call.phase is Phase.ringing}
        live.n_ringing = len(live.ringing)
        live.n_queue = sum(call.phase is Phase.waiting for call in look.calls.values())
        live.answered, live.abandoned = look.counts[Window.shift].answered, look.counts[Window.shift].abandoned
        live.next_answer_p = look.next_answer_p
        return live
