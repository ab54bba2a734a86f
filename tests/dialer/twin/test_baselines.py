"""Pacing rules to compare with, by hand."""

from dataclasses import dataclass

import pytest

from dialer.pacing.state import State
from dialer.twin.baselines import AdaptAverage, Power, Progressive


@dataclass
class Moment:
    """As much of a state as these rules look at."""

    n_ready: int = 0
    n_talk: int = 0
    n_ringing: int = 0
    n_queue: int = 0
    n_pause: int = 0
    lines_free: int = 100
    t: float = 0.0
    cap: float = 0.03
    launched: int = 0
    answered: int = 0
    abandoned: int = 0

    @property
    def agent_state(self) -> list[int]:
        return [1] * (self.n_ready + self.n_talk + self.n_pause)


class TestProgressive:
    def test_one_call_for_each_ready_agent(self):
        assert Progressive().decide(Moment(n_ready=5, n_ringing=2)) == 3
        assert Progressive().decide(Moment(n_ready=1, n_ringing=2)) == 0


class TestPower:
    def test_a_fixed_ratio(self):
        assert Power(2.5).decide(Moment(n_ready=5, n_ringing=2)) == 10
        assert Power(2.5).decide(Moment(n_ready=5, n_ringing=2, lines_free=4)) == 4


def climb(rule: AdaptAverage, state: State, seconds: int) -> float:
    for second in range(seconds):
        state.t = float(second)
        rule.decide(state)
    return rule.level


class TestAdaptAverage:
    def test_at_level_one_it_is_progressive(self):
        assert AdaptAverage(1.0).decide(Moment(n_ready=5, n_talk=3, n_ringing=1)) == 4

    def test_the_level_climbs_by_the_share_of_ready_agents(self):
        # a fifth is ready for two settings of the level: 1 × 1.2 × 1.2
        assert climb(AdaptAverage(3.0), Moment(n_ready=2, n_talk=8), 31) == pytest.approx(1.44)

    def test_the_level_stays_below_its_maximum(self):
        assert climb(AdaptAverage(1.3), Moment(n_ready=5, n_talk=5), 120) == 1.3

    def test_over_the_limit_it_is_halved_again_and_again(self):
        state = Moment(n_ready=1, n_talk=9, launched=1_000, answered=300, abandoned=30)
        rule = AdaptAverage(10.0)
        rule.level = 8.0

        assert climb(rule, state, 16) == pytest.approx(8.0 * 1.1 / 2)
        assert climb(rule, state, 91) == 1.0

    def test_available_only_counts_ready_agents(self):
        rule = AdaptAverage(3.0, is_available_only=True)
        rule.level = 2.0

        assert rule.decide(Moment(n_ready=3, n_talk=7, n_ringing=1)) == 5

    def test_fills_lines_every_two_and_a_half_seconds_and_a_little_for_each_call(self):
        rule, filled = AdaptAverage(1.0), []
        for second in range(10):
            if rule.decide(Moment(n_ready=1, t=float(second))):
                filled.append(second)

        assert filled == [0, 3, 6, 8]  # after 0, 2.525, 5.05, 7.575 and 10.1 seconds
