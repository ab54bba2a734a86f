"""One simulated shift, event by event, with a policy that sees what the live dialer would show it."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from dialer.pacing.state import PAUSE, READY, TALK, WRAP, Policy
from dialer.twin.traffic import STEP, Traffic

CHUNK = 4096
AHEAD = 3
"""How many next leads' scores a policy is shown, for each agent (and ten more)."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a shift came to: calls by outcome, agents' seconds by state, and what deciding cost."""

    launched: int
    answered: int
    connected: int
    abandoned: int
    machines: int
    no_answers: int
    failed: int
    ringing: int
    queued: int
    seconds: tuple[float, float, float, float]
    """Of all agents together: on a break, ready, talking, wrapping up."""
    waited_s: float
    """What those who were connected waited, together."""
    decides: int
    decide_s: float
    """Time of this machine spent in `decide`; 0 unless asked for."""

    @property
    def occupancy(self) -> float:
        """(talk + wrap) / (ready + talk + wrap)."""
        _, ready, talk, wrap = self.seconds
        return (talk + wrap) / (ready + talk + wrap) if ready + talk + wrap else 0.0

    @property
    def abandonment(self) -> float:
        """The abandoned out of all live answers."""
        return self.abandoned / self.answered if self.answered else 0.0


@dataclass(slots=True)
class Floor:
    """The state that a policy sees; see `dialer.pacing.State`."""

    cap: float
    shift_end: float
    agent_state: list[int]
    agent_since: list[float]
    lines_free: int
    n_ready: int
    t: float = 0.0
    is_tick: bool = True
    n_talk: int = 0
    n_wrap: int = 0
    n_pause: int = 0
    n_ringing: int = 0
    n_queue: int = 0
    ringing: dict[int, float] = field(default_factory=dict)
    launched: int = 0
    answered: int = 0
    connected: int = 0
    abandoned: int = 0
    machines: int = 0
    no_answers: int = 0
    failed: int = 0


class ScoredFloor(Floor):
    """The same with what is known of the leads that come next."""

    next_answer_p: list[float]


class Calls:
    """What will become of each call, by its number: the same for every policy of one seed."""

    def __init__(self, traffic: Traffic, rng: np.random.Generator) -> None:
        self.traffic, self.rng = traffic, rng
        self.luck: list[float] = []
        self.kind: list[float] = []
        self.live: list[float] = []
        self.machine: list[float] = []
        self.failed: list[float] = []
        self.no_answer: list[float] = []
        self.score: list[float] = []

    def need(self, count: int) -> None:
        """Draw what becomes of the first so many calls."""
        traffic, rng = self.traffic, self.rng
        while len(self.luck) < count:
            self.luck += rng.random(CHUNK).tolist()
            self.kind += rng.random(CHUNK).tolist()
            self.live += traffic.live_ring.draw(rng, CHUNK).tolist()
            self.machine += traffic.machine_ring.draw(rng, CHUNK).tolist()
            self.failed += traffic.failed_after.draw(rng, CHUNK).tolist()
            self.no_answer += traffic.no_answer_after.draw(rng, CHUNK).tolist()
            if traffic.scores is not None:
                self.score += traffic.spread(rng, CHUNK).tolist()


class Times:
    """How long each conversation, wrap-up and break takes, in their order: the same for every policy of one seed."""

    def __init__(self, traffic: Traffic, rng: np.random.Generator) -> None:
        self.talk = _stream(traffic.talk.draw, rng)
        self.wrap = _stream(traffic.wrap.draw, rng)
        self.patience = _stream(traffic.patience.draw, rng)
        self.rest = _stream(traffic.break_s.draw, rng)
        self.luck = _stream(lambda rng, count: rng.random(count), rng)


def _stream(draw: Callable[[np.random.Generator, int], np.ndarray], parent: np.random.Generator) -> Callable[[], float]:
    """Return a function that gives one number after the other."""
    rng = np.random.default_rng(parent.integers(2**63))

    def numbers():
        while True:
            yield from draw(rng, 1024).tolist()

    return numbers().__next__


class Shift:
    """A shift of so many agents. `run` may be called once."""

    def __init__(
        self,
        policy: Policy,
        traffic: Traffic,
        *,
        agents: int,
        seconds: float = 14_400.0,
        cap: float = 0.03,
        seed: int = 0,
        lines: int | None = None,
        shows_scores: bool = True,
        is_timed: bool = False,
    ) -> None:
        paths, calls, times = (np.random.default_rng([seed, part]) for part in range(3))
        self.traffic, self.policy, self.is_timed = traffic, policy, is_timed
        self.answer_factor = traffic.answer_path(paths, seconds).tolist()
        self.talk_factor = traffic.talk_swing.path(paths, seconds).tolist()
        self.calls, self.times = Calls(traffic, calls), Times(traffic, times)
        self.shows_scores = shows_scores and traffic.scores is not None
        kind = ScoredFloor if self.shows_scores else Floor
        lines_free = lines if lines is not None else 40 + 20 * agents
        self.floor = kind(cap, seconds, [READY] * agents, [0.0] * agents, lines_free, agents)
        self.heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self.number = 0
        self.ready = deque(range(agents))
        self.queue: dict[int, float] = {}
        self.spent = [0.0, 0.0, 0.0, 0.0]
        self.waited = self.decide_s = 0.0
        self.decides = 0
        self.tell: Callable[[str, float, float], None] | None = getattr(policy, "on_event", None)
        self.sees_events = not getattr(policy, "only_ticks", False)

    def run(self) -> Tally:
        """Run the shift to its end and return what it came to."""
        floor, heap, tick = self.floor, self.heap, 0.0
        while min(tick, heap[0][0] if heap else tick) < floor.shift_end:
            if heap and heap[0][0] < min(tick, floor.shift_end):
                floor.t, _, happen, which = heapq.heappop(heap)
                floor.is_tick = False
                happen(which)
                if self.sees_events:
                    self._decide()
            else:
                floor.t, floor.is_tick = tick, True
                tick += 1.0
                self._decide()
        return self._tally()

    def _decide(self) -> None:
        floor = self.floor
        if self.shows_scores:
            first, ahead = floor.launched, 10 + AHEAD * len(floor.agent_state)
            self.calls.need(first + ahead)
            floor.next_answer_p = self.calls.score[first : first + ahead]  # type: ignore[attr-defined]
        self.decides += 1
        if self.is_timed:
            began = perf_counter()
            wanted = self.policy.decide(floor)
            self.decide_s += perf_counter() - began
        else:
            wanted = self.policy.decide(floor)
        if wanted:
            self._launch(min(wanted, floor.lines_free))

    def _at(self, when: float, happen: Callable[[Any], None], which: Any) -> None:
        self.number += 1
        heapq.heappush(self.heap, (when, self.number, happen, which))

    def _launch(self, count: int) -> None:
        floor, calls, t = self.floor, self.calls, self.floor.t
        calls.need(floor.launched + count)
        factor = self.answer_factor[int(t / STEP)]
        for call in range(floor.launched, floor.launched + count):
            base = calls.score[call] if calls.score else self.traffic.answer_p
            floor.ringing[call] = t
            if calls.luck[call] < base * factor:
                self._at(t + calls.live[call], self._live, call)
            elif calls.kind[call] < self.traffic.machine_share:
                self._at(t + calls.machine[call], self._machine, call)
            elif calls.kind[call] < self.traffic.machine_share + self.traffic.failed_share:
                self._at(t + calls.failed[call], self._failed, call)
            else:
                self._at(t + calls.no_answer[call], self._no_answer, call)
        floor.launched += count
        floor.n_ringing += count
        floor.lines_free -= count

    def _resolved(self, call: int, kind: str) -> None:
        floor = self.floor
        after = floor.t - floor.ringing.pop(call)
        floor.n_ringing -= 1
        if self.tell:
            self.tell(kind, floor.t, after)

    def _machine(self, call: int) -> None:
        self.floor.machines += 1
        self.floor.lines_free += 1
        self._resolved(call, "machine")

    def _failed(self, call: int) -> None:
        self.floor.failed += 1
        self.floor.lines_free += 1
        self._resolved(call, "failed")

    def _no_answer(self, call: int) -> None:
        self.floor.no_answers += 1
        self.floor.lines_free += 1
        self._resolved(call, "no_answer")

    def _live(self, call: int) -> None:
        floor = self.floor
        floor.answered += 1
        self._resolved(call, "live")
        if self.ready:
            self._connect(self.ready.popleft(), 0.0)
        else:
            self.queue[call] = floor.t
            floor.n_queue += 1
            self._at(floor.t + self.times.patience(), self._abandon, call)

    def _abandon(self, call: int) -> None:
        began = self.queue.pop(call, None)
        if began is not None:
            floor = self.floor
            floor.n_queue -= 1
            floor.abandoned += 1
            floor.lines_free += 1
            if self.tell:
                self.tell("abandon", floor.t, floor.t - began)

    def _connect(self, agent: int, waited: float) -> None:
        floor, t = self.floor, self.floor.t
        floor.connected += 1
        self.waited += waited
        self._enter(agent, TALK)
        if self.tell:
            self.tell("connect", t, waited)
        talk = self.times.talk() * self.talk_factor[int(t / STEP)]
        self._at(t + talk, self._talked, (agent, talk))

    def _talked(self, which: tuple[int, float]) -> None:
        agent, talk = which
        self.floor.lines_free += 1
        self._enter(agent, WRAP)
        if self.tell:
            self.tell("talk_end", self.floor.t, talk)
        wrap = self.times.wrap()
        self._at(self.floor.t + wrap, self._wrapped, (agent, wrap))

    def _wrapped(self, which: tuple[int, float]) -> None:
        agent, wrap = which
        if self.tell:
            self.tell("wrap_end", self.floor.t, wrap)
        if self.times.luck() < self.traffic.break_share:
            self._enter(agent, PAUSE)
            if self.tell:
                self.tell("to_pause", self.floor.t, 0.0)
            self._at(self.floor.t + self.times.rest(), self._back, agent)
        else:
            self._free(agent)

    def _back(self, agent: int) -> None:
        if self.tell:
            self.tell("from_pause", self.floor.t, 0.0)
        self._free(agent)

    def _free(self, agent: int) -> None:
        """Give an agent the person who has waited longest, or let them wait."""
        self._enter(agent, READY)
        if self.queue:
            call = next(iter(self.queue))
            self.floor.n_queue -= 1
            self._connect(agent, self.floor.t - self.queue.pop(call))
        else:
            self.ready.append(agent)

    def _enter(self, agent: int, state: int) -> None:
        floor, t = self.floor, self.floor.t
        before = floor.agent_state[agent]
        self.spent[before] += t - floor.agent_since[agent]
        floor.agent_state[agent], floor.agent_since[agent] = state, t
        for each, change in ((before, -1), (state, 1)):
            if each == READY:
                floor.n_ready += change
            elif each == TALK:
                floor.n_talk += change
            elif each == WRAP:
                floor.n_wrap += change
            else:
                floor.n_pause += change

    def _tally(self) -> Tally:
        floor = self.floor
        for agent, state in enumerate(floor.agent_state):
            self.spent[state] += floor.shift_end - floor.agent_since[agent]
        return Tally(
            floor.launched, floor.answered, floor.connected, floor.abandoned, floor.machines, floor.no_answers,
            floor.failed, floor.n_ringing, floor.n_queue, tuple(self.spent), self.waited, self.decides, self.decide_s,
        )  # fmt: skip
