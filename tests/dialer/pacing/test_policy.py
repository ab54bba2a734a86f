"""The predictive policy: what it never does, and what it does in cases known by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing import make_policy
from dialer.pacing.state import READY, TALK, WRAP
from dialer.twin.laws import Always, LogNormal
from dialer.twin.shift import Shift
from dialer.twin.study import Job, shift_of
from dialer.twin.traffic import Traffic
from tests.dialer.pacing.moments import Moment, moment

moments = st.builds(
    moment,
    ready=st.integers(0, 30), talk=st.integers(0, 60), wrap=st.integers(0, 20), pause=st.integers(0, 10),
    rings=st.integers(0, 120), n_queue=st.integers(0, 5), lines_free=st.integers(0, 200),
    answered=st.integers(0, 2_000), abandoned=st.integers(0, 100), machines=st.integers(0, 2_000),
    is_tick=st.booleans(), t=st.floats(600, 14_400), cap=st.sampled_from([0.0, 0.001, 0.03]),
)  # fmt: skip


class TestDecide:
    @given(moments, st.integers(1, 100))
    def test_launches_no_less_than_nothing_and_no_more_than_there_are_lines(self, state: Moment, agents: int):
        count = make_policy(agents, 0.03).decide(state)

        assert isinstance(count, int)
        assert 0 <= count <= state.lines_free

    @given(moments)
    def test_over_the_budget_dials_only_for_agents_who_are_ready(self, state: Moment):
        state.answered, state.abandoned, state.shift_end = 1_000, 200, state.t + 600

        count = make_policy(10, 0.03).decide(state)

        assert count <= max(0, state.n_ready - state.n_queue - state.n_ringing)

    def test_goes_to_zero_over_the_budget_while_nobody_is_ready(self):
        state = moment(talk=8, wrap=2, answered=1_000, abandoned=200)

        assert make_policy(10, 0.03).decide(state) == 0

    def test_with_a_cap_of_nothing_it_is_progressive(self):
        state = moment(ready=4, talk=6, rings=1, cap=0.0)

        assert make_policy(10, 0.0).decide(state) == 3

    def test_dials_for_all_who_are_ready_and_more_where_few_answer(self):
        policy, state = make_policy(10, 0.03), moment(ready=10)

        assert policy.decide(state) > 10

    def test_is_more_careful_the_more_rings(self):
        counts = [make_policy(20, 0.03).decide(moment(ready=6, talk=10, wrap=4, rings=rings)) for rings in (0, 10, 60)]

        assert counts[0] > counts[1] >= counts[2] == 0

    def test_dials_ahead_for_agents_about_to_be_done(self):
        early = Moment([WRAP] * 10, [598.0] * 10)
        late = Moment([WRAP] * 10, [575.0] * 10)

        assert make_policy(10, 0.03).decide(late) > make_policy(10, 0.03).decide(early)

    def test_dials_nobody_where_everybody_is_on_a_break(self):
        assert make_policy(5, 0.03).decide(moment(pause=5)) == 0

    def test_dials_less_of_leads_who_surely_answer(self):
        sure, unlikely = moment(ready=10), moment(ready=10)
        sure.next_answer_p, unlikely.next_answer_p = [0.9] * 100, [0.05] * 100  # type: ignore[attr-defined]

        assert make_policy(10, 0.03).decide(unlikely) > 2 * make_policy(10, 0.03).decide(sure)

    def test_remembers_whom_it_called(self):
        told = []
        for score in (0.9, 0.05):
            policy, first = make_policy(10, 0.03), moment(ready=10)
            first.next_answer_p = [score] * 100  # type: ignore[attr-defined]
            count = policy.decide(first)
            calls = dict.fromkeys(range(min(count, 11)), 600.0)
            then = Moment(first.agent_state, first.agent_since, calls, t=605.0)
            then.next_answer_p = [0.3] * 100  # type: ignore[attr-defined]
            told.append(policy.decide(then))

        assert told[1] > told[0]

    def test_takes_over_a_shift_in_its_middle(self):
        came = {"answered": 500, "machines": 400, "no_answers": 700, "failed": 100, "abandoned": 13}
        fresh, later = make_policy(20, 0.03), make_policy(20, 0.03)

        at_once = later.decide(moment(ready=10, talk=10, t=7_200.0, **came))
        begun = fresh.decide(moment(ready=10, talk=10))

        assert begun <= at_once <= 3 * begun

    def test_bears_a_clock_that_is_ahead(self):
        state = Moment([TALK, WRAP, READY], [601.0, 600.5, 599.0], {1: 600.2})

        assert make_policy(3, 0.03).decide(state) >= 0

    @given(st.lists(st.integers(1, 60), min_size=2, max_size=6))
    def test_follows_agents_who_come_and_go(self, sizes: list[int]):
        policy = make_policy(5, 0.03)

        counts = [
            policy.decide(moment(ready=size // 2, talk=size - size // 2, t=600.0 + second))
            for second, size in enumerate(sizes)
        ]

        assert all(count >= 0 for count in counts)


class Watched:
    """The policy, with what it decided."""

    def __init__(self) -> None:
        self.policy, self.decisions = make_policy(8, 0.03), []
        self.on_event = self.policy.on_event

    def decide(self, state: Any) -> int:
        count = self.policy.decide(state)
        self.decisions.append((state.t, count))
        return count


class TestShift:
    def test_is_the_same_for_the_same_seed(self):
        job = Job("predictive", Traffic(0.3), 8, seed=5, seconds=1_800.0)

        assert shift_of(job) == shift_of(job)

    def test_decides_the_same_whatever_the_future_holds(self):
        told = []
        for later in (1.0, 0.2):
            watched = Watched()
            Shift(watched, Traffic(0.3, hours=(1.0, later)), agents=8, seconds=5_400.0, seed=4).run()
            told.append(watched.decisions)

        before = [[each for each in decisions if each[0] < 3_600.0] for decisions in told]
        assert before[0] == before[1]
        assert told[0] != told[1]

    def test_works_without_hearing_of_events(self):
        class Deaf:
            decide = make_policy(10, 0.03).decide

        tally = Shift(Deaf(), Traffic(0.3), agents=10, seconds=7_200.0, seed=2).run()

        assert tally.abandonment <= 0.03
        assert tally.occupancy > 0.74

    @pytest.mark.parametrize(("agents", "p"), [(5, 0.15), (30, 0.5)])
    def test_keeps_the_law_and_agents_busier_than_progressive_dialling(self, agents: int, p: float):
        ours = [shift_of(Job("predictive", Traffic(p), agents, seed, 7_200.0)) for seed in (50, 51)]
        theirs = [shift_of(Job("progressive", Traffic(p), agents, seed, 7_200.0)) for seed in (50, 51)]

        assert sum(each.abandoned for each in ours) <= 0.03 * sum(each.answered for each in ours)
        assert sum(each.occupancy for each in ours) > sum(each.occupancy for each in theirs) + 2 * 0.06

    def test_stays_legal_with_scores_where_ringing_is_slower_than_it_guessed(self):
        slow = Traffic(0.4, live_ring=LogNormal(22.0, 0.2), scores=5.0)

        tally = shift_of(Job("predictive", slow, 20, seed=1, seconds=7_200.0))

        assert tally.abandonment <= 0.03

    def test_stays_legal_where_traffic_is_nothing_like_what_it_guessed(self):
        odd = Traffic(
            0.6,
            live_ring=Always(6.0),
            no_answer_after=Always(45.0),
            talk=LogNormal(400.0, 0.5),
            wrap=LogNormal(60.0, 0.6),
        )

        tally = shift_of(Job("predictive", odd, 20, seed=1))

        assert tally.abandonment <= 0.03
