"""What a policy learns: laws of durations, and shares that fade."""

import numpy as np
import pytest

from dialer.pacing.learned import Durations, Share, lognormal, uniform

SECONDS = np.arange(0.0, 65.0)


class TestDurations:
    def test_begins_as_the_guess(self):
        law = Durations(SECONDS, lognormal(12.0, 0.5), 40)

        assert law.survival(np.array([5.0, 12.0, 20.0])) == pytest.approx(
            lognormal(12.0, 0.5)(np.array([5.0, 12.0, 20.0])), abs=1e-3
        )
        assert law.mean() == pytest.approx(12.0, abs=0.2)

    def test_becomes_what_it_sees(self):
        law = Durations(SECONDS, lognormal(12.0, 0.5), 40)
        seen = np.random.default_rng(3).exponential(20.0, 5_000)
        for each in seen[seen < 60]:
            law.saw(each)

        law.learn()

        assert law.survival(np.array([10.0, 30.0])) == pytest.approx(
            [(seen[seen < 60] > 10).mean(), (seen[seen < 60] > 30).mean()], abs=0.03
        )

    def test_learns_a_time_out_that_always_comes_at_one_instant(self):
        law = Durations(SECONDS, uniform(0.0, 34.0), 20)
        for _ in range(2_000):
            law.saw(30.0)

        law.learn()

        before, after = law.survival(np.array([30.0, 31.0]))
        assert before > 0.95
        assert after < 0.05

    def test_what_is_under_way_counts_though_it_has_not_ended(self):
        law = Durations(SECONDS, lognormal(12.0, 0.5), 10)
        for _ in range(20):
            law.saw(6.0)

        law.learn(np.array([]))
        short = law.survival(np.array([15.0]))[0]
        law.learn(np.full(50, 30.0))

        assert law.survival(np.array([15.0]))[0] > short + 0.2

    def test_forgets_what_is_long_ago(self):
        law = Durations(SECONDS, lognormal(12.0, 0.5), 40)
        for seconds in (40.0, 5.0):
            for _ in range(8):
                for _ in range(200):
                    law.saw(seconds)
                law.learn()

        assert law.survival(np.array([10.0]))[0] < 0.05


class TestShare:
    def test_begins_as_the_guess_and_moves_with_what_is_seen(self):
        share = Share(0.3, 10, answers=100, seconds=100)
        assert share.value == pytest.approx(0.3)

        share.saw(10, 10, 0.0)

        assert share.value == pytest.approx((3 + 10) / (10 + 10))

    def test_keeps_many_answers_of_a_short_time(self):
        share = Share(0.0, 1, answers=10, seconds=1_000)
        for second in range(100):
            share.saw(50, 100, float(second))

        assert share.all > 5_000

    def test_forgets_by_answers_where_they_are_few(self):
        share = Share(0.9, 10, answers=50, seconds=1.0)
        for second in range(1_000):
            share.saw(0.1, 1, float(10 * second))

        assert share.value == pytest.approx(0.1, abs=0.001)
        assert share.all == pytest.approx(50, rel=0.05)
