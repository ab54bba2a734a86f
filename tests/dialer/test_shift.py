"""What a pacing policy is told of a live campaign, look by look."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crm import ids
from crm.agents.rules import State as AgentState
from crm.dialling.guard import Count, Window
from crm.dialling.looking import Agent, Call, Look, Phase
from crm.dialling.rules import Ending, Status
from dialer.pacing.state import PAUSE, READY, TALK, WRAP, State
from dialer.shift import Shift
from tests.crm.dialling.floor import DESIGN

BEGAN = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
NOBODY = {"launched": 0, "connected": 0, "machines": 0, "no_answers": 0, "failed": 0}


class Policy:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, float]] = []

    def decide(self, state: State) -> int:
        """Want nothing."""
        return 0

    def on_event(self, kind: str, t: float, value: float) -> None:
        """Remember."""
        self.told.append((kind, t, value))


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def call(dialed: float = 0, **of: Any) -> Call:
    """Return a call that rings, but for what a test is about; instants in seconds of the shift."""
    instants = {name: at(of.pop(name)) for name in ("greeted_at", "connected_at", "ended_at") if name in of}
    ringing = Call(ids.new(), ids.new(), Phase.ringing, at(dialed), None, None, None, None, False, False, False)
    return replace(ringing, **instants, **of)


def agent(state: AgentState = AgentState.available, since: float = 0, **of: Any) -> Agent:
    return replace(Agent(ids.new(), state, at(since), None, False), **of)


def look(calls: Sequence[Call] = (), agents: Sequence[Agent] = (), answered: int = 0, abandoned: int = 0) -> Look:
    count = Count(answered, abandoned)
    return Look(
        ids.new(), Status.running, DESIGN, agents, {each.id: each for each in calls},
        {Window.shift: count, Window.month: count}, [0.4, 0.2],
    )  # fmt: skip


def shift(policy: Policy, *looks: tuple[float, Look], so_far: dict[str, int] = NOBODY) -> Shift:
    """Return a shift that has seen some looks."""
    found = Shift(policy, began=BEGAN, ends=at(4 * 3600), cap=0.03, so_far=so_far)
    found.see(look(), BEGAN)
    for t, each in looks:
        found.see(each, at(t))
    return found


class TestEvents:
    def test_follow_a_call_from_ringing_to_the_agent(self):
        policy, ringing = Policy(), call(10)
        waiting = replace(ringing, phase=Phase.waiting, greeted_at=at(18))
        talking = replace(waiting, phase=Phase.talking, connected_at=at(19.5))

        found = shift(policy, *((20, look([each])) for each in (ringing, waiting, talking, talking)))

        assert policy.told == [("live", 18, 8), ("connect", 19.5, 1.5)]
        assert (found.live.launched, found.live.connected) == (1, 1)

    def test_tell_of_calls_nobody_answered_how_long_they_held_the_line(self):
        policy = Policy()
        calls = [call(n) for n in range(3)]
        endings = (Ending.voicemail, Ending.busy, Ending.congestion)
        ended = [
            replace(each, phase=Phase.over, ended_at=at(30), ending=ending, is_settled=True)
            for each, ending in zip(calls, endings, strict=True)
        ]

        found = shift(policy, (5, look(calls)), (31, look(ended)))

        assert policy.told == [("machine", 30, 30), ("no_answer", 30, 29), ("failed", 30, 28)]
        assert (found.live.machines, found.live.no_answers, found.live.failed) == (1, 1, 1)
        assert found.known == []

    def test_tell_of_whom_nobody_was_free_for(self):
        policy, waiting = Policy(), call(0, phase=Phase.waiting, greeted_at=8)
        gone = replace(waiting, phase=Phase.over, ended_at=at(11), ending=Ending.abandoned, is_abandoned=True)

        shift(policy, (9, look([waiting])), (12, look([gone])))

        assert policy.told == [("live", 8, 8), ("abandon", 11, 3)]

    def test_follow_agents_through_talk_wrap_up_and_breaks(self):
        policy, who = Policy(), agent(AgentState.on_call, 10)
        later = [
            replace(who, state=state, since=at(since))
            for state, since in (
                (AgentState.wrap_up, 100), (AgentState.paused, 120), (AgentState.available, 300),
            )
        ]  # fmt: skip

        shift(policy, (50, look(agents=[who])), *((n, look(agents=[each])) for n, each in enumerate(later, 301)))

        assert policy.told == [
            ("talk_end", 100, 90), ("wrap_end", 120, 20), ("to_pause", 120, 0), ("from_pause", 300, 0),
        ]  # fmt: skip

    def test_of_what_was_before_this_dialer_are_not_told_again(self):
        policy, talking = Policy(), call(0, phase=Phase.talking, greeted_at=8, connected_at=9)
        found = Shift(policy, began=BEGAN, ends=at(3600), cap=0.03, so_far=NOBODY | {"launched": 40, "connected": 9})

        found.see(look([talking]), at(20))

        assert policy.told == []
        assert (found.live.launched, found.live.connected) == (40, 9)


class TestState:
    def test_counts_agents_and_calls_as_they_are(self):
        ringing, waiting = call(3), call(1, phase=Phase.waiting, greeted_at=8)
        people = [
            agent(), agent(is_paused=True), agent(AgentState.on_call), agent(AgentState.wrap_up),
            agent(AgentState.not_responding),
        ]  # fmt: skip
        seen = look([ringing, waiting], people, answered=30, abandoned=1)
        found = shift(Policy(), (10, seen))

        live = found.state(seen, at(10), lines_free=7, is_tick=True)

        assert list(live.agent_state) == [READY, PAUSE, TALK, WRAP, PAUSE]
        assert (live.n_ready, live.n_talk, live.n_wrap, live.n_pause) == (1, 1, 1, 2)
        assert (live.n_ringing, live.n_queue, dict(live.ringing)) == (1, 1, {ringing.id: 3})
        assert (live.t, live.lines_free, live.answered, live.abandoned) == (10, 7, 30, 1)
        assert live.next_answer_p == [0.4, 0.2]

    def test_an_agent_who_is_rung_for_a_call_of_ours_is_the_one_it_waits_for(self):
        waiting = call(0, phase=Phase.waiting, greeted_at=8)
        ours, another = agent(AgentState.ringing, call_id=waiting.id), agent(AgentState.ringing, call_id=ids.new())
        seen = look([waiting], [ours, another])
        found = shift(Policy(), (9, seen))

        live = found.state(seen, at(9), lines_free=1, is_tick=True)

        assert list(live.agent_state) == [READY, TALK]
